package message

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// The languages of the catalogue.
const (
	English = "en"
	Spanish = "es"
	Catalan = "ca"
)

//go:embed catalogue/*.toml
var files embed.FS

// Languages returns the languages that there are, English first.
func Languages() []string { return []string{English, Spanish, Catalan} }

// entry is a sentence in one language: one form, or one for each plural.
type entry struct {
	forms map[string]string // by CLDR's category: "one", "other" …
	of    int               // which value is counted, from 0; -1: the first whole number
}

// catalogue is what is known of one language.
type catalogue struct {
	tag     language.Tag
	entries map[string]entry
}

// catalogues reads a language's file when it is first needed, and once.
var catalogues = map[string]func() catalogue{
	English: sync.OnceValue(func() catalogue { return load(English) }),
	Spanish: sync.OnceValue(func() catalogue { return load(Spanish) }),
	Catalan: sync.OnceValue(func() catalogue { return load(Catalan) }),
}

// load reads an embedded file. A file that is wrong is a defect that the tests
// find; people then read English.
func load(name string) catalogue {
	content, err := files.ReadFile("catalogue/" + name + ".toml")
	if err != nil {
		return catalogue{}
	}
	read, err := parse(name, content)
	if err != nil {
		return catalogue{}
	}
	return read
}

// parse reads a file of the catalogue: each line is
//
//	"the English format" = "the translation"
//
// or, where the form depends on a number,
//
//	"%d servers" = {one = "%d servidor", other = "%d servidores"}
//
// with of = 2 where the second value is the number.
func parse(name string, content []byte) (catalogue, error) {
	tag, err := language.Parse(name)
	if err != nil {
		return catalogue{}, err
	}
	var raw map[string]any
	if err := toml.Unmarshal(content, &raw); err != nil {
		return catalogue{}, fmt.Errorf("catalogue of %s: %w", name, err)
	}
	read := catalogue{tag: tag, entries: make(map[string]entry, len(raw))}
	for _, format := range slices.Sorted(maps.Keys(raw)) {
		e := entry{forms: map[string]string{}, of: -1}
		switch value := raw[format].(type) {
		case string:
			e.forms["other"] = value
		case map[string]any:
			for category, form := range value {
				switch form := form.(type) {
				case string:
					e.forms[category] = form
				case int64:
					e.of = int(form) - 1
				}
			}
		}
		if e.forms["other"] == "" {
			return catalogue{}, fmt.Errorf("catalogue of %s: %q has no form for other", name, format)
		}
		read.entries[format] = e
	}
	return read, nil
}

// find returns the format of a sentence in a language.
func find(name string, text Text) string {
	open, ok := catalogues[name]
	if !ok {
		return text.Format
	}
	if name == English && !counts(text) {
		return text.Format // nothing to look up: the file stays unread
	}
	known := open()
	found, ok := known.entries[text.Format]
	if !ok {
		return text.Format
	}
	if len(found.forms) > 1 {
		if form, ok := found.forms[known.category(text, found.of)]; ok {
			return form
		}
	}
	return found.forms["other"]
}

// counts tells whether a sentence holds a number.
func counts(text Text) bool {
	return slices.ContainsFunc(text.Args, func(arg any) bool { _, ok := whole(arg); return ok })
}

// category returns CLDR's plural category of the value that is counted.
func (c catalogue) category(text Text, of int) string {
	for i, arg := range text.Args {
		if of >= 0 && i != of {
			continue
		}
		if n, ok := whole(arg); ok {
			switch plural.Cardinal.MatchPlural(c.tag, n, 0, 0, 0, 0) {
			case plural.Zero:
				return "zero"
			case plural.One:
				return "one"
			case plural.Two:
				return "two"
			case plural.Few:
				return "few"
			case plural.Many:
				return "many"
			}
			break
		}
	}
	return "other"
}

// whole returns a number as CLDR's rules take it: without its sign, and of big
// ones the last digits, which are all that the rules look at.
func whole(arg any) (int, bool) {
	var n int64
	switch arg := arg.(type) {
	case int:
		n = int64(arg)
	case int64:
		n = arg
	case int32:
		n = int64(arg)
	case uint64:
		n = int64(arg % 10_000_000)
	default:
		return 0, false
	}
	if n > 10_000_000 || n < -10_000_000 {
		n = 10_000_000 + n%1_000_000
	}
	return int(max(n, -n)), true
}

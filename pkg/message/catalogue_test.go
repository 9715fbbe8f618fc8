package message_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"orchestra/pkg/message"
)

// TestCatalogueIsWhole finds the sentences of the source that a language lacks.
// Run it with -v to see them as lines to paste into the catalogue.
func TestCatalogueIsWhole(t *testing.T) {
	found, variable := uses(t)
	if len(found) < 50 {
		t.Fatalf("only %d sentences in the source: the scan is wrong", len(found))
	}
	for _, where := range variable {
		t.Errorf("%s: the format of a sentence is to be constant", where)
	}
	formats := map[string]string{}
	for _, u := range found {
		formats[u.format] = u.where.String()
	}
	for _, language := range message.Languages()[1:] {
		catalogue := read(t, language)
		var missing []string
		for _, format := range slices.Sorted(maps.Keys(formats)) {
			if _, ok := catalogue[format]; !ok && format != "" {
				missing = append(missing, fmt.Sprintf("%s = \"\" # %s", quote(format), formats[format]))
			}
		}
		if len(missing) > 0 {
			t.Errorf("%d sentences are not translated to %s", len(missing), language)
			t.Logf("missing in catalogue/%s.toml:\n%s", language, strings.Join(missing, "\n"))
		}
		for format := range catalogue {
			if _, ok := formats[format]; !ok {
				t.Logf("catalogue/%s.toml translates what is said no more: %s", language, quote(format))
			}
		}
	}
}

func quote(text string) string {
	if !strings.ContainsAny(text, "'\n") {
		return "'" + text + "'" // literal: quotes stay as they are
	}
	return strconv.Quote(text)
}

// TestTranslationsTakeTheSameValues compares the verbs of each translation with
// those of the English format.
func TestTranslationsTakeTheSameValues(t *testing.T) {
	for _, language := range message.Languages() {
		for format, forms := range read(t, language) {
			for category, form := range forms {
				want, got := verbs(format), verbs(form)
				if language == message.English || category != "other" {
					// "one" may leave its number out.
					for at := range want {
						if strings.HasSuffix(want[at], "d") && got[at] == "" {
							delete(want, at)
						}
					}
				}
				if !maps.Equal(want, got) {
					t.Errorf("%s: %q takes %v, and %q takes %v", language, format, want, form, got)
				}
			}
		}
	}
}

var verb = regexp.MustCompile(`%(?:\[(\d+)\])?[-+# 0]*\d*(?:\.\d+)?([a-zA-Z%])`)

// verbs returns the verb of each value of a format, by its position.
func verbs(format string) map[int]string {
	found := map[int]string{}
	next := 1
	for _, match := range verb.FindAllStringSubmatch(format, -1) {
		if match[2] == "%" {
			continue
		}
		if match[1] != "" {
			next, _ = strconv.Atoi(match[1])
		}
		found[next] = match[2]
		next++
	}
	return found
}

func read(t *testing.T, language string) map[string]map[string]string {
	t.Helper()
	catalogue, err := message.Read(language)
	if err != nil {
		t.Fatal(err)
	}
	return catalogue
}

func TestASentenceIsSaidInItsLanguage(t *testing.T) {
	text := message.New("the database is damaged: %d findings", 1)
	for language, want := range map[string][2]string{
		"en": {"the database is damaged: 1 finding", "the database is damaged: 10000 findings"},
		"es": {"la base de datos está dañada: 1 hallazgo", "la base de datos está dañada: 10000 hallazgos"},
		"ca": {"la base de dades està malmesa: 1 troballa", "la base de dades està malmesa: 10000 troballes"},
		"xx": {"the database is damaged: 1 findings", "the database is damaged: 10000 findings"},
	} {
		if got := text.In(language); got != want[0] {
			t.Errorf("%s: %q", language, got)
		}
		if got := message.New(text.Format, int64(10_000)).In(language); got != want[1] {
			t.Errorf("%s: %q", language, got)
		}
	}
	nested := message.New("%s: %s", "x", text)
	if got := nested.In("ca"); got != "x: la base de dades està malmesa: 1 troballa" {
		t.Errorf("a sentence within a sentence is %q", got)
	}
	if got := message.New("this is said nowhere: %d%%", 5).In("es"); got != "this is said nowhere: 5%" {
		t.Errorf("without a translation it is %q", got)
	}
}

func TestACatalogueThatIsWrongIsNotRead(t *testing.T) {
	for _, content := range []string{`"a" = {one = "b"}`, `"a" = ""`, `"a" = 1`, `"a" = [`, `a = {other = 1}`} {
		if err := message.Parse("es", []byte(content)); err == nil {
			t.Errorf("%s was read", content)
		}
	}
}

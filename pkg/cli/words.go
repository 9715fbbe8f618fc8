package cli

import (
	"strconv"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// languages are those of the message catalogue.
var languages = []string{"en", "es", "ca"}

// languageOf returns the language that the environment asks for, "" where it
// asks for none that there is.
func languageOf(getenv func(string) string) string {
	for _, name := range []string{"ORCHESTRA_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"} {
		value := getenv(name)
		if value == "" {
			continue
		}
		code, _, _ := strings.Cut(value, ".")
		code, _, _ = strings.Cut(code, "_")
		for _, known := range languages {
			if strings.EqualFold(code, known) {
				return known
			}
		}
		return ""
	}
	return ""
}

func joinWords(words []string) string { return strings.Join(words, ", ") }

// splitWords splits a list of names at commas.
func splitWords(text string) ([]string, error) {
	var words []string
	for _, w := range strings.Split(text, ",") {
		if w = strings.TrimSpace(w); w != "" {
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		return nil, fault.New(fault.Usage, "it names nothing")
	}
	return words, nil
}

// limitValue is the flag --limit.
type limitValue struct{ value *int }

// String implements pflag.Value.
func (limitValue) String() string { return "" }

// Type implements pflag.Value.
func (limitValue) Type() string { return "NUMBER" }

// Set implements pflag.Value.
func (l limitValue) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return fault.New(fault.Usage, "%q is no number from 1 to 2147483647", text)
	}
	*l.value = int(n)
	return nil
}

// shown returns a word of the command line as a message repeats it: short, and
// without the value of a flag that is not in its place, since that may be a secret.
func shown(word string) string {
	if strings.HasPrefix(word, "-") {
		word, _, _ = strings.Cut(word, "=")
	}
	return noun.Excerpt(word)
}

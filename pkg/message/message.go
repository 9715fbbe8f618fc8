// Package message holds every sentence that a person reads. The English form of
// a sentence is its key; the other languages are translated in catalogue/, one
// file a language. Plurals follow CLDR's rules through golang.org/x/text; what
// is written is written by fmt, since the printer of x/text groups the digits
// of ports and uids.
package message

import "fmt"

// Text is a sentence not yet put into a language: an English format of
// fmt.Sprintf and its values. It is what errors and warnings carry, so that
// the language is chosen where the sentence is shown and nowhere else.
type Text struct {
	Format string
	Args   []any
}

// New returns the sentence of format. format must be a constant, so that the
// test of the catalogue finds it in the source.
func New(format string, args ...any) Text { return Text{Format: format, Args: args} }

// IsZero tells whether there is no sentence at all.
func (t Text) IsZero() bool { return t.Format == "" }

// String returns the English sentence.
func (t Text) String() string { return t.In(English) }

// Translator is a value of a sentence that has a language of its own, such as
// an error.
type Translator interface{ In(language string) string }

// In returns the sentence in a language, in English where there is no
// translation. Values that are sentences themselves are translated too.
func (t Text) In(language string) string {
	format := find(language, t)
	args := make([]any, len(t.Args))
	for i, arg := range t.Args {
		if translator, ok := arg.(Translator); ok {
			arg = translator.In(language)
		}
		args[i] = arg
	}
	return fmt.Sprintf(format, args...)
}

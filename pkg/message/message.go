// Package message holds every sentence that a person reads. The English form of
// a sentence is its key; the other languages are translated in catalogue/.
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
func (t Text) String() string { return fmt.Sprintf(t.Format, t.Args...) }

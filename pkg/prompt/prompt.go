// Package prompt asks people: yes or no, a secret, one of several. It is the
// only package that would show forms; questions are plain lines, which work on
// any terminal, with a screen reader and in tests.
package prompt

import (
	"context"
	"errors"
	"io"

	"orchestra/pkg/fault"
)

// ErrInterrupted is in the chain of the error of a question that was cancelled.
var ErrInterrupted = errors.New("interrupted at a question")

// Asker asks a person. Every method returns the context's error when it is
// cancelled while waiting, with the terminal as it was.
type Asker interface {
	// Confirm asks a question whose answer is yes or no; anything but a clear
	// yes, the end of input too, is no.
	Confirm(ctx context.Context, question string) (bool, error)
	// Secret asks for a value that is not shown while it is typed.
	Secret(ctx context.Context, label string) (string, error)
	// Line asks for a line of text; def is what an empty answer means.
	Line(ctx context.Context, label, def string) (string, error)
	// Choose asks for one of choices and returns its index.
	Choose(ctx context.Context, question string, choices []string) (int, error)
}

// Words are what the questions say beside what they are given, in the
// language of who is asked.
type Words struct {
	YesNo    string   // "[y/N]"
	Yes      []string // what counts as yes, lower case
	Number   string   // "Number"
	NotThere string   // what is said to an answer that is no choice
}

// EnglishWords are the words in English.
func EnglishWords() Words {
	return Words{YesNo: "[y/N]", Yes: []string{"y", "yes"}, Number: "Number", NotThere: "Type one of the numbers."}
}

// SecretLimit is the size in bytes of the longest secret that is read; more is
// refused before it costs anything.
const SecretLimit = 64 << 10

// ReadSecret reads a secret from a pipe: all there is, less one line end at the
// end. Spaces and everything else stay.
func ReadSecret(in io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(in, SecretLimit+1))
	if err != nil {
		return "", fault.New(fault.Usage, "the secret could not be read from standard input").Because(err)
	}
	if len(text) > SecretLimit {
		return "", fault.New(fault.Invalid, "the secret on standard input is longer than %d bytes", SecretLimit)
	}
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
	}
	if len(text) == 0 {
		return "", fault.New(fault.Usage, "standard input holds no secret").
			WithHint("for example: %s", "printf %s \"$SECRET\" | orchestra …")
	}
	return string(text), nil
}

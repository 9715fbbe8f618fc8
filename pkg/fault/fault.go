// Package fault gives each error a kind, and each kind its exit code: the
// published contract between the command line and the scripts that call it.
package fault

import (
	"errors"
	"strings"

	"orchestra/pkg/message"
)

// Kind says what class of failure an error is. Its number is the exit code.
type Kind int

// The kinds of failure, numbered by the exit code that they give.
const (
	Internal    Kind = 1   // a defect of ours, or of the machine below us
	Usage       Kind = 2   // the command line was wrong
	NotFound    Kind = 3   // the object does not exist, or is foreign to who asks
	Conflict    Kind = 4   // it exists already, or something prevents the change
	Invalid     Kind = 5   // a value is not acceptable
	Denied      Kind = 6   // not allowed
	Unreachable Kind = 7   // a server could not be reached; nothing changed
	Failed      Kind = 8   // a backend failed; everything was rolled back
	Unrecovered Kind = 9   // a server could not be rolled back or recovered
	Locked      Kind = 10  // a lock was not obtained in time
	Differences Kind = 11  // differences were found (drift, --dry-run --exit-code)
	Interrupted Kind = 130 // SIGINT
)

var kindNames = map[Kind]string{
	Internal: "internal", Usage: "usage", NotFound: "not-found", Conflict: "conflict",
	Invalid: "invalid", Denied: "denied", Unreachable: "unreachable", Failed: "failed",
	Unrecovered: "unrecovered", Locked: "locked", Differences: "differences", Interrupted: "interrupted",
}

// String returns the word that JSON errors carry, such as "not-found".
func (k Kind) String() string { return kindNames[k] }

// ExitCode returns the exit code of the process for this kind.
func (k Kind) ExitCode() int { return int(k) }

// Error is a failure with all that a person needs: what, where, why, and the
// next thing to type.
type Error struct {
	Kind  Kind
	Field string       // the field of the value that is wrong, "account.name"; or ""
	Text  message.Text // what happened, and where
	Hint  message.Text // what to type next; or zero
	Cause error        // why; or nil
}

// New returns an error of that kind. format is a key of the message catalogue.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Text: message.New(format, args...)}
}

// About names the field whose value is wrong and returns e.
func (e *Error) About(field string) *Error { e.Field = field; return e }

// WithHint adds what to type next and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = message.New(format, args...)
	return e
}

// Because adds the cause and returns e.
func (e *Error) Because(cause error) *Error { e.Cause = cause; return e }

// Error returns the English sentence and its cause.
func (e *Error) Error() string {
	text := e.Text.String()
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// KindOf returns the kind of the outermost Error in err's chain, Internal where
// there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is tells whether err is of that kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// In returns what happened in a language, without its hint: the sentence and
// its causes, those of our own translated too.
func (e *Error) In(language string) string {
	text := e.Text.In(language)
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if e.Cause != nil {
		text += ": " + Sentence(e.Cause, language)
	}
	return text
}

// Sentence returns what an error says in a language. Of an error that wraps
// one of ours with context, the context is kept as it is.
func Sentence(err error, language string) string {
	var e *Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	return strings.Replace(err.Error(), e.Error(), e.In(language), 1)
}

// HintOf returns the next thing to type, of the outermost error in err's chain
// that knows one.
func HintOf(err error) message.Text {
	var e *Error
	for errors.As(err, &e) {
		if !e.Hint.IsZero() {
			return e.Hint
		}
		err = e.Cause
	}
	return message.Text{}
}

// AboutField names the field in an error that is a fault and names none yet;
// any other error stays as it is.
func AboutField(err error, field string) error {
	var e *Error
	if errors.As(err, &e) && e.Field == "" {
		return e.About(field)
	}
	return err
}

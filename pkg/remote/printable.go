package remote

import (
	"strings"

	"orchestra/pkg/escape"
)

// maxForeign is how much of a text that a server wrote is repeated, in bytes.
const maxForeign = 400

// printable returns what a server wrote as one harmless line: capped, without
// control characters, terminal sequences or marks that change the direction
// of writing.
func printable(text string) string {
	text = escape.Line(oneLine.Replace(strings.TrimSpace(text)))
	if len(text) > maxForeign {
		text = strings.ToValidUTF8(text[:maxForeign], "") + "…" // less the half of a character
	}
	return text
}

var oneLine = strings.NewReplacer("\n", " ", "\t", " ", "\r", "")

// foreignError is an error whose text may hold what a server wrote.
type foreignError struct{ err error }

func (e foreignError) Error() string { return printable(e.err.Error()) }
func (e foreignError) Unwrap() error { return e.err }

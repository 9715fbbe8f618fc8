package remote

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxForeign is how much of a text that a server wrote is repeated, in bytes.
const maxForeign = 400

// printable returns what a server wrote as one harmless line: capped, without
// control characters, terminal sequences or marks that change the direction
// of writing.
func printable(text string) string {
	text = strings.TrimSpace(text)
	var b strings.Builder
	for i := 0; i < len(text); {
		if b.Len() >= maxForeign {
			b.WriteString("…")
			break
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\n', r == '\t':
			b.WriteByte(' ')
		case r == '\r':
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return b.String()
}

// foreignError is an error whose text may hold what a server wrote.
type foreignError struct{ err error }

func (e foreignError) Error() string { return printable(e.err.Error()) }
func (e foreignError) Unwrap() error { return e.err }

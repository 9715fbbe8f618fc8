// Package escape makes text of unknown origin harmless: what a server, a file or
// a person wrote is shown, and does nothing to the terminal that shows it.
package escape

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns s as it can be shown on one line of a terminal: control
// characters, line ends, bytes that are no UTF-8 and characters that reorder or
// hide what follows are written as \n, \x1b or \u202e. A backslash stays as it
// is: what is shown is for people, JSON is for programs.
func Line(s string) string { return escape(s, false) }

// Lines is Line for texts of several lines: line ends and tabs stay.
func Lines(s string) string { return escape(s, true) }

func escape(s string, lines bool) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var out strings.Builder
	out.Grow(len(s) + 8)
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size <= 1:
			fmt.Fprintf(&out, `\x%02x`, s[0])
		case lines && (r == '\n' || r == '\t'):
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteString(`\t`)
		case r == '\r':
			out.WriteString(`\r`)
		case r < 0x20 || r >= 0x7f && r <= 0x9f:
			fmt.Fprintf(&out, `\x%02x`, r)
		case Deceives(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteString(s[:size])
		}
		s = s[size:]
	}
	return out.String()
}

// Deceives tells whether r makes a line look like what it is not: controls of
// direction, separators of lines, characters without width. The joiners U+200C
// and U+200D belong to scripts and to emoji.
func Deceives(r rune) bool {
	switch {
	case r < 0xad:
		return false
	case r == 0x200c || r == 0x200d:
		return false
	case r == 0xad, r == 0x061c, r == 0x180e, r == 0xfeff,
		r >= 0x200b && r <= 0x200f,
		r >= 0x2028 && r <= 0x202e,
		r >= 0x2060 && r <= 0x206f,
		r >= 0xfff9 && r <= 0xfffb,
		r >= 0xe0000 && r <= 0xe007f:
		return true
	}
	return !unicode.IsPrint(r) && !unicode.IsSpace(r) && !unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc)
}

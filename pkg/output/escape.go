package output

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"orchestra/pkg/escape"
)

// Escape returns s as it can be shown on one line of a terminal.
func Escape(s string) string { return escape.Line(s) }

// EscapeLines is Escape for texts of several lines: line ends and tabs stay.
func EscapeLines(s string) string { return escape.Lines(s) }

// escapeJSON rewrites, inside JSON text, what a terminal would act upon and JSON
// allows to stand: DEL, the C1 controls and deceiving characters. The text
// stands for the same values afterwards.
func escapeJSON(text []byte) []byte {
	return escapeRunes(text, func(out []byte, r rune) []byte {
		if r > 0xffff {
			high, low := utf16.EncodeRune(r)
			return fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		}
		return fmt.Appendf(out, `\u%04x`, r)
	})
}

// escapeRunes rewrites DEL, the C1 controls and deceiving characters.
func escapeRunes(text []byte, write func([]byte, rune) []byte) []byte {
	clean := true
	for _, b := range text {
		if b >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return text
	}
	out := make([]byte, 0, len(text)+16)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r >= 0x7f && r <= 0x9f || escape.Deceives(r) {
			out = write(out, r)
		} else {
			out = append(out, text[:size]...)
		}
		text = text[size:]
	}
	return out
}

// Package value parses the values that people type: names, addresses, keys,
// paths. Each function takes text and returns its canonical form, or a fault of
// kind Invalid that says what is wrong. Nothing here looks at a clock, a file
// or the network, so that the same text always gives the same answer.
package value

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"orchestra/pkg/fault"
)

// LineLimit is the length of one-line text, in characters.
const LineLimit = 256

// LinesLimit is the length of text of several lines, in characters.
const LinesLimit = 65536

// Line returns text if it is one line that is safe to show anywhere: valid
// UTF-8 of at most limit characters, without control characters, and without
// those that hide or reorder what is read. Empty is accepted, only spaces is not.
func Line(text string, limit int) (string, error) {
	return plain(text, limit, false)
}

// Lines is Line for text of several lines: newlines and tabs are accepted.
func Lines(text string, limit int) (string, error) {
	return plain(text, limit, true)
}

func plain(text string, limit int, severalLines bool) (string, error) {
	if !utf8.ValidString(text) {
		return "", fault.New(fault.Invalid, "it is not valid UTF-8")
	}
	if utf8.RuneCountInString(text) > limit {
		return "", fault.New(fault.Invalid, "it has more than %d characters", limit)
	}
	previous := rune(0)
	for at, r := range text {
		switch {
		case severalLines && (r == '\n' || r == '\t'):
		case r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
			return "", fault.New(fault.Invalid, "it has a line break (%U) and only one line is possible", r)
		case r == '\u200c' || r == '\u200d':
			next, _ := utf8.DecodeRuneInString(text[at+utf8.RuneLen(r):])
			if !joins(previous, r) || !joins(next, r) {
				return "", fault.New(fault.Invalid, "it has an invisible character (%U)", r)
			}
		case forbidden(r):
			return "", fault.New(fault.Invalid, "it has a character that cannot be shown safely (%U)", r)
		}
		previous = r
	}
	if text != "" && strings.TrimFunc(text, blank) == "" {
		return "", fault.New(fault.Invalid, "it has only spaces")
	}
	return text, nil
}

// forbidden tells whether r rewrites a terminal's line, reorders what is read
// (Unicode's "Trojan Source" controls), shows nothing at all, or is what
// remains of text in another encoding.
func forbidden(r rune) bool {
	switch {
	case unicode.IsControl(r):
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // bidirectional controls
		return true
	case r == 0x00ad, r == 0x034f, r == 0x061c, r == 0x115f, r == 0x1160, r == 0x180e,
		r >= 0x200b && r <= 0x200f, r >= 0x2060 && r <= 0x2065, r >= 0x206a && r <= 0x206f,
		r == 0x3164, r == 0xfeff, r == 0xffa0: // no width, no sign
		return true
	case r >= 0xfff9 && r <= 0xfffd, r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef: // annotations, replacement, noncharacters
		return true
	case r >= 0xe0000 && r <= 0xe0fff: // tags: invisible text
		return true
	}
	return false
}

// blank tells whether r is a space, or looks like one (braille without dots).
func blank(r rune) bool { return unicode.IsSpace(r) || r == 0x2800 }

// joins tells whether the joiner has an effect beside r: in emoji, and in the
// scripts that need it. Between other letters it would only make two texts look
// the same.
func joins(r, joiner rune) bool {
	if joiner == '\u200d' && (r == '\ufe0f' || r >= 0x1f3fb && r <= 0x1f3ff || unicode.Is(unicode.So, r)) {
		return true
	}
	return unicode.In(r, unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi,
		unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala)
}

// cut returns text short enough to be quoted in a message.
func cut(text string) string {
	const most = 60
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	count := 0
	for at := range text {
		if count == most {
			return text[:at] + "…"
		}
		count++
	}
	return text
}

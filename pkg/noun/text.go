package noun

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"orchestra/pkg/fault"
)

// CheckText refuses what no text of a person holds, and what would deceive who
// reads it in a terminal, a table, a log or a configuration file: invalid
// UTF-8, control characters, invisible ones and those that turn the direction
// of writing. lines allows newlines and tabs. A limit of characters bounds it.
func CheckText(text string, limit int, lines bool) error {
	// Four bytes a character at most: refused before it is looked at.
	if len(text) > limit*utf8.UTFMax || utf8.RuneCountInString(text) > limit {
		return fault.New(fault.Invalid, "this is longer than %d characters", limit)
	}
	if !utf8.ValidString(text) {
		return fault.New(fault.Invalid, "this is not valid UTF-8")
	}
	blank, before := true, rune(0)
	for at, r := range text {
		after, _ := utf8.DecodeRuneInString(text[at+utf8.RuneLen(r):])
		switch {
		case lines && (r == '\n' || r == '\t'):
		case !lines && (r == '\n' || r == '\r'):
			return fault.New(fault.Invalid, "this is one line: it may not hold a newline")
		case unicode.IsControl(r):
			return fault.New(fault.Invalid, "this may not hold the control character %s", codePoint(r))
		case unicode.Is(unicode.Cf, r) && !joins(before, r, after), r == '\u2028', r == '\u2029':
			return fault.New(fault.Invalid, "this may not hold the invisible character %s", codePoint(r))
		}
		blank = blank && isBlank(r)
		before = r
	}
	if blank && text != "" {
		return fault.New(fault.Invalid, "this may not be only spaces")
	}
	return nil
}

func codePoint(r rune) string { return fmt.Sprintf("U+%04X", r) }

// joins tells whether the joiner r is part of how a script or a picture is
// written: U+200D within an emoji, U+200C between Arabic letters (Persian).
// Anywhere else they are invisible and make two names look the same.
func joins(before, r, after rune) bool {
	switch r {
	case '\u200d':
		return isPicture(before) && isPicture(after)
	case '\u200c':
		return unicode.Is(unicode.Arabic, before) && unicode.Is(unicode.Arabic, after)
	}
	return false
}

// isPicture tells whether r is an emoji, a skin tone, or the selector after one.
func isPicture(r rune) bool {
	return r == '\ufe0f' || unicode.Is(unicode.So, r) || (r >= 0x1f3fb && r <= 0x1f3ff)
}

// isBlank tells whether r shows nothing: spaces, and letters that look like them.
func isBlank(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u2800', '\u3164', '\uffa0':
		return true
	}
	return unicode.IsSpace(r)
}

package value

import (
	_ "embed" // the list of common passwords
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"orchestra/pkg/fault"
)

// PasswordLimit is the longest password, in bytes. Linux's PAM reads at most
// 511 and a NUL.
const PasswordLimit = 511

// Password checks a password in clear text and returns why it is refused, never
// the password itself: at least minimum characters and at most PasswordLimit
// bytes of UTF-8, no control characters, not only spaces, none of the most
// common ones, and not one of the person's own words (names, e-mail).
func Password(plain string, minimum int, own ...string) error {
	switch {
	case !utf8.ValidString(plain):
		return fault.New(fault.Invalid, "the password is not valid UTF-8")
	case utf8.RuneCountInString(plain) < minimum:
		return fault.New(fault.Invalid, "the password is shorter than %d characters", minimum)
	case len(plain) > PasswordLimit:
		return fault.New(fault.Invalid, "the password is longer than %d bytes", PasswordLimit)
	case strings.ContainsFunc(plain, unicode.IsControl):
		return fault.New(fault.Invalid, "the password has control characters")
	case strings.TrimSpace(plain) == "":
		return fault.New(fault.Invalid, "the password has only spaces")
	}
	folded := strings.ToLower(plain)
	if commonPasswords()[folded] {
		return fault.New(fault.Invalid, "the password is one of the most common ones")
	}
	for _, word := range own {
		if word != "" && (folded == strings.ToLower(word) || onlyDigitsAfter(folded, strings.ToLower(word))) {
			return fault.New(fault.Invalid, "the password is a name or address of its owner")
		}
	}
	return nil
}

// onlyDigitsAfter tells whether text is word and a few digits or signs: a year, say.
func onlyDigitsAfter(text, word string) bool {
	rest, found := strings.CutPrefix(text, word)
	return found && len(rest) <= 6 && strings.Trim(rest, "0123456789!.-_") == ""
}

//go:embed common.txt
var commonText string

var commonPasswords = sync.OnceValue(func() map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq(commonText) {
		words[word] = true
	}
	return words
})

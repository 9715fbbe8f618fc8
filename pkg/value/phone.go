package value

import (
	"strings"

	"orchestra/pkg/fault"
)

// Phone returns a telephone number as digits, with + before an international
// one (E.164, at most 15 digits); spaces, dots, dashes, slashes and
// parentheses between the digits go, and 00 at the beginning becomes +.
func Phone(text string) (string, error) {
	var digits strings.Builder
	for i, r := range strings.TrimSpace(text) {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case r == '+' && i == 0:
			digits.WriteRune(r)
		case strings.ContainsRune(" .-/()\u00a0", r) && i > 0, r == '(' && i == 0:
		default:
			return "", fault.New(fault.Invalid, "%q is not a telephone number, such as +34 933 00 00 00", cut(text))
		}
	}
	number := digits.String()
	if rest, found := strings.CutPrefix(number, "00"); found {
		number = "+" + rest
	}
	count := len(strings.TrimPrefix(number, "+"))
	if count < 3 || count > 15 || strings.HasPrefix(number, "+0") {
		return "", fault.New(fault.Invalid, "%q is not a telephone number: it has from 3 to 15 digits", cut(text))
	}
	return number, nil
}

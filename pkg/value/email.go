package value

import (
	"strings"

	"orchestra/pkg/fault"
)

// Email returns the canonical form of an e-mail address: the local part as
// written, the domain in lower case and A-labels. Local parts are dot-atoms of
// RFC 5322 less the characters that mailers and shells give a meaning
// (# $ % * / | and the backquote), and never begin with a dash. Quoted local
// parts, address literals and one-label domains are refused.
func Email(text string) (string, error) {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return "", fault.New(fault.Invalid, "%q has no @", cut(text))
	}
	local, err := localPart(text[:at])
	if err != nil {
		return "", err
	}
	domain, err := DomainName(text[at+1:])
	if err != nil {
		return "", err
	}
	if len(local)+1+len(domain) > 254 { // RFC 5321, 4.5.3.1.3, less its angle brackets
		return "", fault.New(fault.Invalid, "%q is longer than the 254 characters of an e-mail address", cut(text))
	}
	return local + "@" + domain, nil
}

// EmailDomain returns what follows the @ of a canonical e-mail address.
func EmailDomain(email string) string { return email[strings.LastIndexByte(email, '@')+1:] }

func localPart(local string) (string, error) {
	switch {
	case local == "":
		return "", fault.New(fault.Invalid, "nothing is before the @")
	case len(local) > 64: // RFC 5321, 4.5.3.1.1
		return "", fault.New(fault.Invalid, "%q, before the @, is longer than 64 characters", cut(local))
	case local[0] == '-':
		return "", fault.New(fault.Invalid, "%q begins with a dash", cut(local))
	case local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, ".."):
		return "", fault.New(fault.Invalid, "%q has a dot at its beginning or end, or two in a row", cut(local))
	}
	for i := range len(local) {
		if c := local[i]; !isLower(c) && !isUpper(c) && !isDigit(c) && !strings.ContainsRune(".!&'+-=?^_{}~", rune(c)) {
			return "", fault.New(fault.Invalid, "%q has a character that is not accepted before the @", cut(local))
		}
	}
	return local, nil
}

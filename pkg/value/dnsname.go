package value

import (
	"strings"

	"golang.org/x/net/idna"

	"orchestra/pkg/fault"
)

// OwnerName returns the canonical form of the name that a DNS record belongs to:
// lower case, A-labels, without the final dot. Its first label may be *, the
// wildcard (RFC 4592), and labels may begin with an underscore (RFC 8552); else
// they are letters, digits and dashes.
func OwnerName(text string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	if name == "" {
		return "", fault.New(fault.Invalid, "a name is needed")
	}
	rest, wildcard := strings.CutPrefix(name, "*.")
	if rest == "" {
		return "", fault.New(fault.Invalid, "%q is no name in a domain", cut(text))
	}
	if !isASCII(rest) {
		ascii, err := unicodeName(rest)
		if err != nil {
			return "", err
		}
		rest = ascii
	}
	for label := range strings.SplitSeq(rest, ".") {
		if err := ownerLabel(label, text); err != nil {
			return "", err
		}
	}
	if wildcard {
		rest = "*." + rest
	}
	if len(rest) > 253 {
		return "", fault.New(fault.Invalid, "%q is longer than the 253 characters of a name", cut(text))
	}
	return rest, nil
}

func ownerLabel(label, text string) error {
	switch {
	case label == "":
		return fault.New(fault.Invalid, "%q has an empty label", cut(text))
	case len(label) > 63:
		return fault.New(fault.Invalid, "%q has a label of more than 63 characters", cut(text))
	case label[0] == '-' || label[len(label)-1] == '-':
		return fault.New(fault.Invalid, "%q has a label that begins or ends with a dash", cut(text))
	}
	for i := range len(label) {
		if c := label[i]; !isLower(c) && !isDigit(c) && c != '-' && c != '_' {
			return fault.New(fault.Invalid, "%q has characters that no name in a domain has", cut(text))
		}
	}
	return nil
}

// unicodeName returns a name in letters of any script as A-labels.
func unicodeName(name string) (string, error) {
	labels := strings.Split(name, ".")
	for i, label := range labels {
		if isASCII(label) {
			continue
		}
		if mixesScripts(label) {
			return "", fault.New(fault.Invalid, "%q mixes letters of several scripts in one label", cut(name))
		}
		ascii, err := idna.Registration.ToASCII(label)
		if err != nil {
			return "", fault.New(fault.Invalid, "%q is not a domain name", cut(name))
		}
		labels[i] = ascii
	}
	return strings.Join(labels, "."), nil
}

// UnicodeName returns a canonical name as people write it: in U-labels; the
// name itself where it has no A-label.
func UnicodeName(name string) string {
	if !strings.Contains(name, "xn--") {
		return name
	}
	unicode, err := idna.Registration.ToUnicode(name)
	if err != nil {
		return name
	}
	return unicode
}

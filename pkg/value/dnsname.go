package value

import (
	"slices"
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
	rest, err := aLabels(rest)
	if err != nil {
		return "", err
	}
	for label := range strings.SplitSeq(rest, ".") {
		// An underscore stands for letters that are allowed here and in no host name.
		if err := checkLabel(strings.ReplaceAll(label, "_", "x"), text); err != nil {
			return "", err
		}
	}
	if wildcard {
		rest = "*." + rest
	}
	if err := checkLength(rest); err != nil {
		return "", err
	}
	return rest, nil
}

// maxName is the longest name, in characters without the final dot (RFC 1035, 3.1).
const maxName = 253

func checkLength(name string) error {
	if len(name) > maxName {
		return fault.New(fault.Invalid, "%q is longer than the %d characters of a name", cut(name), maxName)
	}
	return nil
}

// checkLabel checks a label in lower case (RFC 1123, 2.1) of the name text.
func checkLabel(label, text string) error {
	switch {
	case label == "":
		return fault.New(fault.Invalid, "%q has an empty label", cut(text))
	case len(label) > 63:
		return fault.New(fault.Invalid, "%q has a label of more than 63 characters", cut(text))
	case label[0] == '-' || label[len(label)-1] == '-':
		return fault.New(fault.Invalid, "%q has a label that begins or ends with a dash", cut(text))
	}
	for i := range len(label) {
		if c := label[i]; !isLower(c) && !isDigit(c) && c != '-' {
			return fault.New(fault.Invalid, "%q has characters that no name has", cut(text))
		}
	}
	return nil
}

// aLabels returns a name in letters of any script as A-labels (RFC 5891). It is
// judged as a whole: which way its labels are read is one question of them all.
// Labels with an underscore are no letters of a script, and stay as they are.
func aLabels(name string) (string, error) {
	if isASCII(name) {
		return name, nil
	}
	labels := strings.Split(name, ".")
	judged := slices.Clone(labels)
	for i, label := range labels {
		if mixesScripts(label) {
			return "", fault.New(fault.Invalid, "%q mixes letters of several scripts in one label", cut(name))
		}
		if isASCII(label) && strings.Contains(label, "_") {
			judged[i] = "x"
		}
	}
	ascii, err := idna.Registration.ToASCII(strings.Join(judged, "."))
	if err != nil {
		return "", fault.New(fault.Invalid, "%q is not a domain name", cut(name))
	}
	for i, label := range strings.Split(ascii, ".") {
		if !isASCII(labels[i]) {
			labels[i] = label
		}
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

// Package adversarial reads the collection of hostile and unusual values, by
// field, and says how each field is reached from the command line. A value that
// is to be refused must be refused before anything runs, with a message that
// names the field; one that is to be accepted must come back as it was given.
package adversarial

import (
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.json
var files embed.FS

// Expectations of a case.
const (
	Reject = "reject"
	Accept = "accept-and-roundtrip"
)

// Case is one value of one field.
type Case struct {
	File       string          `json:"-"`
	ID         string          `json:"id"`
	Kind       string          `json:"kind"`
	Field      string          `json:"field"`
	Raw        json.RawMessage `json:"value"`
	Encoding   string          `json:"encoding"` // "base64" where JSON cannot hold the bytes
	Expect     string          `json:"expect"`
	Normalized *string         `json:"normalized"` // the form that comes back, where it is another
	Why        string          `json:"why"`
	Basis      string          `json:"basis"` // spec, vuln, or policy-guess, which may be decided otherwise
	AlsoOK     string          `json:"also_ok"`
}

// Value returns the bytes of the case.
func (c Case) Value() (string, error) {
	var text string
	if err := json.Unmarshal(c.Raw, &text); err != nil {
		return "", fmt.Errorf("case %s: its value is no text: %w", c.ID, err)
	}
	if c.Encoding != "base64" {
		return text, nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", fmt.Errorf("case %s: %w", c.ID, err)
	}
	return string(data), nil
}

// Wanted returns what must come back of an accepted value.
func (c Case) Wanted(value string) string {
	if c.Normalized != nil {
		return *c.Normalized
	}
	return value
}

// Cases returns all cases whose field begins with one of prefixes, or all.
func Cases(prefixes ...string) ([]Case, error) {
	var all []Case
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var file struct {
			Cases []Case `json:"cases"`
		}
		if err := json.Unmarshal(data, &file); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, one := range file.Cases {
			one.File = name
			if len(prefixes) == 0 || begins(one.Field, prefixes) {
				all = append(all, one)
			}
		}
	}
	return all, nil
}

func begins(field string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if field == prefix || strings.HasPrefix(field, prefix+".") {
			return true
		}
	}
	return false
}

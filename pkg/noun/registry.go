package noun

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Registry holds all nouns of a program and what follows from them together.
type Registry struct {
	nouns      []*Noun
	byName     map[string]*Noun
	dependents map[string][]Dependent
}

// Dependent is a field of a noun that references another noun.
type Dependent struct {
	Noun  *Noun
	Field Field
}

// NewRegistry checks the declarations and returns their registry. Errors are
// defects of the program, all of them joined: a bad or double name, missing
// help, a reference to no noun, a verb that is derived already.
func NewRegistry(nouns ...*Noun) (*Registry, error) {
	r := &Registry{nouns: nouns, byName: make(map[string]*Noun, len(nouns)), dependents: map[string][]Dependent{}}
	var problems []error
	plurals := map[string]string{}
	for _, n := range nouns {
		if r.byName[n.Name] != nil {
			problems = append(problems, fmt.Errorf("noun %s is declared twice", n.Name))
		}
		if other, ok := plurals[n.Plural]; ok {
			problems = append(problems, fmt.Errorf("nouns %s and %s have the same plural", other, n.Name))
		}
		r.byName[n.Name], plurals[n.Plural] = n, n.Name
	}
	for _, n := range nouns {
		for _, err := range checkNoun(r, n) {
			problems = append(problems, fmt.Errorf("noun %s: %w", n.Name, err))
		}
		for _, f := range n.Fields {
			if f.Reference != "" {
				r.dependents[f.Reference] = append(r.dependents[f.Reference], Dependent{Noun: n, Field: f})
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return r, nil
}

// Noun returns a declaration by name, nil where there is none.
func (r *Registry) Noun(name string) *Noun { return r.byName[name] }

// Nouns returns all declarations in the order of registration.
func (r *Registry) Nouns() []*Noun { return r.nouns }

// Dependents returns the fields that reference the noun, in the order of registration.
func (r *Registry) Dependents(name string) []Dependent { return r.dependents[name] }

// OwnerPath returns the nouns from the one named up to the account: a record's
// is record, domain, account. It is nil where objects belong to nobody.
func (r *Registry) OwnerPath(name string) []*Noun {
	var path []*Noun
	for n := r.byName[name]; n != nil; {
		path = append(path, n)
		if n.IsAccount() {
			return path
		}
		owner, _ := n.Field(n.Owner)
		n = r.byName[owner.Reference]
	}
	return nil
}

// Names returns the names of all nouns, for "did you mean".
func (r *Registry) Names() []string {
	names := make([]string, len(r.nouns))
	for i, n := range r.nouns {
		names[i] = n.Name
	}
	return names
}

// DerivedVerbs returns the verbs that follow from the declaration.
func (n *Noun) DerivedVerbs() []string {
	verbs := []string{"add", "ensure", "list", "show", "set", "delete"}
	if n.Disableable {
		verbs = append(verbs, "enable", "disable")
	}
	if _, placed := n.Placement(); placed {
		verbs = append(verbs, "move")
	}
	kept := verbs[:0]
	for _, verb := range verbs {
		if !slices.Contains(n.Without, verb) {
			kept = append(kept, verb)
		}
	}
	return kept
}

// identifier tells whether name is lower-case words joined by the separator.
func identifier(name string, separator byte) bool {
	if name == "" || len(name) > 40 || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c == separator {
			if i == len(name)-1 || name[i+1] == separator {
				return false
			}
		} else if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// sentence tells why text is no line of help, "" where it is one.
func sentence(text string) string {
	switch {
	case text == "":
		return "has no help"
	case strings.HasSuffix(text, "."):
		return "has help that ends in a full stop"
	case strings.ContainsAny(text, "\r\n"):
		return "has help of several lines"
	}
	return ""
}

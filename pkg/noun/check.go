package noun

import (
	"errors"
	"fmt"
	"slices"
)

var areas = [...]string{
	"Accounts", "Mail", "DNS", "Web", "Databases", "Billing", "Monitoring", "Servers", "Administration",
}

// checkNoun returns the defects of one declaration.
func checkNoun(r *Registry, n *Noun) []error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !identifier(n.Name, '-') {
		bad("the name is not lower-case words joined by dashes")
	}
	if !identifier(n.Plural, '-') || n.Plural == n.Name {
		bad("the plural %q is not lower-case words of its own", n.Plural)
	}
	if !slices.Contains(areas[:], n.Area) {
		bad("the area %q is none of the help's groups", n.Area)
	}
	if why := sentence(n.Help); why != "" {
		bad("%s", why)
	}
	problems = append(problems, checkFields(r, n)...)
	if key, ok := n.Field(n.Key); !ok || key.Reference != "" || !key.Stored() || key.Holds() != HoldsText || !key.Required {
		bad("the key %q is not a required text field of it", n.Key)
	}
	if n.Owner != "" && !n.IsAccount() {
		if owner, ok := n.Field(n.Owner); !ok || owner.Reference == "" {
			bad("the owner %q is no reference of it", n.Owner)
		} else if !ownedByAccount(r, n) {
			bad("the owner %q does not lead to an account", n.Owner)
		}
	}
	for _, name := range n.Positional {
		if f, ok := n.Field(name); !ok || !f.Settable() || f.Name == n.Key {
			bad("the positional %q is no field that add takes", name)
		}
	}
	return append(problems, checkVerbs(r, n)...)
}

func checkFields(r *Registry, n *Noun) []error {
	var problems []error
	seen := map[string]bool{"id": true, CreatedField: true, DisabledField: true, ActiveField: true}
	placement := ""
	for _, f := range n.Fields {
		if f.Placement && placement != "" {
			problems = append(problems, fmt.Errorf("both %s and %s say where an object is", placement, f.Name))
		}
		if f.Placement {
			placement = f.Name
		}
		if seen[f.Name] {
			problems = append(problems, fmt.Errorf("field %s is declared twice, or is the engine's", f.Name))
		}
		seen[f.Name] = true
		if err := checkField(r, f); err != nil {
			problems = append(problems, fmt.Errorf("field %s: %w", f.Name, err))
		}
	}
	return problems
}

func checkField(r *Registry, f Field) error {
	if !identifier(f.Name, '_') {
		return errors.New("the name is not lower-case words joined by underscores")
	}
	if why := sentence(f.Help); why != "" {
		return errors.New(why)
	}
	if (f.Type == nil) == (f.Reference == "") {
		return errors.New("it has either a type or a reference")
	}
	if f.Reference != "" && r != nil && r.byName[f.Reference] == nil {
		return fmt.Errorf("it references %q, which is no noun", f.Reference)
	}
	if f.Reference == "" {
		if storage := f.Type.Storage(); storage != "TEXT" && storage != "INTEGER" {
			return fmt.Errorf("the storage %q is neither TEXT nor INTEGER", storage)
		}
	}
	switch {
	case f.Compute != nil && (f.Required || f.Unique || f.ServiceOwned || f.Default != nil || f.Counter != ""):
		return errors.New("a computed field is nothing else")
	case f.Secret != nil && (f.Listed || f.Unique || f.Reference != ""):
		return errors.New("a secret is neither listed nor unique nor a reference")
	case f.Secret != nil && f.Secret.Hash == nil && !f.ServiceOwned:
		return errors.New("a secret that is stored has no hash")
	case f.ServiceOwned && (f.Unique || f.Listed || f.Reference != "" || f.Counter != ""):
		return errors.New("a value of the service is not kept here: neither unique nor listed")
	case f.Placement && (f.Reference == "" || f.Required || f.Immutable || f.Hidden || f.OnDelete != Restrict):
		return errors.New("a placement is an optional reference that restricts")
	case f.OnDelete != Restrict && f.Reference == "":
		return errors.New("it references nothing that could be deleted")
	case f.OnDelete == Forget && f.Required:
		return errors.New("a required reference can't be forgotten")
	case f.Counter != "" && (f.Type == nil || f.Type.Storage() != "INTEGER"):
		return errors.New("a counter numbers an integer")
	}
	return nil
}

func ownedByAccount(r *Registry, n *Noun) bool {
	seen := map[string]bool{}
	for !n.IsAccount() {
		owner, _ := n.Field(n.Owner)
		if seen[n.Name] || r.byName[owner.Reference] == nil || r.byName[owner.Reference].Owner == "" {
			return false
		}
		seen[n.Name] = true
		n = r.byName[owner.Reference]
	}
	return true
}

func checkVerbs(r *Registry, n *Noun) []error {
	var problems []error
	all := *n
	all.Without = nil
	for _, name := range n.Without {
		if !slices.Contains(all.DerivedVerbs(), name) {
			problems = append(problems, fmt.Errorf("it goes without %q, which no noun has", name))
		}
	}
	seen := map[string]bool{}
	for _, name := range n.DerivedVerbs() {
		seen[name] = true
	}
	for _, v := range n.Verbs {
		bad := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("verb %s: %w", v.Name, fmt.Errorf(format, args...)))
		}
		if !identifier(v.Name, '-') {
			bad("the name is not lower-case words joined by dashes")
		}
		if seen[v.Name] {
			bad("it is declared twice, or derived")
		}
		seen[v.Name] = true
		if why := sentence(v.Help); why != "" {
			bad("%s", why)
		}
		if v.Example == "" {
			bad("it has no example")
		}
		if (v.Plan == nil) == (v.Show == nil) {
			bad("it has either Plan or Show")
		}
		options := map[string]bool{}
		for _, f := range v.Options {
			if options[f.Name] {
				bad("option %s is declared twice", f.Name)
			}
			options[f.Name] = true
			if err := checkField(r, f); err != nil {
				bad("option %s: %w", f.Name, err)
			}
		}
	}
	return problems
}

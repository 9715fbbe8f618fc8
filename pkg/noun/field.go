package noun

import (
	"strings"

	"orchestra/pkg/fault"
)

// Names of the fields that the engine adds to nouns.
const (
	CreatedField  = "created"  // when the object was made
	DisabledField = "disabled" // the stacked reasons, of Disableable nouns
	ActiveField   = "active"   // computed: no reason here nor at the owner
)

// Holds says of which Go type the values of a field are.
type Holds int

// The Go types of values.
const (
	HoldsText      Holds = iota // string
	HoldsInteger                // int64
	HoldsBoolean                // bool
	HoldsList                   // []string
	HoldsReference              // int64, the id of an object
)

// Holds returns the Go type of the field's values.
func (f Field) Holds() Holds {
	if f.Reference != "" {
		return HoldsReference
	}
	if lister, ok := f.Type.(Lister); ok && lister.IsList() {
		return HoldsList
	}
	if booler, ok := f.Type.(Booler); ok && booler.IsBoolean() {
		return HoldsBoolean
	}
	if f.Type.Storage() == "INTEGER" {
		return HoldsInteger
	}
	return HoldsText
}

// Stored tells whether the field is a column of the noun's table.
func (f Field) Stored() bool { return !f.ServiceOwned && !f.Computed() }

// Computed tells whether the value follows from others and is kept nowhere.
func (f Field) Computed() bool { return f.Compute != nil || f.active }

// Shown tells whether people may see, filter and sort by the value.
func (f Field) Shown() bool { return f.Secret == nil && !f.ServiceOwned }

// Settable tells whether add has a flag for the field.
func (f Field) Settable() bool { return !f.Hidden && !f.Computed() }

// Flag returns the field's name as a flag: full-name.
func (f Field) Flag() string {
	if f.Placement {
		return "on"
	}
	return strings.ReplaceAll(f.Name, "_", "-")
}

// Placement returns the field that says on which server an object is to be.
func (n *Noun) Placement() (Field, bool) {
	for _, f := range n.Fields {
		if f.Placement {
			return f, true
		}
	}
	return Field{}, false
}

// Parse returns the canonical value of what was typed, none for "". What a
// reference names is not looked up.
func (f Field) Parse(text string) (any, error) {
	if text == "" {
		return nil, nil
	}
	if f.Reference != "" {
		return text, nil
	}
	return f.Type.Parse(text)
}

// Check returns the canonical form of a value that was given as a Go value.
func (f Field) Check(value any) (any, error) {
	switch given := value.(type) {
	case nil:
		return nil, nil
	case string:
		return f.Parse(given)
	case Confidential:
		return f.Parse(string(given))
	case int:
		value = int64(given)
	}
	if f.Reference != "" {
		if id, ok := value.(int64); ok {
			return id, nil
		}
	} else if checker, ok := f.Type.(Checker); ok {
		return checker.Check(value)
	} else if f.Holds() == HoldsBoolean || f.Holds() == HoldsInteger {
		if text := f.Type.Format(value); text != "" {
			return f.Type.Parse(text)
		}
	}
	return nil, fault.New(fault.Internal, "a value of type %T is none of a %s field", value, f.typeName())
}

func (f Field) typeName() string {
	if f.Reference != "" {
		return f.Reference
	}
	return f.Type.Name()
}

// TypeName returns what help says of the field's values: the name of its type
// or of the noun that it references.
func (f Field) TypeName() string { return f.typeName() }

// Format returns the value as text; of a reference, name is asked for by who shows it.
func (f Field) Format(value any) string {
	if f.Reference != "" {
		if name, ok := value.(string); ok {
			return name
		}
		return Integer{}.Format(value)
	}
	return f.Type.Format(value)
}

// AllFields returns the declared fields and those that the engine adds.
func (n *Noun) AllFields() []Field {
	fields := make([]Field, 0, len(n.Fields)+3)
	fields = append(fields, n.Fields...)
	fields = append(fields, Field{
		Name: CreatedField, Type: Time{}, Help: "When it was made", Hidden: true, Immutable: true,
		Example: "2026-11-23T18:00:00Z",
	})
	if n.Disableable {
		fields = append(fields, Field{
			Name: DisabledField, Type: List{Of: Text{Max: 64}}, Help: "Why it is disabled", Hidden: true,
			Example: "unpaid",
		})
	}
	if n.HasActive() {
		fields = append(fields, Field{
			Name: ActiveField, Type: Boolean{}, Help: "Neither it nor its account is disabled", Hidden: true,
			Example: "yes", active: true,
		})
	}
	return fields
}

// HasActive tells whether objects of the noun can be inactive: by themselves
// or by who owns them.
func (n *Noun) HasActive() bool { return n.Disableable || n.Owner != "" }

// Field returns a field by name, of the declared ones and those that the engine adds.
func (n *Noun) Field(name string) (Field, bool) {
	for _, f := range n.Fields {
		if f.Name == name {
			return f, true
		}
	}
	switch name {
	case CreatedField, DisabledField, ActiveField:
		for _, f := range n.AllFields()[len(n.Fields):] {
			if f.Name == name {
				return f, true
			}
		}
	}
	return Field{}, false
}

// IsAccount tells whether objects of the noun own themselves: the account noun.
func (n *Noun) IsAccount() bool { return n.Owner == "id" }

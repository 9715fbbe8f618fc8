package noun

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Clone returns a copy that shares nothing that can be changed.
func (v Values) Clone() Values {
	clone := maps.Clone(v)
	for name, value := range clone {
		if list, ok := value.([]string); ok {
			clone[name] = slices.Clone(list)
		}
	}
	return clone
}

// Clone returns a copy that shares nothing that can be changed.
func (r Row) Clone() Row { return Row{Noun: r.Noun, ID: r.ID, Values: r.Values.Clone()} }

// Equal tells whether both hold the same; a field that is missing is none.
func (v Values) Equal(other Values) bool {
	for name, value := range v {
		if !EqualValue(value, other[name]) {
			return false
		}
	}
	for name, value := range other {
		if _, ok := v[name]; !ok && !EqualValue(nil, value) {
			return false
		}
	}
	return true
}

// EqualValue compares two values of a field. An empty list, an empty text and
// no are the same as none: that is how they are stored, or read where a field
// was declared later than the row was written.
func EqualValue(a, b any) bool {
	if isNone(a) || isNone(b) {
		return isNone(a) && isNone(b)
	}
	if list, ok := a.([]string); ok {
		other, ok := b.([]string)
		return ok && slices.Equal(list, other)
	}
	if _, ok := b.([]string); ok {
		return false
	}
	return a == b
}

func isNone(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case string:
		return value == ""
	case bool:
		return !value
	case []string:
		return len(value) == 0
	}
	return false
}

// UnmarshalJSON reads values in the very Go types that fields hold: int64 and
// []string where encoding/json would give float64 and []any.
func (v *Values) UnmarshalJSON(data []byte) error {
	var raw map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&raw); err != nil {
		return err
	}
	if raw == nil {
		*v = nil
		return nil
	}
	values := make(Values, len(raw))
	for name, value := range raw {
		decoded, err := decodeJSON(value)
		if err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
		values[name] = decoded
	}
	*v = values
	return nil
}

func decodeJSON(value any) (any, error) {
	switch value := value.(type) {
	case nil, string, bool:
		return value, nil
	case json.Number:
		return value.Int64()
	case []any:
		var list []string
		for _, element := range value {
			word, ok := element.(string)
			if !ok {
				return nil, fmt.Errorf("a list of %T", element)
			}
			list = append(list, word)
		}
		if list == nil {
			return nil, nil
		}
		return list, nil
	}
	return nil, fmt.Errorf("a value of type %T", value)
}

// Always returns the Default of a field that does not depend on anything.
func Always(value any) func(context.Context, View, Row) (any, error) {
	return func(context.Context, View, Row) (any, error) { return value, nil }
}

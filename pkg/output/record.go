package output

import (
	"bytes"
	"encoding/json"
)

// Member is one name and its value in a Record.
type Member struct {
	Name  string
	Value any
}

// Record is a JSON object whose members keep their order.
type Record []Member

// MarshalJSON writes the members in their order.
func (r Record) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	out.WriteByte('{')
	for i, member := range r {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := encoder.Encode(member.Name); err != nil {
			return nil, err
		}
		out.Truncate(out.Len() - 1) // the newline that Encode adds
		out.WriteByte(':')
		if err := encoder.Encode(member.Value); err != nil {
			return nil, err
		}
		out.Truncate(out.Len() - 1)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

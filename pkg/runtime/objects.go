package runtime

import (
	"errors"
	"fmt"
	"strings"
)

// Separators of the records of objects. A record is a line; its fields are
// name=value, each ended by FieldEnd; the last column, RecordEnd, shows that the
// line is whole. Values are escaped for bash's printf %b. The name of a list
// ends in "[]"; each of its elements is ended by ElementEnd.
const (
	FieldEnd   = "\x1f"
	ElementEnd = "\x1e"
	RecordEnd  = "."
)

// ObjectRecord is one object as a backend is told about it.
type ObjectRecord struct {
	Action string
	Noun   string
	ID     string
	Name   string
	// Facts and Before hold strings; lists of them are in Lists and BeforeLists.
	Facts, Before      map[string]string
	Lists, BeforeLists map[string][]string
}

var errRecord = errors.New("a record of an object that makes no sense")

// DecodeObjects reads the records of a step, as the prelude does in bash. It is
// the inverse of backend.EncodeObjects.
func DecodeObjects(records string) ([]ObjectRecord, error) {
	var objects []ObjectRecord
	for n := 1; records != ""; n++ {
		line, rest, whole := strings.Cut(records, "\n")
		records = rest
		if !whole {
			return nil, fmt.Errorf("%w: line %d is cut off", errRecord, n)
		}
		object, err := decodeObject(line)
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", errRecord, n, err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

func decodeObject(line string) (ObjectRecord, error) {
	object := ObjectRecord{
		Facts: map[string]string{}, Before: map[string]string{},
		Lists: map[string][]string{}, BeforeLists: map[string][]string{},
	}
	fields := strings.Split(line, FieldEnd)
	if fields[len(fields)-1] != RecordEnd {
		return object, errors.New("it has no end column")
	}
	for _, field := range fields[:len(fields)-1] {
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			return object, errors.New("a field without a name")
		}
		facts, lists := object.Facts, object.Lists
		if rest, ok := strings.CutPrefix(name, "before."); ok {
			name, facts, lists = rest, object.Before, object.BeforeLists
		}
		if rest, ok := strings.CutSuffix(name, "[]"); ok {
			elements, err := decodeList(value)
			if err != nil {
				return object, err
			}
			lists[rest] = elements
			continue
		}
		text, err := unescape(value)
		if err != nil {
			return object, err
		}
		switch name {
		case "@action":
			object.Action = text
		case "@noun":
			object.Noun = text
		case "@id":
			object.ID = text
		case "@name":
			object.Name = text
		default:
			facts[name] = text
		}
	}
	return object, nil
}

func decodeList(value string) ([]string, error) {
	elements := []string{}
	for value != "" {
		element, rest, whole := strings.Cut(value, ElementEnd)
		if !whole {
			return nil, errors.New("a list that is cut off")
		}
		text, err := unescape(element)
		if err != nil {
			return nil, err
		}
		elements, value = append(elements, text), rest
	}
	return elements, nil
}

// unescape reads what printf %b reads, of the escapes that we write: \\ and \0NNN.
func unescape(value string) (string, error) {
	if !strings.Contains(value, `\`) {
		return value, nil
	}
	var out strings.Builder
	for {
		plain, rest, found := strings.Cut(value, `\`)
		out.WriteString(plain)
		if !found {
			return out.String(), nil
		}
		if strings.HasPrefix(rest, `\`) {
			out.WriteByte('\\')
			value = rest[1:]
			continue
		}
		if len(rest) < 4 || rest[0] != '0' {
			return "", errors.New("an unknown escape")
		}
		code := 0
		for _, c := range []byte(rest[1:4]) {
			if c < '0' || c > '7' {
				return "", errors.New("an unknown escape")
			}
			code = code*8 + int(c-'0')
		}
		if code == 0 || code > 255 {
			return "", errors.New("an escape for no character")
		}
		out.WriteByte(byte(code))
		value = rest[4:]
	}
}

// label is how people call the object: "user acme".
func (o ObjectRecord) label() string { return o.Noun + " " + o.Name }

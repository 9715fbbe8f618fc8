package runtime

import (
	"errors"
	"fmt"
	"strings"
)

// The records of objects are lines of columns, each ended by FieldEnd; the last
// column, RecordEnd, shows that the line is whole. The first column is a mark:
// none, EscapedMark where a value of the line is escaped for bash's printf %b,
// SettingMark for a line that holds the name and the escaped value of a setting
// of the panel, before all others, or HeaderMark for a line that names the columns of the lines after it. That
// line has one more column: how many facts, how many facts as they were before, their
// names, then the names of lists ("keys", "before.keys"), each ended by
// ElementEnd. The lines after it hold action, noun, id, name and those
// values; each element of a list is ended by ElementEnd.
const (
	FieldEnd    = "\x1f"
	ElementEnd  = "\x1e"
	RecordEnd   = "."
	HeaderMark  = "#"
	EscapedMark = "%"
	SettingMark = "="

	plainColumns = 4 // action, noun, id, name
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
	var head header
	for n := 1; records != ""; n++ {
		line, rest, whole := strings.Cut(records, "\n")
		records = rest
		columns := strings.Split(line, FieldEnd)
		if !whole || columns[len(columns)-1] != RecordEnd {
			return nil, fmt.Errorf("%w: line %d is cut off", errRecord, n)
		}
		columns = columns[:len(columns)-1]
		var err error
		var object ObjectRecord
		switch {
		case len(columns) == 2 && columns[0] == HeaderMark:
			var names []string
			if names, err = decodeList(columns[1], false); err == nil {
				head, err = decodeHeader(names)
			}
		case len(columns) == 3 && columns[0] == SettingMark && len(objects) == 0:
			_, err = unescape(columns[2], true) // only scripts are told
		case len(columns) > 1 && (columns[0] == "" || columns[0] == EscapedMark):
			object, err = head.decode(columns[1:], columns[0] == EscapedMark)
			objects = append(objects, object)
		default:
			err = errors.New("a line of no kind")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", errRecord, n, err)
		}
	}
	return objects, nil
}

// header names the columns of the records that follow it.
type header struct{ facts, before, lists []string }

func decodeHeader(columns []string) (header, error) {
	if len(columns) < 2 {
		return header{}, errors.New("a header without its numbers")
	}
	facts, err := parseNumber(columns[0])
	if err != nil {
		return header{}, fmt.Errorf("the number of facts: %w", err)
	}
	before, err := parseNumber(columns[1])
	if err != nil {
		return header{}, fmt.Errorf("the number of facts before: %w", err)
	}
	names := columns[2:]
	if facts+before > len(names) {
		return header{}, errors.New("a header with too few names")
	}
	return header{facts: names[:facts], before: names[facts : facts+before], lists: names[facts+before:]}, nil
}

func (h header) decode(columns []string, escaped bool) (ObjectRecord, error) {
	object := ObjectRecord{
		Facts: map[string]string{}, Before: map[string]string{},
		Lists: map[string][]string{}, BeforeLists: map[string][]string{},
	}
	if len(columns) != plainColumns+len(h.facts)+len(h.before)+len(h.lists) {
		return object, errors.New("its columns are not those of its header")
	}
	var err error
	if object.Name, err = unescape(columns[3], escaped); err != nil {
		return object, err
	}
	object.Action, object.Noun, object.ID = columns[0], columns[1], columns[2]
	columns = columns[plainColumns:]
	for i, name := range h.facts {
		if object.Facts[name], err = unescape(columns[i], escaped); err != nil {
			return object, err
		}
	}
	columns = columns[len(h.facts):]
	for i, name := range h.before {
		if object.Before[name], err = unescape(columns[i], escaped); err != nil {
			return object, err
		}
	}
	columns = columns[len(h.before):]
	for i, name := range h.lists {
		lists := object.Lists
		if rest, ok := strings.CutPrefix(name, "before."); ok {
			name, lists = rest, object.BeforeLists
		}
		if lists[name], err = decodeList(columns[i], escaped); err != nil {
			return object, err
		}
	}
	return object, nil
}

func decodeList(value string, escaped bool) ([]string, error) {
	elements := []string{}
	for value != "" {
		element, rest, whole := strings.Cut(value, ElementEnd)
		if !whole {
			return nil, errors.New("a list that is cut off")
		}
		text, err := unescape(element, escaped)
		if err != nil {
			return nil, err
		}
		elements, value = append(elements, text), rest
	}
	return elements, nil
}

// unescape reads what printf %b reads, of the escapes that we write: \\ and \0NNN.
func unescape(value string, escaped bool) (string, error) {
	if !strings.Contains(value, `\`) {
		return value, nil
	}
	if !escaped {
		return "", errors.New("an escape where the line says that there is none")
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

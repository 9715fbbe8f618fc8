package backend

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"orchestra/pkg/noun"
	"orchestra/pkg/runtime"
	"orchestra/pkg/wire"
)

// A reference stands for a content in the records: no fact may hold its marks,
// so that nobody can forge one.
const (
	referenceStart = "\x10"
	referenceEnd   = "\x11"
)

// EncodeObjects writes the records that a backend reads: what runtime's
// DecodeObjects and the prelude's each_object take apart again. Contents and
// secrets travel apart; a fact holds a reference to its content, and what a
// content was before is not told. A fact with NUL or with the marks of a
// reference is refused.
func EncodeObjects(objects []Object) (records string, contents []wire.ContentItem, err error) {
	e := &encoder{}
	var last shape
	for i, object := range objects {
		is := shapeOf(object)
		if i == 0 || !is.equal(last) {
			e.header(is)
			last = is
		}
		if err := e.object(object, is); err != nil {
			return "", nil, fmt.Errorf("%s %s: %w", object.Noun, object.Name, err)
		}
	}
	return e.all.String(), e.contents, nil
}

// shape is which facts an object has.
type shape struct{ facts, before, lists []string }

func shapeOf(object Object) shape {
	var s shape
	sort := func(facts map[string]any, plain *[]string, prefix string) {
		for name, value := range facts {
			if _, isList := value.([]string); isList {
				s.lists = append(s.lists, prefix+name)
			} else {
				*plain = append(*plain, name)
			}
		}
		slices.Sort(*plain)
	}
	sort(object.Facts, &s.facts, "")
	sort(object.Before, &s.before, "before.")
	slices.Sort(s.lists)
	return s
}

func (s shape) equal(other shape) bool {
	return slices.Equal(s.facts, other.facts) && slices.Equal(s.before, other.before) && slices.Equal(s.lists, other.lists)
}

type encoder struct {
	all      strings.Builder
	out      strings.Builder // of the record that is being written
	contents []wire.ContentItem
}

func (e *encoder) column(text string) {
	e.out.WriteString(text)
	e.out.WriteString(runtime.FieldEnd)
}

// end ends a record, and says before it whether something in it is escaped.
func (e *encoder) end() {
	record, mark := e.out.String(), ""
	e.out.Reset()
	if strings.Contains(record, `\`) {
		mark = runtime.EscapedMark
	}
	e.all.WriteString(mark + runtime.FieldEnd + record + runtime.RecordEnd + "\n")
}

func (e *encoder) header(s shape) {
	names := append([]string{strconv.Itoa(len(s.facts)), strconv.Itoa(len(s.before))}, slices.Concat(s.facts, s.before, s.lists)...)
	e.all.WriteString(runtime.HeaderMark + runtime.FieldEnd)
	for _, name := range names {
		e.all.WriteString(name + runtime.ElementEnd)
	}
	e.all.WriteString(runtime.FieldEnd + runtime.RecordEnd + "\n")
}

func (e *encoder) object(object Object, s shape) error {
	for _, word := range []string{object.Action, object.Noun} {
		if !plainWord(word) {
			return fmt.Errorf("%q is no word", word)
		}
	}
	name, err := escape(object.Name)
	if err != nil {
		return fmt.Errorf("its name: %w", err)
	}
	e.column(object.Action)
	e.column(object.Noun)
	e.column(strconv.FormatInt(object.ID, 10))
	e.column(name)
	for _, fact := range s.facts {
		if err := e.fact(fact, object.Facts[fact], true); err != nil {
			return err
		}
	}
	for _, fact := range s.before {
		if err := e.fact(fact, object.Before[fact], false); err != nil {
			return err
		}
	}
	for _, fact := range s.lists {
		value, was := object.Facts[fact], false
		if rest, ok := strings.CutPrefix(fact, "before."); ok {
			value, was = object.Before[rest], true
		}
		if err := e.list(fact, value, was); err != nil {
			return err
		}
	}
	e.end()
	return nil
}

func (e *encoder) fact(name string, value any, now bool) error {
	if !plainWord(name) {
		return fmt.Errorf("%q is no name for a fact", name)
	}
	var text string
	switch v := value.(type) {
	case nil:
	case string:
		text = v
	case int64:
		text = strconv.FormatInt(v, 10)
	case int:
		text = strconv.Itoa(v)
	case bool:
		if v {
			text = "1"
		}
	case noun.Content:
		e.content([]byte(v), false, now)
		return nil
	case noun.Confidential:
		e.content([]byte(v), true, now)
		return nil
	default:
		return fmt.Errorf("fact %s: a %T is no fact", name, value)
	}
	escaped, err := escape(text)
	if err != nil {
		return fmt.Errorf("fact %s: %w", name, err)
	}
	e.column(escaped)
	return nil
}

// content writes a reference, and nothing for one that is empty or was before.
func (e *encoder) content(data []byte, secret, now bool) {
	if len(data) == 0 || !now {
		e.column("")
		return
	}
	reference := referenceStart + strconv.Itoa(len(e.contents)) + referenceEnd
	e.contents = append(e.contents, wire.ContentItem{Reference: reference, Data: data, Secret: secret})
	e.column(reference)
}

func (e *encoder) list(name string, value any, was bool) error {
	if !plainWord(strings.TrimPrefix(name, "before.")) && was {
		return fmt.Errorf("%q is no name for a fact", name)
	}
	elements, ok := value.([]string)
	if !ok {
		return fmt.Errorf("fact %s: a list and a %T under one name", name, value)
	}
	for _, element := range elements {
		escaped, err := escape(element)
		if err != nil {
			return fmt.Errorf("fact %s: %w", name, err)
		}
		e.out.WriteString(escaped)
		e.out.WriteString(runtime.ElementEnd)
	}
	e.column("")
	return nil
}

// escape writes text so that it is one column and printf %b gives it back.
func escape(text string) (string, error) {
	if !strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == '\\' || r == 0x7f }) {
		return text, nil
	}
	var out strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c == 0 || c == referenceStart[0] || c == referenceEnd[0]:
			return "", fmt.Errorf("the character \\%03o cannot be told to a backend", c)
		case c == '\\':
			out.WriteString(`\\`)
		case c < 0x20 || c == 0x7f:
			fmt.Fprintf(&out, `\0%03o`, c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), nil
}

// plainWord tells whether text can be a name within the records and in bash.
func plainWord(text string) bool {
	if text == "" || len(text) > 64 || text[0] == '-' {
		return false
	}
	for _, c := range []byte(text) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

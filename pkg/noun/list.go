package noun

import (
	"strings"

	"orchestra/pkg/fault"
)

// List is a list of values of a text type, in the order given and without
// repetition. An empty list is nil. Its text form separates elements by commas,
// or by newlines where Lines is set; an element that holds the separator is refused.
type List struct {
	Of    Type
	Lines bool // for elements that may hold commas, such as SSH keys
}

// Name implements Type.
func (t List) Name() string { return t.Of.Name() + " list" }

// IsList implements Lister.
func (List) IsList() bool { return true }

// Storage implements Type: a JSON array of strings.
func (List) Storage() string { return "TEXT" }

// Choices implements Chooser where the elements are chosen from a closed list.
func (t List) Choices() []string {
	if chooser, ok := t.Of.(Chooser); ok {
		return chooser.Choices()
	}
	return nil
}

// Separator returns what stands between elements in the text form.
func (t List) Separator() string {
	if t.Lines {
		return "\n"
	}
	return ","
}

// Parse implements Type. Spaces around elements and empty elements are dropped.
func (t List) Parse(text string) (any, error) {
	// Bounded before anything is split: this is typed by anybody.
	if strings.Count(text, t.Separator()) > 2*MaxElements {
		return nil, tooMany()
	}
	return t.Check(strings.Split(text, t.Separator()))
}

// Check implements Checker: it takes []string, each element as typed.
func (t List) Check(value any) (any, error) {
	if value == nil {
		return nil, nil
	}
	elements, ok := value.([]string)
	if !ok {
		return nil, fault.New(fault.Invalid, "this is no list")
	}
	var list []string
	seen := make(map[string]bool, len(elements))
	for _, element := range elements {
		if element = strings.Trim(element, " \t\r\n"); element == "" {
			continue
		}
		if strings.Contains(element, t.Separator()) {
			return nil, fault.New(fault.Invalid, "an element of this list may not hold %q: %q",
				t.Separator(), Excerpt(element))
		}
		parsed, err := t.Of.Parse(element)
		if err != nil {
			return nil, err
		}
		word := t.Of.Format(parsed)
		if seen[word] {
			continue
		}
		seen[word] = true
		if list = append(list, word); len(list) > MaxElements {
			return nil, tooMany()
		}
	}
	if list == nil {
		return nil, nil
	}
	return list, nil
}

func tooMany() error {
	return fault.New(fault.Invalid, "a list has at most %d elements", MaxElements)
}

// Format implements Type.
func (t List) Format(value any) string {
	list, _ := value.([]string)
	return strings.Join(list, t.Separator())
}

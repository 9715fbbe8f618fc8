package runtime

import (
	"fmt"
	"strings"

	"orchestra/pkg/wire"
)

// References stand for contents in facts and declarations. They hold control
// characters that no fact may have, so that nobody can write one.
const (
	referenceStart = "\x10"
	referenceEnd   = "\x11"
)

// Reference returns the token that stands for content number n.
func Reference(n int) string { return fmt.Sprintf("%s%d%s", referenceStart, n, referenceEnd) }

// HoldsReference tells whether text has a character that only references have.
func HoldsReference(text string) bool {
	return strings.ContainsAny(text, referenceStart+referenceEnd)
}

// contentOf returns what a reference stands for.
func (s *step) contentOf(reference string) (content []byte, secret bool, err error) {
	item, ok := s.contents[reference]
	if !ok {
		return nil, false, fmt.Errorf("%q is not a reference to a content", printable(reference))
	}
	return item.Data, item.Secret, nil
}

// expand replaces all references within a value by what they stand for.
func (s *step) expand(value string) (text string, secret bool, err error) {
	if !HoldsReference(value) {
		return value, false, nil
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(value, referenceStart)
		out.WriteString(before)
		if !found {
			return out.String(), secret, nil
		}
		number, after, closed := strings.Cut(rest, referenceEnd)
		if !closed {
			return "", false, fmt.Errorf("a reference that is cut off")
		}
		content, hidden, err := s.contentOf(referenceStart + number + referenceEnd)
		if err != nil {
			return "", false, err
		}
		out.Write(content)
		secret, value = secret || hidden, after
	}
}

// takeContents makes the contents of a step known to it.
func (s *step) takeContents(items []wire.ContentItem) error {
	s.contents = make(map[string]wire.ContentItem, len(items))
	for _, item := range items {
		if _, twice := s.contents[item.Reference]; twice || item.Reference == "" {
			return fail(wire.CodeDeclared, "", "two contents of one reference, or none")
		}
		s.contents[item.Reference] = item
		if item.Secret {
			s.secrets = append(s.secrets, string(item.Data))
		}
	}
	return nil
}

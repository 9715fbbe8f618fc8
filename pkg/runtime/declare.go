package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A declaration is what a verb of the prelude prints: the number of fields that
// follow, the object's place in the records (from 1; 0 for none), the verb and
// its arguments, each ended by NUL. The verb "end" alone says that the script
// came to its end: one that left in the middle has declared nothing.
type declaration struct {
	Object    int
	Verb      string
	Arguments []string
}

const (
	verbEnd = "end"

	maxDeclarations = 1 << 20 // in one step
	maxArguments    = 16
)

var errDeclaration = errors.New("a declaration that makes no sense")

// AppendDeclaration adds one declaration to what a declaring part prints.
// object is the object's place in the records, from 1; 0 for none. It is what
// simulated runners answer with.
func AppendDeclaration(out []byte, object int, verb string, arguments ...string) []byte {
	out = strconv.AppendInt(out, int64(len(arguments)+2), 10)
	out = append(out, 0)
	out = strconv.AppendInt(out, int64(object), 10)
	out = append(out, 0)
	out = append(append(out, verb...), 0)
	for _, argument := range arguments {
		out = append(append(out, argument...), 0)
	}
	return out
}

// EndDeclarations says that the declaring part came to its end.
func EndDeclarations(out []byte) []byte { return AppendDeclaration(out, 0, verbEnd) }

// CheckDeclarations looks at what a declaring part printed as a server would before
// it looks at anything else: it must be whole, and acts.sh must define what it names.
func CheckDeclarations(answer []byte, acts string) error {
	declarations, err := parseDeclarations(answer)
	if err != nil {
		return err
	}
	for _, d := range declarations {
		if missing := missingFunctions(acts, d.functions()); len(missing) > 0 {
			return fmt.Errorf("%s: acts.sh does not define %s", declared(d), strings.Join(missing, ", "))
		}
	}
	return nil
}

// functions returns the functions of acts.sh that a declaration names.
func (d declaration) functions() []string {
	switch {
	case d.Verb == "act" && len(d.Arguments) >= 5:
		return slices.DeleteFunc(slices.Clone(d.Arguments[2:5]), func(name string) bool { return name == "" })
	case d.Verb == "park-kind" && len(d.Arguments) == 2:
		return ParkFunctions(d.Arguments[0])
	case d.Verb == "check":
		return d.Arguments
	case d.Verb == "refresh" && len(d.Arguments) == 2:
		return d.Arguments[:1]
	}
	return nil
}

// parseDeclarations reads what a declaring part printed. It accepts nothing
// that is not whole, up to and with its end.
func parseDeclarations(answer []byte) ([]declaration, error) {
	var all []declaration
	for len(answer) > 0 {
		if len(all) == maxDeclarations {
			return nil, fmt.Errorf("%w: more than %d of them", errDeclaration, maxDeclarations)
		}
		var text string
		var ok bool
		if text, answer, ok = cutField(answer); !ok {
			return nil, fmt.Errorf("%w: cut off after %d", errDeclaration, len(all))
		}
		count, err := parseNumber(text)
		if err != nil || count < 2 || count > maxArguments+2 {
			return nil, fmt.Errorf("%w: %.20q fields in number %d", errDeclaration, text, len(all)+1)
		}
		fields := make([]string, count)
		for i := range fields {
			if fields[i], answer, ok = cutField(answer); !ok {
				return nil, fmt.Errorf("%w: number %d is cut off", errDeclaration, len(all)+1)
			}
		}
		object, err := parseNumber(fields[0])
		if err != nil || fields[1] == "" {
			return nil, fmt.Errorf("%w: number %d", errDeclaration, len(all)+1)
		}
		if fields[1] == verbEnd {
			if len(answer) > 0 || count != 2 || object != 0 {
				return nil, fmt.Errorf("%w: something after the end", errDeclaration)
			}
			return all, nil
		}
		all = append(all, declaration{Object: object, Verb: fields[1], Arguments: fields[2:]})
	}
	return nil, fmt.Errorf("%w: the declaring part left before its end, after %d declarations", errDeclaration, len(all))
}

func cutField(data []byte) (field string, rest []byte, ok bool) {
	before, after, found := bytes.Cut(data, []byte{0})
	return string(before), after, found
}

// parseNumber reads a number as we write it: digits, no sign, no leading zero.
func parseNumber(text string) (int, error) {
	if len(text) == 0 || len(text) > 9 || (len(text) > 1 && text[0] == '0') {
		return 0, strconv.ErrSyntax
	}
	n := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, strconv.ErrSyntax
		}
		n = n*10 + int(c-'0')
	}
	return n, nil
}

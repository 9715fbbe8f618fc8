// Package expression is the language of filters and of routes: conditions over
// the fields of objects. It is typed when it is compiled, bounded, total and
// deterministic: it knows no clock, no chance, no environment, no loop but over
// the lists that it is given, and no function but the few that are named here.
package expression

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// The limits of an expression, checked before it is parsed or compiled.
const (
	MaxLength = 4096 // bytes
	MaxDepth  = 32   // of brackets, and of the parsed tree
	maxNodes  = 600
)

// Type is the type of a variable.
type Type int

// The types of variables. A text, number or list that an object does not have
// is "", 0 or empty.
const (
	Text Type = iota + 1
	Number
	Truth
	TextList
)

// Environment says which variables there are: each is a Type, or an
// Environment whose variables are written behind a point.
type Environment map[string]any

// Values are the values of variables when an expression is evaluated.
type Values = map[string]any

// Fields returns the variables that are the fields of a noun which people may
// see; a reference is the name of what it references.
func Fields(n *noun.Noun) Environment {
	environment := Environment{}
	for _, f := range n.AllFields() {
		if !f.Shown() {
			continue
		}
		switch f.Holds() {
		case noun.HoldsInteger:
			environment[f.Name] = Number
		case noun.HoldsBoolean:
			environment[f.Name] = Truth
		case noun.HoldsList:
			environment[f.Name] = TextList
		default:
			environment[f.Name] = Text
		}
	}
	return environment
}

// Of returns the values of Fields for a row whose references are names.
func Of(n *noun.Noun, row noun.Row) Values {
	values := make(Values, len(row.Values)+2)
	for _, f := range n.AllFields() {
		if !f.Shown() {
			continue
		}
		switch f.Holds() {
		case noun.HoldsInteger:
			values[f.Name] = int(row.Int(f.Name))
		case noun.HoldsBoolean:
			values[f.Name] = row.Bool(f.Name)
		case noun.HoldsList:
			values[f.Name] = row.List(f.Name)
		default:
			values[f.Name] = row.Text(f.Name)
		}
	}
	return values
}

// Program is a compiled condition. It belongs to one goroutine.
type Program struct {
	source      string
	environment Environment
	program     *vm.Program
	machine     vm.VM
	used        map[string]bool
	equal       []Equality
}

// Equality is a comparison of a variable with a text that any match has to meet.
type Equality struct{ Variable, Text string }

// Compile reads a condition over an environment. What is wrong with it is a
// fault of kind Invalid that says where, and names the nearest variable.
func Compile(source string, environment Environment) (*Program, error) {
	text := strings.Trim(source, " ")
	if err := bounded(text); err != nil {
		return nil, err
	}
	p := &Program{source: source, environment: environment, used: map[string]bool{}}
	if err := p.inspect(text, environment); err != nil {
		return nil, err
	}
	compiled, err := expr.Compile(text, expr.Env(declared(environment)), expr.AsBool(), expr.MaxNodes(maxNodes))
	if err != nil {
		return nil, wrong(err, environment)
	}
	p.program = compiled
	return p, nil
}

func bounded(text string) error {
	switch {
	case text == "":
		return fault.New(fault.Invalid, "an empty expression matches nothing and everything").
			WithHint("Write true to match everything.")
	case len(text) > MaxLength:
		return fault.New(fault.Invalid, "this expression is longer than %d characters", MaxLength)
	case !utf8.ValidString(text):
		return fault.New(fault.Invalid, "this is not valid UTF-8")
	}
	depth := 0
	for _, r := range text {
		switch {
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return fault.New(fault.Invalid, "this is one line: it may not hold a newline or an invisible character")
		case r == '(' || r == '[' || r == '{':
			depth++
		case r == ')' || r == ']' || r == '}':
			depth--
		}
		if depth > MaxDepth {
			return tooDeep()
		}
	}
	return nil
}

func tooDeep() error {
	return fault.New(fault.Invalid, "this expression is nested deeper than %d", MaxDepth)
}

// wrong says what the parser or the checker says, without its drawing.
func wrong(err error, environment Environment) error {
	text := err.Error()
	var failure *file.Error
	if errors.As(err, &failure) {
		text = failure.Message
	}
	text, _, _ = strings.Cut(text, "\n")
	return fault.New(fault.Invalid, "this is no condition: %s", noun.Excerpt(text)).
		WithHint("A condition is such as: %s", example(environment))
}

// example returns a condition that the environment knows.
func example(environment Environment) string {
	if _, is := environment["account"].(Environment); is {
		return `account.type == "company" and not ("unpaid" in account.disabled)`
	}
	if environment["disabled"] == TextList && environment["name"] == Text {
		return `name == "acme" and not ("unpaid" in disabled)`
	}
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		if environment[name] == Text {
			return "not (" + name + ` contains "unpaid")`
		}
	}
	return "true"
}

func declared(environment Environment) types.Map {
	// The words of the predecessor's routes, which were Python.
	variables := types.Map{"True": types.Bool, "False": types.Bool}
	for name, kind := range environment {
		switch kind := kind.(type) {
		case Environment:
			inner := declared(kind)
			delete(inner, "True")
			delete(inner, "False")
			variables[name] = inner
		case Type:
			variables[name] = map[Type]types.Type{
				Text: types.String, Number: types.Int, Truth: types.Bool, TextList: types.Array(types.String),
			}[kind]
		}
	}
	return variables
}

// Match tells whether the condition holds for values, which are those of the
// environment; they are not changed but for the words True and False.
func (p *Program) Match(values Values) (bool, error) {
	values["True"], values["False"] = true, false
	result, err := p.machine.Run(p.program, values)
	if err != nil {
		return false, wrong(err, p.environment)
	}
	matches, _ := result.(bool)
	return matches, nil
}

// Uses tells whether the condition mentions the variable.
func (p *Program) Uses(variable string) bool { return p.used[variable] }

// Equalities returns comparisons that are necessary for a match, so that a
// database can look them up.
func (p *Program) Equalities() []Equality { return p.equal }

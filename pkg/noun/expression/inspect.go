package expression

import (
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// functions are those that an expression may call; predicates look at each
// element of a list and are not nested, so that time stays linear.
var (
	functions  = []string{"len", "lower", "upper", "trim", "hasPrefix", "hasSuffix", "min", "max", "abs"}
	predicates = []string{"any", "all", "none", "one", "count"}
	operators  = []string{
		"==", "!=", "<", "<=", ">", ">=", "and", "&&", "or", "||", "+", "-", "*", "/", "%",
		"in", "not in", "contains", "startsWith", "endsWith", "matches",
	}
)

// inspect parses text and refuses whatever is not of the language.
func (p *Program) inspect(text string, environment Environment) error {
	tree, err := parser.Parse(text)
	if err != nil {
		return wrong(err, environment)
	}
	i := inspector{environment: environment, used: p.used}
	if err := i.check(tree.Node, 0, false); err != nil {
		return err
	}
	p.equal = equalities(tree.Node, nil)
	return nil
}

type inspector struct {
	environment Environment
	used        map[string]bool
}

// check walks the tree. each says that the node is looked at for every element of a list.
func (i *inspector) check(node ast.Node, depth int, each bool) error {
	if depth > MaxDepth {
		return tooDeep()
	}
	var inner []ast.Node
	switch node := node.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode:
		return nil
	case *ast.PointerNode:
		if node.Name != "" {
			return refused("#" + node.Name)
		}
		return nil
	case *ast.IdentifierNode:
		if inner, ok := i.environment[node.Value].(Environment); ok {
			names := slices.Sorted(maps.Keys(inner))
			return fault.New(fault.Invalid, "%s is no value, but has %s", node.Value, list(names))
		}
		return i.variable(node.Value)
	case *ast.ChainNode:
		inner = []ast.Node{node.Node}
	case *ast.MemberNode:
		return i.member(node)
	case *ast.UnaryNode:
		inner = []ast.Node{node.Node}
	case *ast.BinaryNode:
		if !slices.Contains(operators, node.Operator) {
			return refused(node.Operator)
		}
		if _, constant := node.Right.(*ast.StringNode); node.Operator == "matches" && !constant {
			return fault.New(fault.Invalid, "what follows matches is a text in quotes")
		}
		inner = []ast.Node{node.Left, node.Right}
	case *ast.ConditionalNode:
		inner = []ast.Node{node.Cond, node.Exp1, node.Exp2}
	case *ast.ArrayNode:
		inner = node.Nodes
	case *ast.PredicateNode:
		inner = []ast.Node{node.Node}
	case *ast.BuiltinNode:
		predicate := slices.Contains(predicates, node.Name)
		if !predicate && !slices.Contains(functions, node.Name) || predicate && each {
			return refused(node.Name)
		}
		inner, each = node.Arguments, each || predicate
	case *ast.CallNode:
		if name, ok := node.Callee.(*ast.IdentifierNode); ok {
			return refused(name.Value)
		}
		return refused("()")
	default:
		return fault.New(fault.Invalid, "this expression holds what conditions do not have").
			WithHint("It has %s, %s, %s.", list(operators), list(functions), list(predicates))
	}
	for _, next := range inner {
		if err := i.check(next, depth+1, each); err != nil {
			return err
		}
	}
	return nil
}

func list(words []string) string { return strings.Join(words, ", ") }

func refused(word string) error {
	all := slices.Concat(functions, predicates)
	err := fault.New(fault.Invalid, "a condition knows no %q", noun.Excerpt(word))
	if near := fault.Nearest(word, all); near != "" {
		return err.WithHint("did you mean %q?", near)
	}
	return err.WithHint("It has %s, %s, %s.", list(operators), list(functions), list(predicates))
}

func (i *inspector) variable(name string) error {
	if name == "True" || name == "False" {
		return nil
	}
	if _, ok := i.environment[name]; !ok {
		return unknown(name, i.environment)
	}
	i.used[name] = true
	return nil
}

// member checks noun.field: no method, no computed name.
func (i *inspector) member(node *ast.MemberNode) error {
	object, ok := node.Node.(*ast.IdentifierNode)
	field, constant := node.Property.(*ast.StringNode)
	if !ok || !constant || node.Optional || node.Method {
		return refused(".")
	}
	if err := i.variable(object.Value); err != nil {
		return err
	}
	inner, ok := i.environment[object.Value].(Environment)
	if !ok {
		return fault.New(fault.Invalid, "%s has no fields", object.Value)
	}
	if _, ok := inner[field.Value].(Type); !ok {
		return unknown(field.Value, inner)
	}
	i.used[object.Value+"."+field.Value] = true
	return nil
}

func unknown(name string, environment Environment) error {
	names := slices.Sorted(maps.Keys(environment))
	err := fault.New(fault.Invalid, "there is no field %q here", noun.Excerpt(name))
	if near := fault.Nearest(name, names); near != "" {
		return err.WithHint("did you mean %q?", near)
	}
	return err.WithHint("the fields here are: %s", list(names))
}

// equalities gathers what both sides of every outermost "and" demand.
func equalities(node ast.Node, found []Equality) []Equality {
	binary, ok := node.(*ast.BinaryNode)
	if !ok {
		return found
	}
	switch binary.Operator {
	case "and", "&&":
		return equalities(binary.Right, equalities(binary.Left, found))
	case "==":
		left, right := binary.Left, binary.Right
		if _, ok := left.(*ast.StringNode); ok {
			left, right = right, left
		}
		variable, isVariable := left.(*ast.IdentifierNode)
		text, isText := right.(*ast.StringNode)
		// "" is also what is not there.
		if isVariable && isText && text.Value != "" {
			return append(found, Equality{variable.Value, text.Value})
		}
	}
	return found
}

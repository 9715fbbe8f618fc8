package message_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// use is one place where a sentence is made.
type use struct {
	format string
	where  token.Position
}

// uses returns all formats that the source gives to fault.New, .WithHint and
// message.New, with the help of declarations, and the places where a format is
// not constant.
func uses(t *testing.T) (found []use, variable []token.Position) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); path != root && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasSuffix(name, "test")) {
				return filepath.SkipDir
			}
			f, v, err := usesOf(path)
			found, variable = append(found, f...), append(variable, v...)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, variable
}

// usesOf looks at one package.
func usesOf(directory string) (found []use, variable []token.Position, err error) {
	files, err := filepath.Glob(filepath.Join(directory, "*.go"))
	if err != nil {
		return nil, nil, err
	}
	set := token.NewFileSet()
	var parsed []*ast.File
	constants := map[string]ast.Expr{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, err
		}
		parsed = append(parsed, file)
		for _, declaration := range file.Decls {
			if general, ok := declaration.(*ast.GenDecl); ok && general.Tok == token.CONST {
				for _, spec := range general.Specs {
					value := spec.(*ast.ValueSpec)
					for i, name := range value.Names {
						if i < len(value.Values) {
							constants[name.Name] = value.Values[i]
						}
					}
				}
			}
		}
	}
	formats := forwarders{}
	for {
		before := formats.count()
		found, variable = nil, nil
		for _, file := range parsed {
			found = append(found, helpIn(set, file, constants)...)
			for _, declaration := range file.Decls {
				f, v := usesIn(set, declaration, constants, formats)
				found, variable = append(found, f...), append(variable, v...)
			}
		}
		if formats.count() == before {
			return found, variable, nil
		}
	}
}

// forwarders are functions of a package that pass parameters on as formats, by
// name, with the places of these parameters.
type forwarders map[string]map[int]bool

func (f forwarders) add(name string, place int) {
	if f[name] == nil {
		f[name] = map[int]bool{}
	}
	f[name][place] = true
}

func (f forwarders) count() (all int) {
	for _, places := range f {
		all += len(places)
	}
	return all
}

// helpIn returns the help of declarations: of nouns, fields, verbs and settings.
func helpIn(set *token.FileSet, file *ast.File, constants map[string]ast.Expr) (found []use) {
	ast.Inspect(file, func(node ast.Node) bool {
		pair, ok := node.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		if key, ok := pair.Key.(*ast.Ident); ok && (key.Name == "Help" || key.Name == "Long" || key.Name == "help") {
			if text, err := constant(pair.Value, constants, 0); err == nil {
				found = append(found, use{text, set.Position(pair.Pos())})
			}
		}
		return true
	})
	return found
}

// usesIn looks at one declaration. A function whose own parameter is a format
// becomes a forwarder.
func usesIn(set *token.FileSet, declaration ast.Decl, constants map[string]ast.Expr, formats forwarders) (found []use, variable []token.Position) {
	function, _ := declaration.(*ast.FuncDecl)
	ast.Inspect(declaration, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		places, ours := formatsOf(call, formats)
		for at := range places {
			if len(call.Args) <= at {
				continue
			}
			argument := call.Args[at]
			format, err := constant(argument, constants, 0)
			if err == nil {
				found = append(found, use{format, set.Position(call.Pos())})
			} else if place, ok := parameter(function, argument); ok {
				formats.add(function.Name.Name, place)
			} else if ours && !declared(argument) {
				variable = append(variable, set.Position(call.Pos()))
			}
		}
		return true
	})
	return found, variable
}

// parameter tells which parameter of a function an argument is.
func parameter(function *ast.FuncDecl, argument ast.Expr) (int, bool) {
	name, ok := argument.(*ast.Ident)
	if !ok || function == nil {
		return 0, false
	}
	at := 0
	for _, field := range function.Type.Params.List {
		for _, n := range field.Names {
			if n.Name == name.Name {
				return at, true
			}
			at++
		}
	}
	return 0, false
}

// formatsOf returns which arguments of a call are formats, and whether it is a
// call of the catalogue's own functions; a forwarder is known by its name only,
// which another may have.
func formatsOf(call *ast.CallExpr, formats forwarders) (places map[int]bool, ours bool) {
	switch function := call.Fun.(type) {
	case *ast.Ident:
		return formats[function.Name], false
	case *ast.SelectorExpr:
		if function.Sel.Name == "WithHint" {
			return map[int]bool{0: true}, true
		}
		from, ok := function.X.(*ast.Ident)
		if ok && function.Sel.Name == "New" && from.Name == "fault" {
			return map[int]bool{1: true}, true
		}
		if ok && function.Sel.Name == "New" && from.Name == "message" {
			return map[int]bool{0: true}, true
		}
		return formats[function.Sel.Name], false
	}
	return nil, false
}

// declared tells whether an argument is the text of a declaration, which is its
// own key: a noun's help.
func declared(argument ast.Expr) bool {
	selector, ok := argument.(*ast.SelectorExpr)
	return ok && (selector.Sel.Name == "Help" || selector.Sel.Name == "Long" || selector.Sel.Name == "Format")
}

func constant(expression ast.Expr, constants map[string]ast.Expr, depth int) (string, error) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return strconv.Unquote(e.Value)
		}
	case *ast.ParenExpr:
		return constant(e.X, constants, depth)
	case *ast.BinaryExpr:
		left, err := constant(e.X, constants, depth)
		if err != nil || e.Op != token.ADD {
			return "", fmt.Errorf("no constant: %w", err)
		}
		right, err := constant(e.Y, constants, depth)
		return left + right, err
	case *ast.Ident:
		if value, ok := constants[e.Name]; ok && depth < 5 {
			return constant(value, constants, depth+1)
		}
	}
	return "", fmt.Errorf("no constant")
}

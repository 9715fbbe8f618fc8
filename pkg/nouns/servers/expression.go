package servers

import (
	"context"
	"errors"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/noun/expression"
	"orchestra/pkg/value"
)

// matchLimit is the longest expression of a route, in characters.
const matchLimit = 1000

// parseMatch checks what can be said of an expression without knowing its noun.
func parseMatch(text string) (string, error) { return value.Line(text, matchLimit) }

// compile types the expression of a route against the noun of its backend:
// its fields are behind the noun's name, and those of its account behind account.
func compile(view noun.View, backend Backend, match string) (*expression.Program, error) {
	n := view.Noun(backend.Noun)
	if n == nil {
		return nil, fault.New(fault.Invalid, "backend %s is of the noun %q, which does not exist", backend.Name, backend.Noun).About("route.name")
	}
	environment := expression.Environment{n.Name: expression.Fields(n)}
	if account := view.Noun(accountName); account != nil && n.Owner != "" {
		environment[accountName] = expression.Fields(account)
	}
	program, err := expression.Compile(match, environment)
	if err != nil {
		var e *fault.Error
		if errors.As(err, &e) && e.Field == "" {
			return nil, e.About("route.match")
		}
		return nil, err
	}
	return program, nil
}

// evaluate tells for each of rows, all of noun n, whether the program holds. It
// asks a constant number of questions, and only those that the program needs.
func evaluate(ctx context.Context, view noun.View, n *noun.Noun, program *expression.Program, rows []noun.Row) ([]bool, error) {
	matches := make([]bool, len(rows))
	if len(rows) == 0 {
		return matches, nil
	}
	var objects []expression.Values
	var accounts map[int64]expression.Values
	var owners []noun.Row
	var err error
	if program.Uses(n.Name) {
		if objects, err = valuesOf(ctx, view, n, program, rows); err != nil {
			return nil, err
		}
	}
	if program.Uses(accountName) && !n.IsAccount() && n.Owner != "" {
		if owners, err = accountsOf(ctx, view, n, rows); err != nil {
			return nil, err
		}
		if accounts, err = valuesByID(ctx, view, program, owners); err != nil {
			return nil, err
		}
	}
	values := expression.Values{}
	for i := range rows {
		if objects != nil {
			values[n.Name] = objects[i]
		}
		if accounts != nil {
			values[accountName] = accounts[owners[i].ID]
		}
		if matches[i], err = program.Match(values); err != nil {
			return nil, err
		}
	}
	return matches, nil
}

// valuesByID is valuesOf for accounts, each of which may own many objects.
func valuesByID(ctx context.Context, view noun.View, program *expression.Program, owners []noun.Row) (map[int64]expression.Values, error) {
	byID := map[int64]expression.Values{}
	var once []noun.Row
	for _, owner := range owners {
		if _, known := byID[owner.ID]; !known {
			byID[owner.ID] = nil
			once = append(once, owner)
		}
	}
	values, err := valuesOf(ctx, view, view.Noun(accountName), program, once)
	if err != nil {
		return nil, err
	}
	for i, owner := range once {
		byID[owner.ID] = values[i]
	}
	return byID, nil
}

// valuesOf returns the values of rows as people see them: references by name.
func valuesOf(ctx context.Context, view noun.View, n *noun.Noun, program *expression.Program, rows []noun.Row) ([]expression.Values, error) {
	named := rows
	for _, field := range n.Fields {
		if field.Reference != "" && program.Uses(n.Name+"."+field.Name) {
			var err error
			if named, err = noun.Named(ctx, view, rows); err != nil {
				return nil, err
			}
			break
		}
	}
	all := make([]expression.Values, len(rows))
	for i, row := range named {
		all[i] = expression.Of(n, row)
	}
	if n.HasActive() && program.Uses(n.Name+"."+noun.ActiveField) {
		active, err := noun.ActiveOf(ctx, view, rows)
		if err != nil {
			return nil, err
		}
		for i := range all {
			all[i][noun.ActiveField] = active[i]
		}
	}
	return all, nil
}

// accountsOf returns the account that each of rows leads to: one question for
// each noun on the way.
func accountsOf(ctx context.Context, view noun.View, n *noun.Noun, rows []noun.Row) ([]noun.Row, error) {
	above := rows
	for !n.IsAccount() {
		field, _ := n.Field(n.Owner)
		var ids []any
		known := map[int64]bool{}
		for _, row := range above {
			if id := row.Int(n.Owner); !known[id] {
				known[id] = true
				ids = append(ids, id)
			}
		}
		found, err := view.Select(ctx, field.Reference, noun.Where("id", ids...))
		if err != nil {
			return nil, err
		}
		byID := make(map[int64]noun.Row, len(found))
		for _, row := range found {
			byID[row.ID] = row
		}
		next := make([]noun.Row, len(above))
		for i, row := range above {
			next[i] = byID[row.Int(n.Owner)]
			next[i].Noun = field.Reference
		}
		above, n = next, view.Noun(field.Reference)
	}
	return above, nil
}

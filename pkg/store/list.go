package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/noun/expression"
)

// Query says which rows of a noun List returns, and what of them.
type Query struct {
	Filter  string   // an expression over the noun's fields; "" for all
	Sort    []string // fields, "-field" downwards; none: by the key
	Limit   int      // 0 for all
	Columns []string // fields wanted; none: all that are not secret
	Account string   // only objects of the account of that name; "" for all
	Names   []string // exactly these objects, by an index; none: all
}

// listing is one List on its way.
type listing struct {
	tx      *Tx
	table   *table
	query   Query
	fields  []noun.Field // that are read: wanted, filtered by or sorted by
	program *expression.Program
	// What the statement returns behind the columns: names of references, active.
	named  map[string]int
	active int
	// Computed fields are known only in Go: then filter and order are applied there.
	late bool
}

// List returns rows whose references are names, with computed fields. The
// number of statements does not depend on the number of rows. The filter is
// bounded and typed; it sees what people may see.
func (t *Tx) List(ctx context.Context, name string, query Query) ([]noun.Row, error) {
	table, err := t.table(name)
	if err != nil {
		return nil, err
	}
	l := listing{tx: t, table: table, query: query}
	if err := l.choose(); err != nil {
		return nil, err
	}
	statement, args, err := l.statement(ctx)
	if err != nil {
		return nil, err
	}
	raw, rows, err := l.read(ctx, statement, args)
	if err != nil {
		return nil, err
	}
	if err := l.compute(ctx, raw, rows); err != nil {
		return nil, err
	}
	if l.late {
		if rows, err = l.filter(rows); err != nil {
			return nil, err
		}
		l.sort(rows)
	}
	if query.Limit > 0 && len(rows) > query.Limit {
		rows = rows[:query.Limit]
	}
	return rows, nil
}

// choose finds the fields that are wanted and compiles the filter.
func (l *listing) choose() error {
	n := l.table.noun
	wanted := map[string]bool{n.Key: true}
	for _, column := range l.query.Columns {
		wanted[column] = true
	}
	for _, sort := range l.query.Sort {
		wanted[strings.TrimPrefix(sort, "-")] = true
	}
	if l.query.Filter != "" {
		var err error
		if l.program, err = expression.Compile(l.query.Filter, expression.Fields(n)); err != nil {
			return err
		}
	}
	var shown []string
	for _, f := range l.table.fields {
		if !f.Shown() {
			continue
		}
		shown = append(shown, f.Name)
		filtered := l.program != nil && l.program.Uses(f.Name)
		if len(l.query.Columns) == 0 || wanted[f.Name] || filtered {
			l.fields = append(l.fields, f)
		}
		if f.Compute != nil && (filtered || slices.Contains(l.query.Sort, f.Name) || slices.Contains(l.query.Sort, "-"+f.Name)) {
			l.late = true
		}
		delete(wanted, f.Name)
	}
	for _, name := range slices.Concat(l.query.Columns, l.query.Sort) {
		if name = strings.TrimPrefix(name, "-"); wanted[name] {
			err := fault.New(fault.Invalid, "%s has no field %q", n.Name, noun.Excerpt(name))
			if near := fault.Nearest(name, shown); near != "" {
				return err.WithHint("Did you mean %s?", near)
			}
			return err.WithHint("It has %s.", strings.Join(shown, ", "))
		}
	}
	return nil
}

// statement returns the one question that is asked.
func (l *listing) statement(ctx context.Context) (string, []any, error) {
	t := l.table
	columns := []string{"t.id"}
	var joins strings.Builder
	l.named = map[string]int{}
	for _, c := range t.columns {
		columns = append(columns, l.column(c))
	}
	for i, f := range l.fields {
		if f.Reference == "" || !f.Stored() {
			continue
		}
		other, alias := l.tx.store.schema.tables[f.Reference], fmt.Sprintf("r%d", i)
		fmt.Fprintf(&joins, " LEFT JOIN %s AS %s ON %s.id = t.%s", other.name, alias, alias, quote(f.Name))
		l.named[f.Name] = len(columns)
		columns = append(columns, alias+"."+other.key)
	}
	owner := "t"
	disabled := []string{}
	for i, n := range t.path {
		if i > 0 {
			below, alias := t.path[i-1], fmt.Sprintf("o%d", i)
			fmt.Fprintf(&joins, " LEFT JOIN %s AS %s ON %s.id = %s.%s", tableName(n), alias, alias, owner, quote(below.Owner))
			owner = alias
		}
		if n.Disableable {
			disabled = append(disabled, owner+"."+quote(noun.DisabledField)+" IS NULL")
		}
	}
	if len(t.path) == 0 && t.noun.Disableable {
		disabled = append(disabled, "t."+quote(noun.DisabledField)+" IS NULL")
	}
	active := "1"
	if len(disabled) > 0 {
		active = "(" + strings.Join(disabled, " AND ") + ")"
	}
	l.active = len(columns)
	columns = append(columns, active)

	where, args, err := l.where(ctx, owner)
	if err != nil {
		return "", nil, err
	}
	text := "SELECT " + strings.Join(columns, ", ") + " FROM " + t.name + " AS t" + joins.String() + where
	if !l.late {
		text += " ORDER BY " + l.order(columns)
		if l.query.Limit > 0 && l.program == nil {
			text += " LIMIT ?"
			args = append(args, l.query.Limit)
		}
	}
	return text, args, nil
}

// column returns NULL for what is not asked for, secrets above all: they do
// not leave the database. A computed field may need any of the others.
func (l *listing) column(c column) string {
	computed := slices.ContainsFunc(l.fields, func(f noun.Field) bool { return f.Compute != nil })
	asked := slices.ContainsFunc(l.fields, func(f noun.Field) bool { return f.Name == c.field.Name })
	if c.field.Shown() && (asked || computed) {
		return "t." + c.name
	}
	return "NULL"
}

// where narrows to an account, and to what the filter demands of stored texts,
// so that looking up a name reads one row.
func (l *listing) where(ctx context.Context, owner string) (string, []any, error) {
	var parts []string
	var args []any
	if l.query.Account != "" {
		if len(l.table.path) == 0 {
			return "", nil, fault.New(fault.Usage, "a %s belongs to no account", l.table.noun.Name)
		}
		account, err := l.tx.Find(ctx, l.table.path[len(l.table.path)-1].Name, l.query.Account)
		if err != nil {
			return "", nil, err
		}
		parts, args = append(parts, owner+".id = ?"), append(args, account.ID)
	}
	if len(l.query.Names) > 0 {
		names := make([]string, 0, len(l.query.Names))
		for _, name := range l.query.Names {
			if key, err := l.table.canonical(ctx, l.tx, name); err == nil {
				names = append(names, key) // what could be no name finds nothing
			}
		}
		list, err := json.Marshal(names)
		if err != nil {
			return "", nil, err
		}
		parts = append(parts, "t."+l.table.key+" IN (SELECT value FROM json_each(?))")
		args = append(args, string(list))
	}
	if l.program != nil {
		for _, equal := range l.program.Equalities() {
			field, ok := l.table.noun.Field(equal.Variable)
			if !ok || !field.Stored() {
				continue
			}
			if field.Reference != "" {
				other := l.tx.store.schema.tables[field.Reference]
				parts = append(parts, "t."+quote(field.Name)+" = (SELECT id FROM "+other.name+" WHERE "+other.key+" = ?)")
				args = append(args, equal.Text)
			} else if field.Holds() == noun.HoldsText {
				parts, args = append(parts, "t."+quote(field.Name)+" = ?"), append(args, equal.Text)
			}
		}
	}
	if len(parts) == 0 {
		return "", nil, nil
	}
	return " WHERE " + strings.Join(parts, " AND "), args, nil
}

// order returns the columns to sort by, the key last.
func (l *listing) order(columns []string) string {
	var terms []string
	for _, sort := range append(slices.Clone(l.query.Sort), l.table.noun.Key) {
		name, down := strings.CutPrefix(sort, "-")
		term := "t." + quote(name)
		if at, ok := l.named[name]; ok {
			term = columns[at]
		} else if name == noun.ActiveField {
			term = columns[l.active]
		}
		if down {
			term += " DESC"
		}
		terms = append(terms, term)
	}
	return strings.Join(terms, ", ")
}

// read returns the rows as stored, for Compute, and as people see them.
func (l *listing) read(ctx context.Context, statement string, args []any) (raw, rows []noun.Row, err error) {
	answer, err := l.tx.Query(ctx, statement, args...)
	if err != nil {
		return nil, nil, fmt.Errorf("list %s: %w", l.table.noun.Plural, err)
	}
	defer func() { _ = answer.Close() }()
	cells, pointers := buffer(l.active + 1)
	computed := slices.ContainsFunc(l.fields, func(f noun.Field) bool { return f.Compute != nil })
	for answer.Next() {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if err := answer.Scan(pointers...); err != nil {
			return nil, nil, fmt.Errorf("list %s: %w", l.table.noun.Plural, err)
		}
		stored, err := l.table.decode(cells)
		if err != nil {
			return nil, nil, err
		}
		row := noun.Row{Noun: stored.Noun, ID: stored.ID, Values: make(noun.Values, len(l.fields))}
		for _, f := range l.fields {
			var value any
			if at, ok := l.named[f.Name]; ok {
				value, _ = cells[at].(string)
				if value == "" {
					value = nil
				}
			} else if f.Name == noun.ActiveField {
				value = cells[l.active] == int64(1)
			} else {
				value = stored.Values[f.Name]
			}
			put(row.Values, f.Name, value)
		}
		if l.program != nil && !l.late {
			matches, err := l.program.Match(expression.Of(l.table.noun, row))
			if err != nil {
				return nil, nil, err
			}
			if !matches {
				continue
			}
		}
		if rows = append(rows, row); computed {
			raw = append(raw, stored)
		}
		if l.query.Limit > 0 && !l.late && len(rows) >= l.query.Limit {
			break
		}
	}
	return raw, rows, answer.Err()
}

// compute fills in the computed fields, each for all rows at once.
func (l *listing) compute(ctx context.Context, raw, rows []noun.Row) error {
	if len(rows) == 0 {
		return nil
	}
	for _, f := range l.fields {
		if f.Compute == nil {
			continue
		}
		values, err := f.Compute(ctx, l.tx, raw)
		if err != nil {
			return fmt.Errorf("compute %s of %s: %w", f.Name, l.table.noun.Plural, err)
		}
		if len(values) != len(rows) {
			return fmt.Errorf("compute %s: %d values for %d %s", f.Name, len(values), len(rows), l.table.noun.Plural)
		}
		for i, value := range values {
			put(rows[i].Values, f.Name, value)
		}
	}
	return nil
}

func (l *listing) filter(rows []noun.Row) ([]noun.Row, error) {
	if l.program == nil {
		return rows, nil
	}
	kept := rows[:0]
	for _, row := range rows {
		matches, err := l.program.Match(expression.Of(l.table.noun, row))
		if err != nil {
			return nil, err
		}
		if matches {
			kept = append(kept, row)
		}
	}
	return kept, nil
}

func (l *listing) sort(rows []noun.Row) {
	sorts := append(slices.Clone(l.query.Sort), l.table.noun.Key)
	slices.SortStableFunc(rows, func(a, b noun.Row) int {
		for _, sort := range sorts {
			name, down := strings.CutPrefix(sort, "-")
			order := compare(a.Values[name], b.Values[name])
			if down {
				order = -order
			}
			if order != 0 {
				return order
			}
		}
		return 0
	})
}

// compare orders values of one field as SQLite does: none first.
func compare(a, b any) int {
	switch a := a.(type) {
	case nil:
		if b == nil {
			return 0
		}
		return -1
	case string:
		if b, ok := b.(string); ok {
			return cmp.Compare(a, b)
		}
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	case bool:
		if b, ok := b.(bool); ok {
			return cmp.Compare(encode(a).(int64), encode(b).(int64))
		}
	case []string:
		if b, ok := b.([]string); ok {
			return slices.Compare(a, b)
		}
	}
	if b == nil {
		return 1
	}
	return 0
}

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

func (t *Tx) table(name string) (*table, error) {
	if found := t.store.schema.tables[name]; found != nil {
		return found, nil
	}
	err := fault.New(fault.Internal, "there is no noun %q", noun.Excerpt(name))
	if near := fault.Nearest(name, t.Registry().Names()); near != "" {
		return nil, err.WithHint("Did you mean %s?", near)
	}
	return nil, err
}

// Get implements noun.View.
func (t *Tx) Get(ctx context.Context, name string, id int64) (noun.Row, error) {
	table, err := t.table(name)
	if err != nil {
		return noun.Row{}, err
	}
	rows, err := t.read(ctx, table, table.all+" WHERE id = ?", id)
	if err == nil && len(rows) == 0 {
		err = fault.New(fault.NotFound, "there is no %s with the number %d", name, id)
	}
	if err != nil {
		return noun.Row{}, err
	}
	return rows[0], nil
}

// Find implements noun.View.
func (t *Tx) Find(ctx context.Context, name, called string) (noun.Row, error) {
	table, err := t.table(name)
	if err != nil {
		return noun.Row{}, err
	}
	key, err := table.canonical(ctx, t, called)
	if err != nil {
		return noun.Row{}, err
	}
	rows, err := t.read(ctx, table, table.all+" WHERE "+table.key+" = ?", key)
	if err == nil && len(rows) == 0 {
		err = missing(name, called)
	}
	if err != nil {
		return noun.Row{}, err
	}
	return rows[0], nil
}

// canonical returns a name as it is stored. What could not be a name is one
// that does not exist.
func (t *table) canonical(ctx context.Context, view noun.View, called string) (string, error) {
	field, _ := t.noun.Field(t.noun.Key)
	value, err := field.Parse(called)
	key, ok := value.(string)
	if !ok || err != nil {
		return "", missing(t.noun.Name, called)
	}
	if t.noun.Complete == nil {
		return key, nil
	}
	if key, err = t.noun.Complete(ctx, view, key); fault.Is(err, fault.Invalid) {
		return "", missing(t.noun.Name, called)
	}
	return key, err
}

func missing(name, called string) error {
	return fault.New(fault.NotFound, "there is no %s %q", name, noun.Excerpt(called)).
		WithHint("orchestra %s list", name)
}

// Select implements noun.View.
func (t *Tx) Select(ctx context.Context, name string, conditions ...noun.Condition) ([]noun.Row, error) {
	table, err := t.table(name)
	if err != nil {
		return nil, err
	}
	where, args, err := table.where(conditions)
	if err != nil {
		return nil, err
	}
	return t.read(ctx, table, table.all+where+" ORDER BY "+table.key, args...)
}

// where returns the conditions in SQL. The text does not depend on how many
// values there are, so that it is prepared once.
func (t *table) where(conditions []noun.Condition) (string, []any, error) {
	var parts []string
	var args []any
	for _, condition := range conditions {
		name, holds := "id", noun.HoldsInteger
		if condition.Field != "id" {
			c, ok := t.column(condition.Field)
			if !ok {
				return "", nil, fault.New(fault.Internal, "%s has no stored field %q", t.noun.Name, condition.Field)
			}
			name, holds = c.name, c.holds
		}
		if condition.Prefix != "" {
			parts = append(parts, "("+name+" >= ? AND "+name+" < ?)")
			args = append(args, condition.Prefix, after(condition.Prefix))
			continue
		}
		var values []any
		alternatives := []string{}
		for _, value := range condition.Values {
			if encoded := encode(value); encoded == nil {
				alternatives = append(alternatives, name+" IS NULL")
			} else {
				values = append(values, encoded)
			}
		}
		if len(values) > 0 || len(alternatives) == 0 {
			list, err := json.Marshal(append([]any{}, values...))
			if err != nil {
				return "", nil, err
			}
			switch {
			case holds == noun.HoldsList:
				alternatives = append(alternatives, "EXISTS (SELECT 1 FROM json_each("+t.name+"."+name+
					") AS held WHERE held.value IN (SELECT value FROM json_each(?)))")
				args = append(args, string(list))
			case len(values) == 1:
				alternatives = append(alternatives, name+" = ?")
				args = append(args, values[0])
			default:
				alternatives = append(alternatives, name+" IN (SELECT value FROM json_each(?))")
				args = append(args, string(list))
			}
		}
		parts = append(parts, "("+strings.Join(alternatives, " OR ")+")")
	}
	if len(parts) == 0 {
		return "", nil, nil
	}
	return " WHERE " + strings.Join(parts, " AND "), args, nil
}

// after returns the first text that comes after all those that begin with prefix.
func after(prefix string) string {
	last := len(prefix) - 1
	return prefix[:last] + string([]byte{prefix[last] + 1})
}

func (t *table) column(field string) (column, bool) {
	for _, c := range t.columns {
		if c.field.Name == field {
			return c, true
		}
	}
	return column{}, false
}

// read returns the rows of a statement that begins with table.all.
func (t *Tx) read(ctx context.Context, table *table, query string, args ...any) ([]noun.Row, error) {
	answer, err := t.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", table.noun.Plural, err)
	}
	defer func() { _ = answer.Close() }()
	var rows []noun.Row
	cells, pointers := buffer(len(table.columns) + 1)
	for answer.Next() {
		if err := answer.Scan(pointers...); err != nil {
			return nil, fmt.Errorf("read %s: %w", table.noun.Plural, err)
		}
		row, err := table.decode(cells)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, answer.Err()
}

func buffer(size int) (cells, pointers []any) {
	cells, pointers = make([]any, size), make([]any, size)
	for i := range cells {
		pointers[i] = &cells[i]
	}
	return cells, pointers
}

func (t *table) decode(cells []any) (noun.Row, error) {
	id, ok := cells[0].(int64)
	if !ok {
		return noun.Row{}, fmt.Errorf("%s: the id is %T", t.noun.Plural, cells[0])
	}
	row := noun.Row{Noun: t.noun.Name, ID: id, Values: make(noun.Values, len(t.columns))}
	for i, c := range t.columns {
		value, err := c.decode(cells[i+1])
		if err != nil {
			return noun.Row{}, fmt.Errorf("%s %d: field %s: %w", t.noun.Name, id, c.field.Name, err)
		}
		if value != nil {
			row.Values[c.field.Name] = value
		}
	}
	return row, nil
}

func (c column) decode(cell any) (any, error) {
	switch cell := cell.(type) {
	case nil:
		if c.holds == noun.HoldsBoolean {
			return false, nil // a column that was added later
		}
		return nil, nil
	case int64:
		switch c.holds {
		case noun.HoldsBoolean:
			return cell != 0, nil
		case noun.HoldsInteger, noun.HoldsReference:
			return cell, nil
		}
	case string:
		switch c.holds {
		case noun.HoldsText:
			return cell, nil
		case noun.HoldsList:
			var list []string
			err := json.Unmarshal([]byte(cell), &list)
			return list, err
		}
	}
	return nil, fmt.Errorf("the database holds %T", cell)
}

// encode returns a value as the driver takes it; empty is none.
func encode(value any) any {
	switch value := value.(type) {
	case string:
		if value == "" {
			return nil
		}
		return value
	case bool:
		if value {
			return int64(1)
		}
		return int64(0)
	case []string:
		if len(value) == 0 {
			return nil
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil // strings always can be
		}
		return string(text)
	case int:
		return int64(value)
	}
	return value
}

func (t *table) encode(values noun.Values) []any {
	args := make([]any, 0, len(t.columns)+2)
	for _, c := range t.columns {
		args = append(args, encode(values[c.field.Name]))
	}
	return args
}

func (t *Tx) insertRow(ctx context.Context, table *table, row noun.Row) error {
	_, err := t.Exec(ctx, table.insert, append([]any{row.ID}, table.encode(row.Values)...)...)
	return t.taken(ctx, table, row, err)
}

func (t *Tx) updateRow(ctx context.Context, table *table, row noun.Row) error {
	_, err := t.Exec(ctx, table.update, append(table.encode(row.Values), row.ID)...)
	return t.taken(ctx, table, row, err)
}

func (t *Tx) deleteRow(ctx context.Context, table *table, id int64) error {
	_, err := t.Exec(ctx, table.remove, id)
	return err
}

// Account returns the id of the account that owns row, 0 where nobody does.
func (t *Tx) Account(ctx context.Context, row noun.Row) (int64, error) {
	return account(ctx, t, t.Registry(), row)
}

type getter interface {
	Get(ctx context.Context, noun string, id int64) (noun.Row, error)
}

func account(ctx context.Context, view getter, registry *noun.Registry, row noun.Row) (int64, error) {
	for {
		n := registry.Noun(row.Noun)
		if n == nil || n.Owner == "" {
			return 0, nil
		}
		if n.IsAccount() {
			return row.ID, nil
		}
		owner, _ := n.Field(n.Owner)
		id := row.Int(n.Owner)
		if id == 0 {
			return 0, nil
		}
		if above := registry.Noun(owner.Reference); above.IsAccount() {
			return id, nil
		}
		var err error
		if row, err = view.Get(ctx, owner.Reference, id); err != nil {
			return 0, err
		}
	}
}

// Owners returns the accounts that rows of one noun belong to, in their order, 0 for
// none: by one statement for each noun that lies between.
func (t *Tx) Owners(ctx context.Context, rows []noun.Row) ([]int64, error) {
	owners := make([]int64, len(rows))
	at := rows // the rows, then what each belongs to
	for len(at) > 0 {
		n := t.Noun(at[0].Noun)
		if n == nil || n.Owner == "" {
			return make([]int64, len(rows)), nil
		}
		if n.IsAccount() {
			for i, row := range at {
				owners[i] = row.ID
			}
			return owners, nil
		}
		field, _ := n.Field(n.Owner)
		above := t.Noun(field.Reference)
		var ids []any
		for _, row := range at {
			ids = append(ids, row.Int(n.Owner))
		}
		found := map[int64]noun.Row{}
		if !above.IsAccount() {
			selected, err := t.Select(ctx, above.Name, noun.Where("id", ids...))
			if err != nil {
				return nil, err
			}
			for _, row := range selected {
				found[row.ID] = row
			}
		}
		next := make([]noun.Row, len(at))
		for i, row := range at {
			id := row.Int(n.Owner)
			next[i] = noun.Row{Noun: above.Name, ID: id, Values: found[id].Values}
		}
		at = next
	}
	return owners, nil
}

// Complete returns up to limit names of objects that begin with prefix.
func (t *Tx) Complete(ctx context.Context, name, prefix string, limit int) ([]string, error) {
	table, err := t.table(name)
	if err != nil {
		return nil, err
	}
	// A range of the key's index: LIKE would read all of it.
	answer, err := t.Query(ctx, "SELECT "+table.key+" FROM "+table.name+" WHERE "+table.key+" >= ? AND "+
		table.key+" < ? ORDER BY "+table.key+" LIMIT ?", prefix, prefix+"\U0010ffff", limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Close() }()
	var names []string
	for answer.Next() {
		var called string
		if err := answer.Scan(&called); err != nil {
			return nil, err
		}
		names = append(names, called)
	}
	return names, answer.Err()
}

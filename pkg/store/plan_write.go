package store

import (
	"context"
	"maps"
	"slices"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// Add implements noun.Planner.
func (p *Planner) Add(ctx context.Context, name string, values noun.Values) (noun.Row, error) {
	table, err := p.table(name)
	if err != nil {
		return noun.Row{}, err
	}
	row := noun.Row{Noun: name, Values: make(noun.Values, len(table.columns))}
	if row.ID, err = p.next(ctx, idCounter(name)); err != nil {
		return noun.Row{}, err
	}
	if err := p.assign(ctx, table, row, values); err != nil {
		return noun.Row{}, err
	}
	if err := p.fill(ctx, table, row); err != nil {
		return noun.Row{}, err
	}
	row, sent, err := p.complete(ctx, table, nil, row)
	if err != nil {
		return noun.Row{}, err
	}
	owner, err := p.Account(ctx, row)
	if err != nil {
		return noun.Row{}, err
	}
	if err := p.touch(ctx, row, owner); err != nil {
		return noun.Row{}, err
	}
	if err := p.insertRow(ctx, table, row); err != nil {
		return noun.Row{}, err
	}
	change := noun.Change{Noun: name, ID: row.ID, Name: p.nameOf(row), Account: owner, After: row.Values}
	if err := p.made(ctx, table.noun, change, sent, owner); err != nil {
		return noun.Row{}, err
	}
	return p.Get(ctx, name, row.ID)
}

// Set implements noun.Planner.
func (p *Planner) Set(ctx context.Context, row noun.Row, values noun.Values) (noun.Row, error) {
	table, err := p.table(row.Noun)
	if err != nil {
		return noun.Row{}, err
	}
	before, err := p.get(ctx, row.Noun, row.ID)
	if err != nil {
		return noun.Row{}, err
	}
	after := before.Clone()
	if err := p.assign(ctx, table, after, values); err != nil {
		return noun.Row{}, err
	}
	if after.Values.Equal(before.Values) {
		if p.unchanged == nil {
			p.unchanged = map[string][]int64{}
		}
		p.unchanged[row.Noun] = append(p.unchanged[row.Noun], row.ID)
		return before.Clone(), p.markRead(ctx, before)
	}
	for _, f := range table.fields {
		if f.Immutable && !noun.EqualValue(before.Values[f.Name], after.Values[f.Name]) {
			return noun.Row{}, fault.New(fault.Invalid, "this can't be changed: it was given when the %s was made",
				table.noun.Name).About(table.noun.Name + "." + f.Name)
		}
	}
	after, sent, err := p.complete(ctx, table, &before, after)
	if err != nil {
		return noun.Row{}, err
	}
	owner, err := p.Account(ctx, after)
	if err != nil {
		return noun.Row{}, err
	}
	// The hooks may have changed it since.
	if before, err = p.get(ctx, row.Noun, row.ID); err != nil {
		return noun.Row{}, err
	}
	if after.Values.Equal(before.Values) {
		return before.Clone(), p.made(ctx, table.noun, noun.Change{
			Noun: row.Noun, ID: row.ID, Name: p.nameOf(after), Account: owner,
		}, sent, owner)
	}
	return p.write(ctx, table, before, after, sent)
}

// write writes a changed row, and those that go with it to another account.
func (p *Planner) write(ctx context.Context, table *table, before, after noun.Row, sent Sent) (noun.Row, error) {
	from, err := p.Account(ctx, before)
	if err != nil {
		return noun.Row{}, err
	}
	to, err := p.Account(ctx, after)
	if err != nil {
		return noun.Row{}, err
	}
	var company []noun.Row
	if from != to && p.moving == nil {
		if company, err = p.company(ctx, after, from); err != nil {
			return noun.Row{}, err
		}
		defer func() { p.moving = nil }()
	}
	for _, owner := range []int64{from, to} {
		if err := p.touch(ctx, before, owner); err != nil {
			return noun.Row{}, err
		}
	}
	p.forget(before)
	if err := p.updateRow(ctx, table, after); err != nil {
		return noun.Row{}, err
	}
	change := noun.Change{
		Noun: after.Noun, ID: after.ID, Name: p.nameOf(after), Account: to, Before: before.Values, After: after.Values,
	}
	if from != to {
		change.Former = from
	}
	if err := p.made(ctx, table.noun, change, sent, from, to); err != nil {
		return noun.Row{}, err
	}
	for _, other := range company {
		if _, err := p.Set(ctx, other, noun.Values{p.Noun(other.Noun).Owner: to}); err != nil {
			return noun.Row{}, p.prevented(after, other, err)
		}
	}
	return p.Get(ctx, after.Noun, after.ID)
}

// assign puts given values into a row, in the order of the fields.
func (p *Planner) assign(ctx context.Context, table *table, row noun.Row, values noun.Values) error {
	n, fields := table.noun, table.fields
	known := 0
	for _, f := range fields {
		given, ok := values[f.Name]
		if !ok {
			continue
		}
		known++
		if f.Computed() {
			return fault.New(fault.Invalid, "this follows from other values and can't be given").
				About(n.Name + "." + f.Name)
		}
		value, err := p.value(ctx, n, f, given)
		if err != nil {
			return err
		}
		if value == nil && f.Required {
			// Given as nothing is not the same as not given: no default stands in for it.
			return required(n, f)
		}
		if f.Counter != "" && value != nil && !noun.EqualValue(row.Values[f.Name], value) {
			number, _ := value.(int64)
			if err := p.take(ctx, f.Counter, number); err != nil {
				return about(err, n, f)
			}
		}
		put(row.Values, f.Name, value)
	}
	if known < len(values) {
		return unknown(n, fields, values)
	}
	return nil
}

func unknown(n *noun.Noun, fields []noun.Field, values noun.Values) error {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if slices.Contains(names, name) {
			continue
		}
		err := fault.New(fault.Invalid, "%s has no field %q", n.Name, noun.Excerpt(name))
		if near := fault.Nearest(name, names); near != "" {
			return err.WithHint("Did you mean %s?", near)
		}
		return err.WithHint("It has %s.", noun.List{}.Format(names))
	}
	return nil
}

func put(values noun.Values, name string, value any) {
	if value == nil {
		delete(values, name)
		return
	}
	values[name] = value
}

// value returns the canonical value of what was given for a field.
func (p *Planner) value(ctx context.Context, n *noun.Noun, f noun.Field, given any) (any, error) {
	if f.Reference != "" {
		return p.reference(ctx, n, f, given)
	}
	if f.Secret != nil {
		// A hash, made and checked by who had the clear text.
		switch secret := given.(type) {
		case nil:
			return nil, nil
		case noun.Confidential:
			given = string(secret)
		}
		if text, ok := given.(string); ok {
			if text == "" {
				return nil, nil
			}
			return text, nil
		}
	}
	value, err := f.Check(given)
	if err != nil {
		return nil, about(err, n, f)
	}
	if value == nil && f.Holds() == noun.HoldsBoolean {
		return false, nil
	}
	return value, nil
}

// reference returns the id of what is named, by name or by id.
func (p *Planner) reference(ctx context.Context, n *noun.Noun, f noun.Field, given any) (any, error) {
	var row noun.Row
	var err error
	switch given := given.(type) {
	case nil:
		return nil, nil
	case string:
		if given == "" {
			return nil, nil
		}
		row, err = p.Find(ctx, f.Reference, given)
	case int64:
		if given == 0 {
			return nil, nil
		}
		row, err = p.Get(ctx, f.Reference, given)
	default:
		return nil, fault.New(fault.Internal, "a reference is a name or a number, not %T", given)
	}
	if err != nil {
		return nil, about(err, n, f)
	}
	return row.ID, nil
}

// about names the field in a fault that has none yet.
func about(err error, n *noun.Noun, f noun.Field) error {
	return fault.AboutField(err, n.Name+"."+f.Name)
}

// fill gives defaults and numbers to the fields of a new row that have no value.
func (p *Planner) fill(ctx context.Context, table *table, row noun.Row) error {
	n := table.noun
	for _, f := range table.fields {
		if row.Values[f.Name] != nil || f.Computed() {
			continue
		}
		switch {
		case f.Default != nil:
			given, err := f.Default(ctx, p, row.Clone())
			if err != nil {
				return about(err, n, f)
			}
			value, err := p.value(ctx, n, f, given)
			if err != nil {
				return err
			}
			put(row.Values, f.Name, value)
		case f.Counter != "":
			number, err := p.next(ctx, f.Counter)
			if err != nil {
				return about(err, n, f)
			}
			row.Values[f.Name] = number
		case f.Name == noun.CreatedField:
			row.Values[f.Name] = noun.FormatTime(p.Now())
		}
		if row.Values[f.Name] == nil && f.Reference == "" && f.Holds() == noun.HoldsBoolean {
			row.Values[f.Name] = false
		}
	}
	return nil
}

// complete runs Prepare, checks the row once more, since Prepare is code, and
// takes out of it what belongs to the service.
func (p *Planner) complete(ctx context.Context, table *table, before *noun.Row, row noun.Row) (noun.Row, Sent, error) {
	n, fields := table.noun, table.fields
	if n.Prepare != nil {
		var was *noun.Row
		if before != nil {
			clone := before.Clone()
			was = &clone
		}
		if err := n.Prepare(ctx, p, was, &row); err != nil {
			return row, Sent{}, err
		}
	}
	checked := make(noun.Values, len(row.Values))
	sent := Sent{Action: "save"}
	known := 0
	for _, f := range fields {
		given, ok := row.Values[f.Name]
		if ok {
			known++
		}
		if f.Computed() {
			continue
		}
		value, err := p.value(ctx, n, f, given)
		if err != nil {
			return row, Sent{}, err
		}
		if value == nil && f.Required {
			return row, Sent{}, required(n, f)
		}
		if value == nil {
			continue
		}
		if f.ServiceOwned {
			if sent.Values == nil {
				sent.Values = map[string]noun.Confidential{}
			}
			sent.Values[f.Name] = noun.Confidential(formatted(f, value))
			continue
		}
		checked[f.Name] = value
	}
	if known < len(row.Values) {
		return row, Sent{}, unknown(n, fields, row.Values)
	}
	return noun.Row{Noun: row.Noun, ID: row.ID, Values: checked}, sent, nil
}

func required(n *noun.Noun, f noun.Field) error {
	return fault.New(fault.Invalid, "this is required").About(n.Name + "." + f.Name)
}

func formatted(f noun.Field, value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	return f.Format(value)
}

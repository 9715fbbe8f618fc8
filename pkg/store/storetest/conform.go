package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// hostile are texts that no field of one line takes.
var hostile = []string{
	"a\nb", "a\x00b", "a\x1b[31mb", "a\rb", "a\u202eb", "a\u200bb", "\xff\xfe", "   ", "a\u2028b", "\x7f",
}

// Conform holds nouns to the engine's promises, by objects made of the examples
// of their fields: examples are taken, hostile texts are refused, what was
// added is listed, filtered and sorted by every field, a set of the same values
// changes nothing, facts are told, and a plan that is taken back leaves nothing.
// special are the values of nouns whose examples do not go together.
func Conform(t *testing.T, special map[string]noun.Values, nouns ...*noun.Noun) {
	t.Helper()
	registry, err := noun.NewRegistry(nouns...)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range registry.Nouns() {
		t.Run(n.Name, func(t *testing.T) {
			for _, f := range n.Fields {
				t.Run(f.Name, func(t *testing.T) { conformField(t, f) })
			}
			c := conformity{t: t, store: New(t, nouns...), special: special, n: n}
			if slices.Contains(n.Without, "add") {
				return
			}
			c.object()
		})
	}
}

func conformField(t *testing.T, f noun.Field) {
	if f.Type == nil || f.Computed() {
		return
	}
	if f.Example == "" {
		if f.Settable() && f.Secret == nil {
			t.Error("it has no example, for help and for this test")
		}
		return
	}
	value, err := f.Parse(f.Example)
	if err != nil || value == nil {
		t.Fatalf("its example %q gives %v, %v", f.Example, value, err)
	}
	again, err := f.Check(value)
	if err != nil || !noun.EqualValue(value, again) {
		t.Errorf("its value %#v is %#v when it is read again (%v)", value, again, err)
	}
	if _, long := f.Type.(noun.LongText); long {
		return
	}
	for _, text := range hostile {
		// A list drops spaces and may separate by newlines.
		if list, ok := f.Type.(noun.List); ok && (text == "   " || list.Lines && text == "a\nb") {
			continue
		}
		if got, err := f.Parse(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("it takes %q: %#v, %v", text, got, err)
		}
	}
}

type conformity struct {
	t       *testing.T
	store   *store.Store
	special map[string]noun.Values
	n       *noun.Noun
}

func (c conformity) object() {
	t := c.t
	name := c.example(c.n, "")
	planner := Commit(t, c.store, func(ctx context.Context, p *store.Planner) error {
		return c.ensure(ctx, p, c.n, name, 0)
	})
	if len(planner.Changes()) == 0 {
		t.Fatal("to add it changed nothing")
	}
	c.listed(name)
	c.each(name)

	again, err := Plan(t, c.store, func(ctx context.Context, p *store.Planner) error {
		row, err := p.Find(ctx, c.n.Name, name)
		if err != nil {
			return err
		}
		_, err = p.Set(ctx, row, row.Values)
		return err
	})
	if err != nil || len(again.Changes()) != 0 {
		t.Errorf("to set what it is already: %v, %v", again, err)
	}
	c.deleted(name)
}

// example returns the name of the example object.
func (c conformity) example(n *noun.Noun, reference string) string {
	if name, ok := c.special[n.Name][n.Key].(string); ok {
		return name
	}
	if reference != "" {
		return reference
	}
	key, _ := n.Field(n.Key)
	return key.Example
}

// ensure adds an object, and before it those that it must reference.
func (c conformity) ensure(ctx context.Context, p *store.Planner, n *noun.Noun, name string, depth int) error {
	if _, err := p.Find(ctx, n.Name, name); err == nil {
		return nil
	}
	if depth > 10 {
		return fmt.Errorf("required references go round in a circle at %s", n.Name)
	}
	values := noun.Values{}
	for _, f := range n.Fields {
		if f.Required && f.Settable() {
			values[f.Name] = f.Example
		}
	}
	for field, value := range c.special[n.Name] {
		values[field] = value
	}
	values[n.Key] = name
	for _, f := range n.Fields {
		if reference, ok := values[f.Name].(string); ok && f.Reference != "" {
			other := p.Noun(f.Reference)
			called := c.example(other, reference)
			if err := c.ensure(ctx, p, other, called, depth+1); err != nil {
				return err
			}
			values[f.Name] = called
		}
	}
	_, err := p.Add(ctx, n.Name, values)
	return err
}

// each sets every further field to its example: it may be refused, by no defect.
func (c conformity) each(name string) {
	for _, f := range c.n.Fields {
		if !f.Settable() || f.Immutable || f.Name == c.n.Key || f.Type == nil || f.Example == "" || f.Secret != nil {
			continue
		}
		_, err := Plan(c.t, c.store, func(ctx context.Context, p *store.Planner) error {
			row, err := p.Find(ctx, c.n.Name, name)
			if err != nil {
				return err
			}
			_, err = p.Set(ctx, row, noun.Values{f.Name: f.Example})
			return err
		})
		if err != nil && fault.KindOf(err) == fault.Internal {
			c.t.Errorf("to set %s to %q: %v", f.Name, f.Example, err)
		}
	}
}

// listed lists the object by every field and tells its facts.
func (c conformity) listed(name string) {
	t, ctx := c.t, c.t.Context()
	err := c.store.View(ctx, func(tx *store.Tx) error {
		for _, f := range c.n.AllFields() {
			if !f.Shown() {
				continue
			}
			filter := map[noun.Holds]string{
				noun.HoldsText: "%s == %[1]s", noun.HoldsInteger: "%s <= %[1]s", noun.HoldsBoolean: "%s or not %[1]s",
				noun.HoldsList: "len(%s) >= 0", noun.HoldsReference: "%s == %[1]s",
			}[f.Holds()]
			rows, err := tx.List(ctx, c.n.Name, store.Query{
				Filter: fmt.Sprintf(filter, f.Name), Sort: []string{"-" + f.Name, f.Name}, Columns: []string{f.Name},
			})
			if err != nil || len(rows) == 0 {
				t.Errorf("to list, sort and filter by %s: %d rows, %v", f.Name, len(rows), err)
			}
		}
		rows, err := tx.List(ctx, c.n.Name, store.Query{Names: []string{name}})
		if err != nil || len(rows) != 1 || rows[0].Text(c.n.Key) != name {
			t.Errorf("to show %s: %v, %v", name, rows, err)
		}
		raw, err := tx.Select(ctx, c.n.Name)
		if err != nil {
			return err
		}
		facts, err := noun.FactsOf(ctx, tx, raw)
		if err != nil || len(facts) != len(raw) {
			t.Errorf("facts of %d rows: %d, %v", len(raw), len(facts), err)
		}
		if c.n.Check != nil {
			if _, err := c.n.Check(ctx, tx); err != nil {
				t.Errorf("its check: %v", err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// deleted plans the deletion: it is done, or refused by no defect.
func (c conformity) deleted(name string) {
	planner, err := Plan(c.t, c.store, func(ctx context.Context, p *store.Planner) error {
		row, err := p.Find(ctx, c.n.Name, name)
		if err != nil {
			return err
		}
		if err := p.Delete(ctx, row); err != nil {
			return err
		}
		if _, err := p.Find(ctx, c.n.Name, name); !fault.Is(err, fault.NotFound) {
			c.t.Errorf("after its deletion: %v", err)
		}
		return nil
	})
	switch {
	case err != nil && fault.KindOf(err) == fault.Internal:
		c.t.Errorf("to delete it: %v", err)
	case err == nil && planner.Changes()[len(planner.Changes())-1].After != nil:
		c.t.Errorf("its deletion ends with another change: %v", planner.Changes())
	}
	if err := c.store.View(c.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Find(c.t.Context(), c.n.Name, name)
		return err
	}); err != nil {
		c.t.Errorf("the plan left something: %v", err)
	}
}

// Package nountest runs nouns through the real store and planner, as the
// coordinator does, without servers.
package nountest

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/settings"
	"orchestra/pkg/store"
)

// Panel is a database in a directory of the test.
type Panel struct {
	T        testing.TB
	Store    *store.Store
	Settings *settings.Settings
	Now      time.Time
	// Statements counts those that were executed.
	Statements int
}

// Outcome is what a plan gathered.
type Outcome struct {
	Changes  []noun.Change
	Warnings []message.Text
}

// New makes a panel with those nouns. change, where given, changes its settings.
func New(t testing.TB, nouns []*noun.Noun, change func(*settings.Settings)) *Panel {
	t.Helper()
	registry, err := noun.NewRegistry(nouns...)
	if err != nil {
		t.Fatal(err)
	}
	p := &Panel{T: t, Settings: settings.Default(), Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	p.Settings.EmergencyContact = "off"
	if change != nil {
		change(p.Settings)
	}
	p.Store, err = store.Create(context.Background(), store.Options{
		Path: filepath.Join(t.TempDir(), "orchestra.db"), Registry: registry, Settings: p.Settings,
		Now: func() time.Time { return p.Now }, Trace: func(string) { p.Statements++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Try plans and commits mutate as one operation.
func (p *Panel) Try(mutate func(context.Context, noun.Planner) error) (Outcome, error) {
	p.T.Helper()
	p.Now = p.Now.Add(time.Second)
	var outcome Outcome
	err := p.Store.Update(context.Background(), func(tx *store.Tx) error {
		planner, err := tx.Plan(context.Background(), func(ctx context.Context, planner *store.Planner) error {
			return mutate(ctx, planner)
		})
		if err != nil {
			return err
		}
		outcome = Outcome{Changes: planner.Changes(), Warnings: planner.Warnings()}
		if err := tx.SetCounters(context.Background(), planner.Counters()); err != nil {
			return err
		}
		return tx.Apply(context.Background(), planner.Changes())
	})
	return outcome, err
}

// Run is Try, and fails the test where that fails.
func (p *Panel) Run(mutate func(context.Context, noun.Planner) error) Outcome {
	p.T.Helper()
	outcome, err := p.Try(mutate)
	if err != nil {
		p.T.Fatal(err)
	}
	return outcome
}

// Refused wants mutate to fail with that kind, and nothing to be changed; it
// returns the error.
func (p *Panel) Refused(kind fault.Kind, mutate func(context.Context, noun.Planner) error) error {
	p.T.Helper()
	_, err := p.Try(mutate)
	if !fault.Is(err, kind) {
		p.T.Errorf("wanted a refusal of kind %s, got %v", kind, err)
	}
	return err
}

// Add returns a mutation that adds one object.
func Add(name string, values noun.Values) func(context.Context, noun.Planner) error {
	return func(ctx context.Context, plan noun.Planner) error {
		_, err := plan.Add(ctx, name, values)
		return err
	}
}

// Set returns a mutation that sets fields of one object.
func Set(name, called string, values noun.Values) func(context.Context, noun.Planner) error {
	return func(ctx context.Context, plan noun.Planner) error {
		row, err := plan.Find(ctx, name, called)
		if err != nil {
			return err
		}
		_, err = plan.Set(ctx, row, values)
		return err
	}
}

// Delete returns a mutation that deletes one object as the verb does.
func Delete(name, called string) func(context.Context, noun.Planner) error {
	return func(ctx context.Context, plan noun.Planner) error {
		row, err := plan.Find(ctx, name, called)
		if err != nil {
			return err
		}
		if guard := plan.Noun(name).Guard; guard != nil {
			if err := guard(ctx, plan, row); err != nil {
				return err
			}
		}
		return plan.Delete(ctx, row)
	}
}

// Verb returns a mutation that runs a verb of a noun on one object.
func Verb(name, verb, called string, options noun.Values) func(context.Context, noun.Planner) error {
	return func(ctx context.Context, plan noun.Planner) error {
		row, err := plan.Find(ctx, name, called)
		if err != nil {
			return err
		}
		for _, v := range plan.Noun(name).Verbs {
			if v.Name == verb {
				return v.Plan(ctx, plan, row, options)
			}
		}
		return fault.New(fault.NotFound, "no verb %s", verb)
	}
}

// Find returns one object.
func (p *Panel) Find(name, called string) noun.Row {
	p.T.Helper()
	var row noun.Row
	p.View(func(ctx context.Context, view noun.View) error {
		var err error
		row, err = view.Find(ctx, name, called)
		return err
	})
	return row
}

// Exists tells whether there is such an object.
func (p *Panel) Exists(name, called string) bool {
	p.T.Helper()
	exists := false
	p.View(func(ctx context.Context, view noun.View) error {
		_, err := view.Find(ctx, name, called)
		exists = err == nil
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	})
	return exists
}

// View reads.
func (p *Panel) View(read func(context.Context, noun.View) error) {
	p.T.Helper()
	if err := p.Store.View(context.Background(), func(tx *store.Tx) error { return read(context.Background(), tx) }); err != nil {
		p.T.Fatal(err)
	}
}

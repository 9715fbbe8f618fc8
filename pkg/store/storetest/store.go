// Package storetest makes databases for tests, and holds every noun to what the
// engine promises of it.
package storetest

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"orchestra/pkg/noun"
	"orchestra/pkg/settings"
	"orchestra/pkg/store"
)

// Now is the instant of the databases' clocks.
func Now() time.Time { return time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC) }

// New makes an empty database that goes with the test.
func New(t testing.TB, nouns ...*noun.Noun) *store.Store {
	t.Helper()
	registry, err := noun.NewRegistry(nouns...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Create(t.Context(), store.Options{
		Path: filepath.Join(t.TempDir(), "orchestra.db"), Registry: registry, Settings: settings.Default(), Now: Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Plan plans and takes it back: it returns what the plan gathered.
func Plan(t testing.TB, s *store.Store, mutate func(context.Context, *store.Planner) error) (*store.Planner, error) {
	t.Helper()
	var planner *store.Planner
	var refused error
	if err := s.Update(t.Context(), func(tx *store.Tx) error {
		planner, refused = tx.Plan(t.Context(), mutate)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return planner, refused
}

// Commit plans and writes, as an operation without servers does.
func Commit(t testing.TB, s *store.Store, mutate func(context.Context, *store.Planner) error) *store.Planner {
	t.Helper()
	planner, err := Plan(t, s, mutate)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.SetCounters(t.Context(), planner.Counters()), tx.Apply(t.Context(), planner.Changes()))
	}); err != nil {
		t.Fatal(err)
	}
	return planner
}

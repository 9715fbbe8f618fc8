package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

func journalStore(t *testing.T, now func() time.Time) *Store {
	t.Helper()
	registry, err := noun.NewRegistry(&noun.Noun{
		Name: "account", Plural: "accounts", Area: "Accounts", Kind: noun.Management, Help: "An account", Key: "name", Owner: "id",
		Fields: []noun.Field{
			{Name: "name", Type: noun.Text{}, Help: "The name", Example: "acme", Required: true, Unique: true},
			{Name: "notes", Type: noun.Text{}, Help: "Notes", Example: "n"},
			{Name: "key", Type: noun.Text{}, Help: "A secret", Secret: &noun.Secret{Hash: func(s string) (string, error) { return s, nil }}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Create(context.Background(), Options{Path: filepath.Join(t.TempDir(), "orchestra.db"), Registry: registry, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func journal(t *testing.T, s *Store, write func(context.Context, *Tx) error) error {
	t.Helper()
	return s.Update(context.Background(), func(tx *Tx) error { return write(context.Background(), tx) })
}

func begin(t *testing.T, s *Store, changes ...noun.Change) *Operation {
	t.Helper()
	o := &Operation{
		ID: NewOperationID(), Kind: "change", Actor: "root", Command: "test", Changes: changes,
		Accounts: []OperationAccount{{Account: 1}, {Account: 2, Shared: true}},
		Servers:  []OperationServer{{Server: 1, Name: "h11", Sequence: 7}},
		Steps:    []OperationStep{{Server: 1, Backend: "files", Wave: 1, Objects: 3}},
	}
	if err := journal(t, s, func(ctx context.Context, tx *Tx) error { return tx.BeginOperation(ctx, o) }); err != nil {
		t.Fatal(err)
	}
	return o
}

var states = []OperationState{Running, Committed, Done, Undoing, Undone}

// An operation goes from each state only to those that the protocol names, and
// only from the state that it is in.
func TestAnOperationMovesOnlyAsTheProtocolSays(t *testing.T) {
	allowed := map[[2]OperationState]bool{
		{Running, Committed}: true, {Committed, Done}: true, {Running, Undoing}: true, {Undoing, Undone}: true,
	}
	path := map[OperationState][]OperationState{
		Running: nil, Committed: {Committed}, Done: {Committed, Done}, Undoing: {Undoing}, Undone: {Undoing, Undone},
	}
	s := journalStore(t, nil)
	for _, is := range states {
		for _, from := range states {
			for _, to := range states {
				o := begin(t, s)
				was := Running
				for _, next := range path[is] {
					if err := journal(t, s, func(ctx context.Context, tx *Tx) error { return tx.MoveOperation(ctx, o.Number, was, next, "") }); err != nil {
						t.Fatal(err)
					}
					was = next
				}
				err := journal(t, s, func(ctx context.Context, tx *Tx) error { return tx.MoveOperation(ctx, o.Number, from, to, "why") })
				want := allowed[[2]OperationState{from, to}] && is == from
				if (err == nil) != want {
					t.Errorf("in %s, from %s to %s: %v", is, from, to, err)
				}
				if allowed[[2]OperationState{from, to}] && !want && !errors.Is(err, ErrMoved) {
					t.Errorf("in %s, from %s to %s: %v is not ErrMoved", is, from, to, err)
				}
			}
		}
	}
}

func TestWhatAnOperationHoldsIsFreeAtItsEnd(t *testing.T) {
	s := journalStore(t, nil)
	change := noun.Change{Noun: "account", ID: 1, Name: "acme", Account: 1, After: noun.Values{"name": "acme"}}
	o := begin(t, s, change)
	holders := func() map[int64]Claim {
		var held map[int64]Claim
		err := journal(t, s, func(ctx context.Context, tx *Tx) (err error) {
			held, err = tx.ClaimHolders(ctx, []noun.Change{{Noun: "account", ID: 2, Name: "acme", After: noun.Values{"name": "acme"}}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return held
	}
	if diff := cmp.Diff(map[int64]Claim{o.Number: {Kind: "account.name", Value: "acme"}}, holders()); diff != "" {
		t.Fatal(diff)
	}
	again := &Operation{ID: NewOperationID(), Changes: []noun.Change{change}}
	if err := journal(t, s, func(ctx context.Context, tx *Tx) error { return tx.BeginOperation(ctx, again) }); err == nil {
		t.Fatal("a claim was given twice")
	}
	open := func() (n int) {
		if err := s.View(context.Background(), func(tx *Tx) error {
			operations, err := tx.OpenOperations(context.Background())
			n = len(operations)
			if n == 1 && (len(operations[0].Accounts) != 2 || len(operations[0].Servers) != 1 || len(operations[0].Steps) != 1) {
				t.Errorf("%+v", operations[0])
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if open() != 1 {
		t.Fatal("it is not open")
	}
	err := journal(t, s, func(ctx context.Context, tx *Tx) error {
		if err := tx.MoveOperation(ctx, o.Number, Running, Undoing, "it failed"); err != nil {
			return err
		}
		return tx.MoveOperation(ctx, o.Number, Undoing, Undone, "")
	})
	if err != nil || len(holders()) != 0 || open() != 0 {
		t.Fatal(err, holders())
	}
	if err := s.View(context.Background(), func(tx *Tx) error {
		record, err := tx.Operation(context.Background(), o.Number)
		if err == nil && (record.Failure != "it failed" || record.Ended.IsZero() || record.State != Undone) {
			t.Errorf("%+v", record)
		}
		_, missing := tx.Operation(context.Background(), 999)
		if !fault.Is(missing, fault.NotFound) {
			t.Error(missing)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestJournaledChangesComeBackWithoutTheirSecrets(t *testing.T) {
	s := journalStore(t, nil)
	changes := []noun.Change{
		{Noun: "account", ID: 1, Name: "acme", Account: 1, After: noun.Values{"name": "acme", "notes": nil, "key": "hash-one"}},
		{
			Noun: "account", ID: 2, Name: "bob", Account: 2,
			Before: noun.Values{"name": "bob", "key": "hash-one"}, After: noun.Values{"name": "bob", "key": "hash-two"},
		},
		{Noun: "account", ID: 3, Name: "eve", Account: 3, Before: noun.Values{"name": "eve", "key": "hash-one"}},
		{Noun: "other", ID: 4, Name: "x", Before: noun.Values{"n": int64(7), "list": []string{"a", "b"}, "yes": true}},
	}
	o := begin(t, s, changes...)
	want := []noun.Change{
		{Noun: "account", ID: 1, Name: "acme", Account: 1, After: noun.Values{"name": "acme", "notes": nil, "key": "(secret)"}},
		{
			Noun: "account", ID: 2, Name: "bob", Account: 2,
			Before: noun.Values{"name": "bob", "key": "(secret)"}, After: noun.Values{"name": "bob", "key": "(secret, changed)"},
		},
		{Noun: "account", ID: 3, Name: "eve", Account: 3, Before: noun.Values{"name": "eve", "key": "(secret)"}},
		changes[3],
	}
	if err := s.View(context.Background(), func(tx *Tx) error {
		got, err := tx.Changes(context.Background(), o.Number)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if changes[0].After["key"] != "hash-one" {
		t.Error("the change itself was altered")
	}
}

func TestSequencesNeverComeAgain(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := journalStore(t, func() time.Time { return now })
	next := func() (n int64) {
		err := journal(t, s, func(ctx context.Context, tx *Tx) (err error) {
			n, err = tx.NextSequence(ctx, 1)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := next()
	if second := next(); second <= first {
		t.Error(first, second)
	}
	now = now.Add(-time.Hour) // the clock was set back
	if third := next(); third <= first+1 {
		t.Error(first, third)
	}
	now = now.Add(2 * time.Hour) // a database restored from before would give one as late as this, too
	if fourth := next(); fourth != now.UnixMicro() {
		t.Error(fourth)
	}
}

// While the clock is behind, two lives of one database count on from the same
// number, and must not meet.
func TestALostDatabaseAndItsBackupGiveOtherSequencesWhateverTheClockSays(t *testing.T) {
	given := map[int64]bool{}
	for range 20 {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		s := journalStore(t, func() time.Time { return now })
		for i := range 3 {
			now = now.Add(-time.Hour)
			err := journal(t, s, func(ctx context.Context, tx *Tx) error {
				n, err := tx.NextSequence(ctx, 1)
				if i > 0 && given[n] {
					t.Error("given before:", n)
				}
				given[n] = true
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestADirtyMarkKeepsWhatTheServerKnows(t *testing.T) {
	s := journalStore(t, nil)
	mark := func(version int64, facts map[string]any) {
		err := journal(t, s, func(ctx context.Context, tx *Tx) error {
			return tx.MarkDirty(ctx, []Dirty{{Server: 1, Backend: "files", Noun: "item", Object: 5, Name: "x", Version: version, Facts: facts}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	mark(1, map[string]any{"name": "old", "n": int64(3)})
	mark(2, map[string]any{"name": "never heard of"})
	clean := func(version int64) (left []Dirty) {
		err := journal(t, s, func(ctx context.Context, tx *Tx) (err error) {
			if err = tx.Clean(ctx, []Dirty{{Server: 1, Backend: "files", Noun: "item", Object: 5, Version: version}}); err != nil {
				return err
			}
			left, err = tx.DirtyMarks(ctx, []int64{1, 2})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	left := clean(1)
	if len(left) != 1 || left[0].Version != 2 || !cmp.Equal(left[0].Facts, map[string]any{"name": "old", "n": int64(3)}) {
		t.Fatalf("%+v", left)
	}
	if left := clean(2); len(left) != 0 {
		t.Fatalf("%+v", left)
	}
}

package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// step is one random mutation; it may well be refused.
type step struct {
	verb, noun, name string
	values           noun.Values
}

func steps() *rapid.Generator[[]step] {
	name := rapid.SampledFrom([]string{"a", "b", "c", "d", "with-user"})
	reference := rapid.SampledFrom([]string{"a", "b", "c", "d", "", "with-user"})
	text := rapid.SampledFrom([]string{"", "x", "'; DROP TABLE users; --", "line", "ñ\u00a0"})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		s := step{
			verb: rapid.SampledFrom([]string{"add", "add", "add", "set", "set", "delete"}).Draw(t, "verb"),
			noun: rapid.SampledFrom([]string{"account", "user", "domain", "record", "mailbox", "address"}).Draw(t, "noun"),
			name: name.Draw(t, "name"), values: noun.Values{},
		}
		if s.verb == "add" || rapid.Bool().Draw(t, "rename") {
			s.values["name"] = name.Draw(t, "new name")
		}
		fields := map[string][]string{
			"user": {"account"}, "domain": {"account"}, "record": {"domain"}, "mailbox": {"account"},
			"address": {"account", "domain", "mailbox", "copy"},
		}
		for _, field := range fields[s.noun] {
			if s.verb == "add" || rapid.Bool().Draw(t, field+"?") {
				s.values[field] = reference.Draw(t, field)
			}
		}
		switch s.noun {
		case "account":
			s.values["notes"] = text.Draw(t, "notes")
			if s.verb == "set" && rapid.Bool().Draw(t, "disable") {
				s.values["disabled"] = text.Draw(t, "reason")
			}
		case "user":
			s.values["group"] = rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 4).Draw(t, "groups")
			s.values["backup"] = rapid.Bool().Draw(t, "backup")
		case "mailbox":
			s.values["sieve"] = text.Draw(t, "sieve")
		}
		return s
	}), 1, 12)
}

// acceptable returns the steps that are not refused after those before them:
// most random ones are.
func acceptable(ctx context.Context, t *testing.T, r *rapid.T, s *store.Store, all []step) []step {
	before := rows(t, s)
	var kept []step
	for _, next := range all {
		attempt := append(kept[:len(kept):len(kept)], next)
		_, err := plan(t, s, func(ctx context.Context, p *store.Planner) error { return play(ctx, r, p, attempt) })
		if err == nil {
			kept = attempt
		}
		if after := rows(t, s); after != before {
			r.Fatalf("the plan left something:\n%s", cmp.Diff(before, after))
		}
	}
	return kept
}

// play plays steps up to the first that is refused. It wants refusals to be
// faults that are not defects of ours.
func play(ctx context.Context, t *rapid.T, p *store.Planner, all []step) error {
	for _, s := range all {
		err := p.Savepoint(ctx, func(ctx context.Context) error { return one(ctx, p, s) })
		if err != nil {
			if kind := fault.KindOf(err); kind == fault.Internal {
				t.Fatalf("%+v: %v", s, err)
			}
			return err
		}
	}
	return nil
}

func one(ctx context.Context, p *store.Planner, s step) error {
	if s.verb == "add" {
		_, err := p.Add(ctx, s.noun, s.values)
		return err
	}
	row, err := p.Find(ctx, s.noun, s.name)
	if err != nil {
		return err
	}
	if s.verb == "delete" {
		return p.Delete(ctx, row)
	}
	_, err = p.Set(ctx, row, s.values)
	return err
}

// TestPlansAreWhatTheySay plays random operations on one database: a plan leaves
// the database as it was, byte for byte; what is applied from its journaled
// form is what the plan saw; its inversion is what was before; and at no time
// is anything dangling.
func TestPlansAreWhatTheySay(t *testing.T) {
	o := options(t)
	o.Settings.Unix.LastID = 1 << 30
	number := 0
	rapid.Check(t, func(r *rapid.T) {
		ctx := t.Context()
		number++
		o.Path = filepath.Join(filepath.Dir(o.Path), fmt.Sprintf("property-%d.db", number))
		s, err := store.Create(ctx, o)
		must(t, err)
		defer func() { must(t, s.Close()) }()
		for range rapid.IntRange(1, 4).Draw(r, "operations") {
			operation(ctx, t, r, s, acceptable(ctx, t, r, s, steps().Draw(r, "steps")))
		}
		findings, err := s.Check(ctx)
		must(t, err)
		if len(findings) > 0 {
			r.Fatalf("findings: %v", findings)
		}
	})
}

func operation(ctx context.Context, t *testing.T, r *rapid.T, s *store.Store, all []step) {
	before := rows(t, s)
	var planned string
	var planner *store.Planner
	var refused error
	must(t, s.Update(ctx, func(tx *store.Tx) error {
		planner, refused = tx.Plan(ctx, func(ctx context.Context, p *store.Planner) error {
			if err := play(ctx, r, p, all); err != nil {
				return err
			}
			planned = snapshot(ctx, t, tx)
			return nil
		})
		return nil
	}))
	if after := rows(t, s); after != before {
		r.Fatalf("the plan left something:\n%s", cmp.Diff(before, after))
	}
	if refused != nil {
		r.Fatalf("refused: %v", refused)
	}
	// What the journal keeps.
	journaled, err := json.Marshal(planner.Changes())
	must(t, err)
	var changes []noun.Change
	must(t, json.Unmarshal(journaled, &changes))
	if diff := cmp.Diff(planner.Changes(), changes); diff != "" {
		r.Fatalf("the journal changes values:\n%s", diff)
	}
	must(t, s.Update(ctx, func(tx *store.Tx) error {
		return errors.Join(tx.SetCounters(ctx, planner.Counters()), tx.Apply(ctx, changes))
	}))
	if after := rows(t, s); after != planned {
		r.Fatalf("applied is not what was planned:\n%s", cmp.Diff(planned, after))
	}
	must(t, s.Update(ctx, func(tx *store.Tx) error { return tx.Apply(ctx, noun.Invert(changes)) }))
	if after := rows(t, s); after != before {
		r.Fatalf("inverted is not what was before:\n%s", cmp.Diff(before, after))
	}
	must(t, s.Update(ctx, func(tx *store.Tx) error { return tx.Apply(ctx, changes) }))
	owners := map[int64]bool{}
	for _, id := range planner.Written() {
		owners[id] = true
	}
	for _, change := range changes {
		if change.Account != 0 && !owners[change.Account] {
			r.Fatalf("account %d of %s %s is not among the written %v", change.Account, change.Noun, change.Name, planner.Written())
		}
	}
}

// rows returns all rows of nouns as text.
func rows(t *testing.T, s *store.Store) (text string) {
	t.Helper()
	view(t, s, func(tx *store.Tx) { text = snapshot(t.Context(), t, tx) })
	return text
}

func snapshot(ctx context.Context, t *testing.T, tx *store.Tx) string {
	t.Helper()
	var out strings.Builder
	for _, n := range tx.Nouns() {
		found, err := tx.Select(ctx, n.Name)
		must(t, err)
		for _, row := range found {
			text, err := json.Marshal(row)
			must(t, err)
			out.Write(append(text, '\n'))
		}
	}
	return out.String()
}

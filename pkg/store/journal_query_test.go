package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"orchestra/pkg/noun"
)

// logStore has operations 1 to 6 of two people on two accounts, a day apart.
func logStore(t *testing.T) *Store {
	t.Helper()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	s := journalStore(t, func() time.Time { return now })
	for i, one := range []struct {
		actor, noun, name string
		account           int64
		lines             int
	}{
		{"ana (pts/3, as root)", "account", "acme", 1, 0},
		{"bob", "user", "web", 1, 0},
		{"ana", "account", "beta", 2, 0},
		{"anabel", "user", "web", 2, 0},
		{"ana", "user", "mail", 2, 120},
		// Another account of that name, after the first.
		{"bob", "account", "acme", 3, 0},
	} {
		now = now.AddDate(0, 0, min(i, 1))
		change := noun.Change{Noun: one.noun, ID: int64(i + 1), Name: one.name, Account: one.account, After: noun.Values{}}
		o := &Operation{ID: NewOperationID(), Kind: "change", Actor: one.actor, Command: fmt.Sprint("command ", i+1), Lines: one.lines, Changes: []noun.Change{change, change}}
		if err := journal(t, s, func(ctx context.Context, tx *Tx) error {
			if err := tx.BeginOperation(ctx, o); err != nil {
				return err
			}
			if err := tx.MoveOperation(ctx, o.Number, Running, Undoing, ""); err != nil {
				return err
			}
			return tx.MoveOperation(ctx, o.Number, Undoing, Undone, "")
		}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestTheLogAnswersWhatIsAskedOfIt(t *testing.T) {
	s := logStore(t)
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		query LogQuery
		want  []int64
	}{
		"all":                {LogQuery{}, []int64{6, 5, 4, 3, 2, 1}},
		"a limit":            {LogQuery{Limit: 2}, []int64{6, 5}},
		"an account":         {LogQuery{Account: "beta"}, []int64{5, 4, 3}},
		"a name twice given": {LogQuery{Account: "acme"}, []int64{6, 2, 1}},
		"nobody's account":   {LogQuery{Account: "nobody"}, nil},
		"an object":          {LogQuery{Noun: "user", Name: "web"}, []int64{4, 2}},
		"of an account":      {LogQuery{Noun: "user", Name: "web", Account: "beta"}, []int64{4}},
		"a noun":             {LogQuery{Noun: "user", Limit: 2}, []int64{5, 4}},
		"a person":           {LogQuery{Actor: "ana"}, []int64{5, 3, 1}},
		"a whole actor":      {LogQuery{Actor: "ana (pts/3, as root)"}, []int64{1}},
		"a state":            {LogQuery{State: Done}, nil},
		"since":              {LogQuery{Since: day(4)}, []int64{6, 5, 4}},
		"until":              {LogQuery{Since: day(2), Before: day(4)}, []int64{3, 2}},
		"a filter":           {LogQuery{Filter: `lines > 100 or actor == "anabel"`}, []int64{5, 4}},
		"a filter and limit": {LogQuery{Filter: `actor startsWith "ana"`, Limit: 2}, []int64{5, 4}},
		"an order":           {LogQuery{Sort: []string{"actor", "-number"}, Limit: 3}, []int64{5, 3, 1}},
		"all of it":          {LogQuery{Noun: "user", Account: "beta", Actor: "ana", Since: day(1), Before: day(30), State: Undone, Filter: "lines == 120"}, []int64{5}},
	} {
		var got []int64
		if err := s.View(t.Context(), func(tx *Tx) error {
			found, err := tx.Operations(t.Context(), c.query)
			for _, o := range found {
				got = append(got, o.Number)
			}
			return err
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, wrong := range []LogQuery{{Filter: "nothing == 1"}, {Sort: []string{"number; DROP TABLE system_operation"}}} {
		if err := s.View(t.Context(), func(tx *Tx) error { _, err := tx.Operations(t.Context(), wrong); return err }); err == nil {
			t.Errorf("%+v was taken", wrong)
		}
	}
}

// What went from one account to another is in the log of both.
func TestTheLogOfAnAccountTellsWhatLeftIt(t *testing.T) {
	s := logStore(t)
	change := noun.Change{Noun: "user", ID: 2, Name: "web", Account: 2, Former: 1, Before: noun.Values{}, After: noun.Values{}}
	o := &Operation{ID: NewOperationID(), Kind: "change", Changes: []noun.Change{change, change}}
	if err := journal(t, s, func(ctx context.Context, tx *Tx) error { return tx.BeginOperation(ctx, o) }); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string][]int64{"acme": {7, 6, 2, 1}, "beta": {7, 5, 4, 3}} {
		if err := s.View(t.Context(), func(tx *Tx) error {
			found, err := tx.Operations(t.Context(), LogQuery{Account: account})
			var got []int64
			for _, o := range found {
				got = append(got, o.Number)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", account, diff)
			}
			if err != nil {
				return err
			}
			statement, args, err := tx.logStatement(t.Context(), LogQuery{Account: account})
			if err != nil {
				return err
			}
			return tx.each(t.Context(), func(rows *sql.Rows) error {
				var id, parent, unused int
				var detail string
				err := rows.Scan(&id, &parent, &unused, &detail)
				if strings.HasPrefix(detail, "SCAN") {
					t.Errorf("%s: it reads the whole log: %s", account, detail)
				}
				return err
			}, "EXPLAIN QUERY PLAN "+statement, args...)
		}); err != nil {
			t.Error(err)
		}
	}
	if err := s.View(t.Context(), func(tx *Tx) error {
		changes, err := tx.Changes(t.Context(), o.Number)
		if err == nil && changes[0].Former != 1 {
			t.Error(changes)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// What one asks costs as much as what it is about, however long the log is: an
// index leads and gives the order, so that a limit ends it.
func TestNoQuestionReadsTheWholeLog(t *testing.T) {
	s := logStore(t)
	for name, query := range map[string]LogQuery{
		"all": {Limit: 5}, "account": {Account: "beta", Limit: 5}, "object": {Noun: "user", Name: "web", Limit: 5},
		"noun": {Noun: "user", Limit: 5}, "actor": {Actor: "ana", Limit: 5}, "since": {Since: time.Unix(1e9, 0), Limit: 5},
		"one moment": {Since: time.Unix(1e9, 0), Before: time.Unix(1e9, 0), Limit: 5},
	} {
		if err := s.View(t.Context(), func(tx *Tx) error {
			statement, args, err := tx.logStatement(t.Context(), query)
			if err != nil {
				return err
			}
			rows, err := tx.Query(t.Context(), "EXPLAIN QUERY PLAN "+statement, args...)
			if err != nil {
				return err
			}
			defer rows.Close()
			var steps []string
			for rows.Next() {
				var id, parent, unused int
				var detail string
				if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
					return err
				}
				steps = append(steps, detail)
			}
			scans := slices.ContainsFunc(steps, func(step string) bool { return strings.HasPrefix(step, "SCAN") })
			sorts := slices.ContainsFunc(steps, func(step string) bool { return strings.Contains(step, "B-TREE") })
			// Everything is a walk from the newest; an actor sorts what it finds.
			if name != "all" && scans || sorts && name != "actor" {
				t.Errorf("%s: %s\n%s", name, statement, strings.Join(steps, "\n"))
			}
			return rows.Err()
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

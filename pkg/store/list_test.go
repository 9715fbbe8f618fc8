package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// many makes one account with that many users.
func many(t testing.TB, s *store.Store, users int) {
	t.Helper()
	commit(t, s, func(ctx context.Context, p *store.Planner) error {
		if _, err := p.Add(ctx, "account", noun.Values{"name": "acme"}); err != nil {
			return err
		}
		for i := range users {
			if _, err := p.Add(ctx, "user", noun.Values{
				"name": fmt.Sprintf("user-%05d", i), "account": "acme", "group": "a,b", "backup": i%2 == 0,
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestAListAsksAsOftenForManyRowsAsForFew(t *testing.T) {
	queries := map[string]store.Query{
		"all":      {},
		"filtered": {Filter: `backup and account == "acme"`, Sort: []string{"-uid"}, Limit: 7},
		"account":  {Account: "acme", Columns: []string{"name", "active", "account"}},
	}
	counted := map[string][]int{}
	large := 10_000
	if raced {
		large = 500
	}
	for _, size := range []int{10, large} {
		statements := 0
		o := options(t)
		o.Settings.Unix.LastID = 1_000_000
		o.Trace = func(string) { statements++ }
		s, err := store.Create(t.Context(), o)
		must(t, err)
		many(t, s, size)
		for title, query := range queries {
			view(t, s, func(tx *store.Tx) {
				statements = 0
				for _, name := range []string{"user", "account"} { // account has a computed field
					query := query
					if name == "account" {
						query = store.Query{}
					}
					_, err := tx.List(t.Context(), name, query)
					must(t, err)
				}
				counted[title] = append(counted[title], statements)
			})
		}
		must(t, s.Close())
	}
	for title, counts := range counted {
		if counts[0] != counts[1] || counts[0] > 4 {
			t.Errorf("%s: %d statements for 10 rows, %d for 10,000", title, counts[0], counts[1])
		}
	}
}

func TestListShowsWhatPeopleSee(t *testing.T) {
	s := two(t)
	add(t, s, object("user", "name", "acme-web", "account", "acme", "password", "$6$hidden", "group", "a,b"))
	view(t, s, func(tx *store.Tx) {
		rows, err := tx.List(t.Context(), "user", store.Query{})
		must(t, err)
		want := noun.Values{
			"name": "acme-web", "account": "acme", "uid": int64(70000), "group": []string{"a", "b"}, "backup": false,
			"home": "/home/acme-web", "created": "2026-11-23T18:00:00Z", "active": true,
		}
		if diff := cmp.Diff(want, rows[0].Values); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		rows, err = tx.List(t.Context(), "account", store.Query{Columns: []string{"objects"}, Sort: []string{"-objects"}})
		must(t, err)
		if len(rows) != 2 || rows[0].Values["objects"] != int64(1) || rows[0].Text("name") != "acme" {
			t.Errorf("sorted by a computed field: %v", rows)
		}
		rows, err = tx.List(t.Context(), "account", store.Query{Filter: "objects > 0 or name == 'other'", Limit: 1})
		must(t, err)
		if len(rows) != 1 || rows[0].Text("name") != "acme" {
			t.Errorf("filtered by a computed field: %v", rows)
		}
		// A record is its domain's account's.
		rows, err = tx.List(t.Context(), "record", store.Query{Account: "acme"})
		must(t, err)
		if len(rows) != 1 || rows[0].Values["domain"] != "example.org" || rows[0].Values["active"] != true {
			t.Errorf("records: %v", rows)
		}
		rows, err = tx.List(t.Context(), "mailbox", store.Query{Names: []string{"acme.info", "nothing", "a\x00b"}})
		must(t, err)
		if len(rows) != 1 {
			t.Errorf("by name: %v", rows)
		}
	})
	commit(t, s, set("account", "acme", "disabled", "unpaid"))
	view(t, s, func(tx *store.Tx) {
		for _, name := range []string{"record", "user", "domain"} {
			rows, err := tx.List(t.Context(), name, store.Query{Filter: "not active"})
			must(t, err)
			if len(rows) != 1 {
				t.Errorf("%s: %d are inactive with their account", name, len(rows))
			}
		}
		raw, err := tx.Select(t.Context(), "record")
		must(t, err)
		active, err := noun.ActiveOf(t.Context(), tx, raw)
		must(t, err)
		if active[0] {
			t.Error("ActiveOf says otherwise than List")
		}
	})
}

func TestListRefusesWhatItDoesNotKnow(t *testing.T) {
	s := two(t)
	cases := []struct {
		query store.Query
		kind  fault.Kind
		words []string
	}{
		{store.Query{Filter: `nme == "acme"`}, fault.Invalid, []string{"nme"}},
		{store.Query{Filter: `password == "x"`}, fault.Invalid, []string{"password"}},
		{store.Query{Filter: `name`}, fault.Invalid, nil},
		{store.Query{Sort: []string{"password"}}, fault.Invalid, []string{"password"}},
		{store.Query{Columns: []string{"shel"}}, fault.Invalid, []string{"shel"}},
		{store.Query{Account: "nobody"}, fault.NotFound, []string{"nobody"}},
	}
	for _, c := range cases {
		view(t, s, func(tx *store.Tx) {
			_, err := tx.List(t.Context(), "user", c.query)
			isFault(t, err, c.kind, c.words...)
		})
	}
	view(t, s, func(tx *store.Tx) {
		_, err := tx.List(t.Context(), "user", store.Query{Columns: []string{"shel"}})
		if hint := fault.HintOf(err).String(); !strings.Contains(hint, "shell") {
			t.Errorf("the hint is %q", hint)
		}
		_, err = tx.List(t.Context(), "server", store.Query{Account: "acme"})
		isFault(t, err, fault.Usage, "server")
	})
}

// TestNamesAreLookedUpInAnIndex holds the promise that costs do not grow with
// the number of objects: no statement of these scans a table.
func TestNamesAreLookedUpInAnIndex(t *testing.T) {
	var asked []string
	o := options(t)
	o.Trace = func(query string) { asked = append(asked, query) }
	s, err := store.Create(t.Context(), o)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	many(t, s, 20)
	asked = nil
	view(t, s, func(tx *store.Tx) {
		ctx := t.Context()
		row, err := tx.Find(ctx, "user", "user-00003")
		must(t, err)
		_, err = tx.Get(ctx, "user", row.ID)
		must(t, err)
		names, err := tx.Complete(ctx, "user", "user-0001", 100)
		must(t, err)
		if len(names) != 10 {
			t.Errorf("completed: %v", names)
		}
		for _, query := range []store.Query{
			{Names: []string{"user-00003"}}, {Filter: `name == "user-00003"`}, {Filter: `account == "acme" and backup`},
		} {
			_, err = tx.List(ctx, "user", query)
			must(t, err)
		}
		_, err = tx.Select(ctx, "user", noun.Where("account", int64(1), int64(2)))
		must(t, err)
	})
	_, err = plan(t, s, set("user", "user-00003", "shell", "/bin/sh"))
	must(t, err)
	_, err = plan(t, s, remove("user", "user-00003"))
	must(t, err)
	for _, query := range asked {
		if !strings.HasPrefix(query, "SELECT") {
			continue
		}
		rows, err := s.DB().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
		must(t, err)
		for rows.Next() {
			var id, parent, unused int
			var detail string
			must(t, rows.Scan(&id, &parent, &unused, &detail))
			if strings.HasPrefix(detail, "SCAN") && !strings.Contains(detail, "json_each") {
				t.Errorf("%s\n\t%s", query, detail)
			}
		}
		must(t, rows.Close())
	}
}

func TestSelectTakesManyValues(t *testing.T) {
	o := options(t)
	o.Settings.Unix.LastID = 1_000_000
	s, err := store.Create(t.Context(), o)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	many(t, s, 100)
	ids := make([]any, 40_000) // more than SQLite has variables
	for i := range ids {
		ids[i] = int64(i + 51)
	}
	view(t, s, func(tx *store.Tx) {
		for _, c := range []struct {
			title string
			where []noun.Condition
			want  int
		}{
			{"many", []noun.Condition{noun.Where("id", ids...)}, 50},
			{"none", []noun.Condition{noun.Where("id")}, 0},
			{"no value", []noun.Condition{noun.Where("shell", nil)}, 100},
			{"no value or one", []noun.Condition{noun.Where("shell", nil, "/bin/sh")}, 100},
			{"an element of a list", []noun.Condition{noun.Where("group", "b")}, 100},
			{"both", []noun.Condition{noun.Where("group", "b"), noun.Where("backup", true)}, 50},
			{"text with a quote", []noun.Condition{noun.Where("name", "' OR 1=1 --")}, 0},
		} {
			rows, err := tx.Select(t.Context(), "user", c.where...)
			must(t, err)
			if len(rows) != c.want {
				t.Errorf("%s: %d rows, want %d", c.title, len(rows), c.want)
			}
		}
		_, err := tx.Select(t.Context(), "user", noun.Where("nothing", 1))
		isFault(t, err, fault.Internal, "nothing")
	})
}

func TestFactsOfTellsWhatIsNoSecret(t *testing.T) {
	s := two(t)
	add(t, s, object("user", "name", "acme-web", "account", "acme", "password", "$6$hidden"))
	view(t, s, func(tx *store.Tx) {
		rows, err := tx.Select(t.Context(), "user")
		must(t, err)
		facts, err := noun.FactsOf(t.Context(), tx, rows)
		must(t, err)
		want := noun.Facts{"name": "acme-web", "account": "acme", "uid": int64(70000), "backup": false,
			"home": "/home/acme-web", "active": true}
		if diff := cmp.Diff(want, facts[0]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

package store_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

func TestAnAddedObjectIsWholeAndPlannedOnly(t *testing.T) {
	s := newStore(t)
	before := dump(t, s)
	planner, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
		if _, err := p.Add(ctx, "account", noun.Values{"name": "acme", "email": ""}); err != nil {
			return err
		}
		row, err := p.Add(ctx, "user", noun.Values{
			"name": "acme-web", "account": "acme", "ssh_key": []string{"a,b", "a,b", " c "}, "group": "x, y", "password": "$6$x",
		})
		if err != nil {
			return err
		}
		want := noun.Values{
			"name": "acme-web", "account": int64(1), "uid": int64(70000), "ssh_key": []string{"a,b", "c"},
			"group": []string{"x", "y"}, "password": "$6$x", "backup": false, "home": "/home/acme-web",
			"created": "2026-11-23T18:00:00Z",
		}
		if diff := cmp.Diff(want, row.Values); diff != "" {
			t.Errorf("the new row (-want +got):\n%s", diff)
		}
		// What the plan wrote is seen by its own view at once.
		found, err := p.Find(ctx, "user", "acme-web")
		if err != nil || found.ID != row.ID {
			t.Errorf("found %v, %v", found, err)
		}
		return nil
	})
	must(t, err)
	if dump(t, s) != before {
		t.Error("a plan left something in the database")
	}
	if diff := cmp.Diff(map[string]int64{"id.account": 1, "id.user": 1, "unix_id": 70000}, planner.Counters()); diff != "" {
		t.Error(diff)
	}
	apply(t, s, planner)
	if got := find(t, s, "account", "acme").Text("type"); got != "individual" {
		t.Errorf("the default was not stored: %q", got)
	}
}

func TestNumbersAreNeverGivenTwice(t *testing.T) {
	s := newStore(t)
	add(t, s, object("account", "name", "acme"), object("user", "name", "one", "account", "acme"))
	commit(t, s, func(ctx context.Context, p *store.Planner) error {
		row, err := p.Find(ctx, "user", "one")
		if err != nil {
			return err
		}
		return p.Delete(ctx, row)
	})
	// A plan that was given up has used its numbers once its operation was journaled.
	lost, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
		_, err := p.Add(ctx, "user", noun.Values{"name": "two", "account": "acme"})
		return err
	})
	must(t, err)
	must(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.SetCounters(t.Context(), lost.Counters()) }))
	add(t, s, object("user", "name", "three", "account", "acme"))
	if row := find(t, s, "user", "three"); row.ID != 3 || row.Int("uid") != 70002 {
		t.Errorf("id %d, uid %d: want 3 and 70002", row.ID, row.Int("uid"))
	}
	// Counters never go back.
	must(t, s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.SetCounters(t.Context(), map[string]int64{"unix_id": 5})
	}))
	view(t, s, func(tx *store.Tx) {
		if last, err := tx.Counter(t.Context(), "unix_id"); last != 70002 || err != nil {
			t.Errorf("the counter went back to %d (%v)", last, err)
		}
	})
	// A number given by hand may not be one that was given before.
	for _, number := range []int64{70001, 69999, 100_000} {
		_, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
			_, err := p.Add(ctx, "user", noun.Values{"name": "four", "account": "acme", "uid": number})
			return err
		})
		isFault(t, err, fault.Invalid, "user.uid")
	}
}

func TestWhatIsWrongIsRefusedAndNamed(t *testing.T) {
	s := newStore(t)
	add(t, s, object("account", "name", "acme"), object("user", "name", "one", "account", "acme"))
	cases := []struct {
		title  string
		object noun.Row
		kind   fault.Kind
		words  []string
	}{
		{"required", object("user", "name", "x"), fault.Invalid, []string{"user.account", "required"}},
		{"required and only nothing", object("account", "name", ""), fault.Invalid, []string{"account.name"}},
		{"no such field", object("user", "name", "x", "account", "acme", "sell", "/bin/sh"), fault.Invalid, []string{"sell"}},
		{"computed", object("account", "name", "x", "objects", int64(1)), fault.Invalid, []string{"account.objects"}},
		{"type", object("user", "name", "x", "account", "acme", "shell", "/bin/zsh"), fault.Invalid, []string{"user.shell"}},
		{"control character", object("account", "name", "a\x1bb"), fault.Invalid, []string{"account.name"}},
		{"reference", object("user", "name", "x", "account", "nobody"), fault.NotFound, []string{"user.account", "nobody"}},
		{"reference by number", object("user", "name", "x", "account", int64(99)), fault.NotFound, []string{"user.account"}},
		{"taken name", object("account", "name", "acme"), fault.Conflict, []string{"account.name", "acme"}},
		{"wrong Go type", object("user", "name", 1.5, "account", "acme"), fault.Internal, []string{"user.name"}},
	}
	for _, c := range cases {
		t.Run(c.title, func(t *testing.T) {
			before := dump(t, s)
			_, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
				_, err := p.Add(ctx, c.object.Noun, c.object.Values)
				return err
			})
			isFault(t, err, c.kind, c.words...)
			if dump(t, s) != before {
				t.Error("a refused plan left something")
			}
		})
	}
	_, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
		row, err := p.Find(ctx, "user", "one")
		if err != nil {
			return err
		}
		_, err = p.Set(ctx, row, noun.Values{"home": "/srv/one"})
		return err
	})
	isFault(t, err, fault.Invalid, "user.home")
}

func TestASetThatChangesNothingIsNoChange(t *testing.T) {
	s := newStore(t)
	add(t, s, object("account", "name", "acme"), object("user", "name", "one", "account", "acme", "group", "a,b"))
	planner, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
		row, err := p.Find(ctx, "user", "one")
		if err != nil {
			return err
		}
		_, err = p.Set(ctx, row, noun.Values{"account": "acme", "group": []string{"a", "b"}, "shell": "", "backup": false})
		return err
	})
	must(t, err)
	if len(planner.Changes()) != 0 {
		t.Errorf("changes: %v", planner.Changes())
	}
}

func TestHooksOfAChangeJoinItsOperation(t *testing.T) {
	s := newStore(t)
	planner := commit(t, s, func(ctx context.Context, p *store.Planner) error {
		_, err := p.Add(ctx, "account", noun.Values{"name": "with-user"})
		return err
	})
	if len(planner.Changes()) != 2 || planner.Changes()[1].Account != 1 {
		t.Errorf("changes: %v", planner.Changes())
	}
	if find(t, s, "user", "with-user").Int("account") != 1 {
		t.Error("the main user is not its account's")
	}
}

func TestAHookMayNotReachAnotherAccount(t *testing.T) {
	s := newStore(t)
	add(t, s, object("account", "name", "acme"), object("account", "name", "other"), object("user", "name", "victim", "account", "other"))
	_, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
		row, err := p.Find(ctx, "account", "acme")
		if err != nil {
			return err
		}
		_, err = p.Set(ctx, row, noun.Values{"email": "steal@example.org"})
		return err
	})
	isFault(t, err, fault.Conflict, "acme", "victim", "other")
}

func TestSettleJudgesTheWholePlan(t *testing.T) {
	s := newStore(t)
	_, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
		_, err := p.Add(ctx, "account", noun.Values{"name": "a", "notes": "settle: refuse"})
		return err
	})
	isFault(t, err, fault.Conflict, "refused at the end")
	add(t, s, object("account", "name", "b", "notes", "settle: warn"))
	// An account is judged also where only something of it is changed.
	planner, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
		_, err := p.Add(ctx, "domain", noun.Values{"name": "example.org", "account": "b"})
		return err
	})
	must(t, err)
	if warnings := planner.Warnings(); len(warnings) != 1 || warnings[0].String() != "seen b" {
		t.Errorf("warnings: %v", warnings)
	}
}

// two makes two accounts; acme has a mailbox with an address on its domain.
func two(t *testing.T) *store.Store {
	s := newStore(t)
	add(t, s,
		object("account", "name", "acme"), object("account", "name", "other"),
		object("domain", "name", "example.org", "account", "acme"),
		object("record", "name", "www.example.org", "domain", "example.org"),
		object("mailbox", "name", "acme.info", "account", "acme"),
		object("mailbox", "name", "acme.copy", "account", "acme"),
		object("address", "name", "info@example.org", "account", "acme", "domain", "example.org", "mailbox", "acme.info", "copy", "acme.copy"),
	)
	return s
}

func remove(name, called string) func(context.Context, *store.Planner) error {
	return func(ctx context.Context, p *store.Planner) error {
		row, err := p.Find(ctx, name, called)
		if err != nil {
			return err
		}
		return p.Delete(ctx, row)
	}
}

func set(name, called string, pairs ...any) func(context.Context, *store.Planner) error {
	return func(ctx context.Context, p *store.Planner) error {
		row, err := p.Find(ctx, name, called)
		if err != nil {
			return err
		}
		_, err = p.Set(ctx, row, object(name, pairs...).Values)
		return err
	}
}

func names(planner *store.Planner) []string {
	var found []string
	for _, change := range planner.Changes() {
		found = append(found, change.Noun+" "+change.Name)
	}
	return found
}

func TestDeletionTakesWhatDependsOnIt(t *testing.T) {
	t.Run("restrict", func(t *testing.T) {
		_, err := plan(t, two(t), remove("mailbox", "acme.info"))
		isFault(t, err, fault.Conflict, "acme.info", "address info@example.org")
	})
	t.Run("forget", func(t *testing.T) {
		s := two(t)
		commit(t, s, remove("mailbox", "acme.copy"))
		if find(t, s, "address", "info@example.org").Values["copy"] != nil {
			t.Error("the reference was kept")
		}
	})
	t.Run("cascade", func(t *testing.T) {
		s := two(t)
		planner := commit(t, s, remove("domain", "example.org"))
		want := []string{"record www.example.org", "address info@example.org", "domain example.org"}
		if diff := cmp.Diff(want, names(planner)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("all of an account, restricted ones included", func(t *testing.T) {
		s := two(t)
		planner := commit(t, s, remove("account", "acme"))
		if len(planner.Changes()) != 6 {
			t.Errorf("changes: %v", names(planner))
		}
		if diff := cmp.Diff([]int64{1}, planner.Written()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("never another account's", func(t *testing.T) {
		s := two(t)
		add(t, s, object("address", "name", "x@example.org", "account", "other", "domain", "example.org"))
		_, err := plan(t, s, remove("domain", "example.org"))
		isFault(t, err, fault.Conflict, "example.org", "x@example.org", "other")
		_, err = plan(t, s, remove("account", "acme"))
		isFault(t, err, fault.Conflict, "x@example.org")
	})
	t.Run("hooks are told that it goes", func(t *testing.T) {
		nouns := sampleNouns()
		var told []bool
		nouns[1].Cascade = func(_ context.Context, p noun.Planner, change noun.Change) error {
			told = append(told, p.Deleting("account", change.Account), p.Deleting("account", 99))
			return nil
		}
		o := options(t)
		o.Registry = registry(t, nouns...)
		s, err := store.Create(t.Context(), o)
		must(t, err)
		defer func() { must(t, s.Close()) }()
		add(t, s, object("account", "name", "with-user"))
		told = nil
		commit(t, s, remove("account", "with-user"))
		if !slices.Equal(told, []bool{true, false}) {
			t.Errorf("told %v", told)
		}
	})
}

func TestAnObjectMovesWithWhatDependsOnIt(t *testing.T) {
	t.Run("names what prevents it", func(t *testing.T) {
		s := two(t)
		_, err := plan(t, s, set("mailbox", "acme.info", "account", "other"))
		isFault(t, err, fault.Conflict, "address info@example.org", "domain example.org")
	})
	t.Run("with its dependents", func(t *testing.T) {
		s := two(t)
		commit(t, s, set("address", "info@example.org", "domain", "", "copy", ""))
		planner := commit(t, s, set("mailbox", "acme.info", "account", "other"))
		if diff := cmp.Diff([]string{"mailbox acme.info", "address info@example.org"}, names(planner)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]int64{1, 2}, planner.Written()); diff != "" {
			t.Error(diff)
		}
		if find(t, s, "address", "info@example.org").Int("account") != 2 {
			t.Error("the address stayed")
		}
	})
	t.Run("what is owned through it goes too", func(t *testing.T) {
		s := two(t)
		commit(t, s, set("address", "info@example.org", "domain", ""))
		planner := commit(t, s, set("domain", "example.org", "account", "other"))
		if diff := cmp.Diff([]string{"domain example.org"}, names(planner)); diff != "" {
			t.Error(diff)
		}
		view(t, s, func(tx *store.Tx) {
			row, err := tx.Find(t.Context(), "record", "www.example.org")
			must(t, err)
			if owner, err := tx.Account(t.Context(), row); owner != 2 || err != nil {
				t.Errorf("the record belongs to %d (%v)", owner, err)
			}
		})
	})
}

func TestWhatBelongsToTheServiceIsSentAndNotStored(t *testing.T) {
	s := two(t)
	planner := commit(t, s, func(ctx context.Context, p *store.Planner) error {
		row, err := p.Add(ctx, "mailbox", noun.Values{"name": "new", "account": "acme", "sieve": "discard;"})
		if err != nil {
			return err
		}
		if row.Values["sieve"] != nil {
			t.Error("the row holds it")
		}
		return p.Send(ctx, row, "set-password", map[string]noun.Confidential{"password": "$6$"})
	})
	sent := planner.Sent()
	if len(sent) != 2 || sent[0].Action != "save" || sent[0].Values["sieve"] != "discard;" ||
		sent[1].Action != "set-password" || sent[1].Name != "new" || sent[1].Account != 1 {
		t.Errorf("sent %+v", sent)
	}
	if strings.Contains(dump(t, s), "discard") {
		t.Error("it is in the database")
	}
	// A set of nothing else is no change, and is sent.
	planner = commit(t, s, set("mailbox", "new", "sieve", "keep;"))
	if len(planner.Changes()) != 0 || len(planner.Sent()) != 1 || !slices.Equal(planner.Written(), []int64{1}) {
		t.Errorf("changes %v, sent %v, written %v", planner.Changes(), planner.Sent(), planner.Written())
	}
}

func TestReasonsAreStackedAndPopped(t *testing.T) {
	s := newStore(t)
	add(t, s, object("account", "name", "with-user"))
	change := func(f func(context.Context, noun.Planner, noun.Row, string) (noun.Row, error), reason string) ([]string, error) {
		planner, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
			row, err := p.Find(ctx, "account", "with-user")
			if err != nil {
				return err
			}
			_, err = f(ctx, p, row, reason)
			return err
		})
		if err == nil {
			apply(t, s, planner)
		}
		return find(t, s, "account", "with-user").List("disabled"), err
	}
	steps := []struct {
		do     func(context.Context, noun.Planner, noun.Row, string) (noun.Row, error)
		reason string
		want   []string
		active bool
	}{
		{noun.Disable, "unpaid", []string{"unpaid"}, false},
		{noun.Disable, "abuse", []string{"unpaid", "abuse"}, false},
		{noun.Disable, "unpaid", []string{"unpaid", "abuse"}, false},
		{noun.Enable, "unpaid", []string{"abuse"}, false},
		{noun.Enable, "", nil, true},
		{noun.Enable, "", nil, true},
	}
	for _, step := range steps {
		got, err := change(step.do, step.reason)
		must(t, err)
		if !slices.Equal(got, step.want) {
			t.Fatalf("after %q: %v, want %v", step.reason, got, step.want)
		}
		view(t, s, func(tx *store.Tx) {
			users, err := tx.List(t.Context(), "user", store.Query{})
			must(t, err)
			if users[0].Values["active"] != step.active || users[0].Values["disabled"] != nil {
				t.Errorf("its user after %q: %v", step.reason, users[0].Values)
			}
		})
	}
	must(t, errOf(change(noun.Disable, "unpaid")))
	_, err := change(noun.Enable, "abuse")
	isFault(t, err, fault.Conflict, "unpaid")
}

func errOf(_ []string, err error) error { return err }

func TestAccountsOfAPlanAreTold(t *testing.T) {
	s := two(t)
	planner, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
		if _, err := p.Add(ctx, "address", noun.Values{"name": "x", "account": "other", "mailbox": "acme.info"}); err != nil {
			return err
		}
		_, err := p.Add(ctx, "server", noun.Values{"name": "h11", "port": 22})
		return err
	})
	must(t, err)
	if !slices.Equal(planner.Written(), []int64{2}) || !slices.Equal(planner.Read(), []int64{1}) || !planner.World() {
		t.Errorf("written %v, read %v, world %v", planner.Written(), planner.Read(), planner.World())
	}
}

func TestApplyRefusesWhatChangedMeanwhile(t *testing.T) {
	s := two(t)
	stale, err := plan(t, s, set("mailbox", "acme.info", "name", "acme.stale"))
	must(t, err)
	commit(t, s, set("mailbox", "acme.info", "name", "acme.fresh"))
	before := dump(t, s)
	err = s.Update(t.Context(), func(tx *store.Tx) error { return tx.Apply(t.Context(), stale.Changes()) })
	isFault(t, err, fault.Conflict, "acme.stale")
	for _, change := range []noun.Change{
		{Noun: "mailbox", ID: 99, Name: "gone", Before: noun.Values{"name": "gone"}},
		{Noun: "mailbox", ID: 1, Name: "twice", After: noun.Values{"name": "twice", "account": int64(1)}},
	} {
		err = s.Update(t.Context(), func(tx *store.Tx) error { return tx.Apply(t.Context(), []noun.Change{change}) })
		isFault(t, err, fault.Conflict)
	}
	if dump(t, s) != before {
		t.Error("a refused apply left something")
	}
}

func TestNetJoinsTheChangesOfARow(t *testing.T) {
	s := two(t)
	planner, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
		for _, mutate := range []func(context.Context, *store.Planner) error{
			set("mailbox", "acme.info", "name", "a"), set("mailbox", "a", "name", "b"),
			set("mailbox", "acme.copy", "name", "c"), set("mailbox", "c", "name", "acme.copy"),
		} {
			if err := mutate(ctx, p); err != nil {
				return err
			}
		}
		row, err := p.Add(ctx, "domain", noun.Values{"name": "gone.org", "account": "acme"})
		if err != nil {
			return err
		}
		return p.Delete(ctx, row)
	})
	must(t, err)
	net := noun.Net(planner.Changes())
	if len(planner.Changes()) != 6 || len(net) != 1 || net[0].Before["name"] != "acme.info" || net[0].After["name"] != "b" {
		t.Errorf("net %v", net)
	}
}

func TestValuesHandedOutAreCopies(t *testing.T) {
	s := two(t)
	planner, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
		row, err := p.Add(ctx, "user", noun.Values{"name": "u", "account": "acme", "group": "a,b"})
		if err != nil {
			return err
		}
		row.List("group")[0] = "changed"
		maps.Copy(row.Values, noun.Values{"name": "changed"})
		again, err := p.Get(ctx, "user", row.ID)
		if err != nil || again.Text("name") != "u" || again.List("group")[0] != "a" {
			t.Errorf("%v, %v", again, err)
		}
		return nil
	})
	must(t, err)
	if planner.Changes()[0].After["name"] != "u" {
		t.Error("the change was changed")
	}
}

package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/settings"
	"orchestra/pkg/store"
)

// The nouns of the tests: each has one trait of the engine that is tested.

func sampleAccount() *noun.Noun {
	return &noun.Noun{
		Name: "account", Plural: "accounts", Area: "Accounts", Kind: noun.Management, Help: "Who pays",
		Key: "name", Owner: "id", Disableable: true,
		Fields: []noun.Field{
			{Name: "name", Type: noun.Text{Max: 32}, Help: "What it is called", Required: true, Example: "acme", Listed: true},
			{Name: "type", Type: noun.Choice{"individual", "company"}, Help: "What it is", Example: "company",
				Default: noun.Always("individual")},
			{Name: "email", Type: noun.Text{}, Help: "Where to write to", Example: "a@example.org"},
			{Name: "notes", Type: noun.LongText{}, Help: "What to remember", Example: "pays late"},
			{Name: "objects", Type: noun.Integer{}, Help: "How many users it has", Example: "1",
				Compute: func(ctx context.Context, view noun.View, rows []noun.Row) ([]any, error) {
					ids := make([]any, len(rows))
					for i, row := range rows {
						ids[i] = row.ID
					}
					users, err := view.Select(ctx, "user", noun.Where("account", ids...))
					if err != nil {
						return nil, err
					}
					count := map[int64]int64{}
					for _, user := range users {
						count[user.Int("account")]++
					}
					values := make([]any, len(rows))
					for i, row := range rows {
						values[i] = count[row.ID]
					}
					return values, nil
				}},
		},
		Cascade: func(ctx context.Context, plan noun.Planner, change noun.Change) error {
			if change.Before == nil && strings.HasPrefix(change.Name, "with-user") {
				_, err := plan.Add(ctx, "user", noun.Values{"name": change.Name, "account": change.ID})
				return err
			}
			if change.After != nil && change.After["email"] == "steal@example.org" {
				other, err := plan.Find(ctx, "user", "victim")
				if err != nil {
					return err
				}
				_, err = plan.Set(ctx, other, noun.Values{"shell": "/bin/sh"})
				return err
			}
			return nil
		},
		Settle: func(_ context.Context, plan noun.Planner, rows []noun.Row) error {
			for _, row := range rows {
				if row.Text("notes") == "settle: refuse" {
					return fault.New(fault.Conflict, "refused at the end")
				}
				if row.Text("notes") == "settle: warn" {
					plan.Warn(message.New("seen %s", row.Text("name")))
				}
			}
			return nil
		},
	}
}

func owner() noun.Field {
	return noun.Field{Name: "account", Reference: "account", Help: "Whose it is", Required: true,
		OnDelete: noun.Cascade, Example: "acme", Listed: true}
}

func key(example string) noun.Field {
	return noun.Field{Name: "name", Type: noun.Text{Max: 64}, Help: "What it is called", Required: true,
		Example: example, Listed: true}
}

func sampleNouns() []*noun.Noun {
	user := &noun.Noun{
		Name: "user", Plural: "users", Area: "Accounts", Help: "Who logs in", Key: "name", Owner: "account",
		Disableable: true,
		Fields: []noun.Field{
			key("acme-web"), owner(),
			{Name: "uid", Type: noun.Integer{}, Help: "The number", Counter: "unix_id", Unique: true, Hidden: true, Example: "70000"},
			{Name: "shell", Type: noun.Choice{"/bin/bash", "/bin/sh"}, Help: "The shell", Example: "/bin/sh"},
			{Name: "ssh_key", Type: noun.List{Of: noun.Text{}, Lines: true}, Help: "SSH keys", Example: "ssh-ed25519 AAAA a,b"},
			{Name: "group", Type: noun.List{Of: noun.Text{Max: 32}}, Help: "Groups", Example: "wheel"},
			{Name: "backup", Type: noun.Boolean{}, Help: "Whether it is saved", Example: "yes"},
			{Name: "password", Type: noun.Text{}, Help: "The password", Example: "secret!",
				Secret: &noun.Secret{Hash: func(string) (string, error) { return "$hash", nil }}},
			{Name: "home", Type: noun.Text{}, Help: "The home", Immutable: true, Example: "/home/acme"},
		},
		Prepare: func(_ context.Context, _ noun.Planner, _ *noun.Row, after *noun.Row) error {
			if after.Text("home") == "" {
				after.Values["home"] = "/home/" + after.Text("name")
			}
			return nil
		},
	}
	domain := &noun.Noun{
		Name: "domain", Plural: "domains", Area: "DNS", Help: "A name", Key: "name", Owner: "account",
		Fields: []noun.Field{key("example.org"), owner()},
	}
	record := &noun.Noun{
		Name: "record", Plural: "records", Area: "DNS", Help: "What a name says", Key: "name", Owner: "domain",
		Disableable: true,
		Fields: []noun.Field{
			key("www.example.org"),
			{Name: "domain", Reference: "domain", Help: "Its domain", Required: true, OnDelete: noun.Cascade, Example: "example.org"},
			{Name: "value", Type: noun.Text{}, Help: "What it says", Example: "192.0.2.1"},
		},
	}
	mailbox := &noun.Noun{
		Name: "mailbox", Plural: "mailboxes", Area: "Mail", Help: "Where mail lies", Key: "name", Owner: "account",
		Fields: []noun.Field{
			key("acme.info"), owner(),
			{Name: "sieve", Type: noun.LongText{}, Help: "The filter", ServiceOwned: true, Example: "keep;"},
		},
	}
	address := &noun.Noun{
		Name: "address", Plural: "addresses", Area: "Mail", Help: "Where mail goes", Key: "name", Owner: "account",
		Fields: []noun.Field{
			key("info@example.org"), owner(),
			{Name: "domain", Reference: "domain", Help: "Its domain", OnDelete: noun.Cascade, Example: "example.org"},
			{Name: "mailbox", Reference: "mailbox", Help: "Where it is kept", OnDelete: noun.Restrict, Example: "acme.info"},
			{Name: "copy", Reference: "mailbox", Help: "Where a copy goes", OnDelete: noun.Forget, Example: "acme.info"},
		},
	}
	server := &noun.Noun{
		Name: "server", Plural: "servers", Area: "Servers", Kind: noun.Management, Help: "A machine", Key: "name",
		World: true, Disableable: true,
		Fields: []noun.Field{key("h11"), {Name: "port", Type: noun.Integer{Min: 1, Max: 65535}, Help: "The port", Example: "22"}},
	}
	return []*noun.Noun{sampleAccount(), user, domain, record, mailbox, address, server}
}

func registry(t testing.TB, nouns ...*noun.Noun) *noun.Registry {
	t.Helper()
	if len(nouns) == 0 {
		nouns = sampleNouns()
	}
	r, err := noun.NewRegistry(nouns...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func options(t testing.TB) store.Options {
	t.Helper()
	return store.Options{
		Path: filepath.Join(t.TempDir(), "orchestra.db"), Registry: registry(t), Settings: settings.Default(),
		Now: func() time.Time { return time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC) },
	}
}

func newStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Create(t.Context(), options(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// plan plans and takes it back.
func plan(t testing.TB, s *store.Store, mutate func(context.Context, *store.Planner) error) (planner *store.Planner, err error) {
	t.Helper()
	must(t, s.Update(t.Context(), func(tx *store.Tx) error {
		planner, err = tx.Plan(t.Context(), mutate)
		return nil
	}))
	return planner, err
}

// commit plans, then applies what was planned, as an operation does.
func commit(t testing.TB, s *store.Store, mutate func(context.Context, *store.Planner) error) *store.Planner {
	t.Helper()
	planner, err := plan(t, s, mutate)
	must(t, err)
	apply(t, s, planner)
	return planner
}

func apply(t testing.TB, s *store.Store, planner *store.Planner) {
	t.Helper()
	must(t, s.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.SetCounters(t.Context(), planner.Counters()), tx.Apply(t.Context(), planner.Changes()))
	}))
}

// add adds objects in one plan and commits it.
func add(t testing.TB, s *store.Store, objects ...noun.Row) {
	t.Helper()
	commit(t, s, func(ctx context.Context, p *store.Planner) error {
		for _, object := range objects {
			if _, err := p.Add(ctx, object.Noun, object.Values); err != nil {
				return err
			}
		}
		return nil
	})
}

func object(noun_ string, pairs ...any) noun.Row {
	values := noun.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i].(string)] = pairs[i+1]
	}
	return noun.Row{Noun: noun_, Values: values}
}

func view(t testing.TB, s *store.Store, read func(tx *store.Tx)) {
	t.Helper()
	must(t, s.View(t.Context(), func(tx *store.Tx) error { read(tx); return nil }))
}

func find(t testing.TB, s *store.Store, name, called string) (row noun.Row) {
	t.Helper()
	view(t, s, func(tx *store.Tx) {
		var err error
		row, err = tx.Find(t.Context(), name, called)
		must(t, err)
	})
	return row
}

func dump(t testing.TB, s *store.Store) string {
	t.Helper()
	text, err := s.Dump(t.Context())
	must(t, err)
	return text
}

// isFault checks the kind of an error and that its sentence holds some words.
func isFault(t testing.TB, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Fatalf("error %v, want one of kind %s", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not name %q", err, word)
		}
	}
}

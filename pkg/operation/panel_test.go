package operation

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"orchestra/pkg/backend"
	"orchestra/pkg/noun"
	"orchestra/pkg/remote"
	"orchestra/pkg/settings"
	"orchestra/pkg/store"
)

func testRegistry(t testing.TB) *noun.Registry {
	t.Helper()
	registry, err := noun.NewRegistry(testNouns()...)
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

// testNouns are the nouns of these tests: accounts, and items that belong to them.
func testNouns() []*noun.Noun {
	return []*noun.Noun{
		{
			Name: "account", Plural: "accounts", Area: "Accounts", Kind: noun.Management, Help: "An account",
			Key: "name", Owner: "id",
			Fields: []noun.Field{
				{Name: "name", Type: noun.Text{}, Help: "The name", Example: "acme", Required: true, Unique: true},
				{Name: "label", Type: noun.Text{}, Help: "What its items are told", Example: "gold"},
			},
		},
		{
			Name: "item", Plural: "items", Area: "Accounts", Kind: noun.Service, Help: "An item",
			Key: "name", Owner: "account",
			Fields: []noun.Field{
				{Name: "name", Type: noun.Text{}, Help: "The name", Example: "one", Required: true, Unique: true},
				{Name: "account", Reference: "account", Help: "The account", Example: "acme", Required: true},
				{Name: "value", Type: noun.Text{}, Help: "The value", Example: "v"},
				{Name: "note", Type: noun.Text{}, Help: "Told to nobody", Example: "n"},
				{Name: "password", Type: noun.Text{}, Help: "A secret", Secret: &noun.Secret{
					Hash: func(plain string) (string, error) { return plain, nil },
				}},
			},
			Facts: itemFacts,
		},
		{
			Name: "part", Plural: "parts", Area: "Accounts", Kind: noun.Service, Help: "A part of an item",
			Key: "name", Owner: "item",
			Fields: []noun.Field{
				{Name: "name", Type: noun.Text{}, Help: "The name", Example: "screw", Required: true, Unique: true},
				{Name: "item", Reference: "item", OnDelete: noun.Cascade, Help: "The item", Example: "one", Required: true},
			},
		},
	}
}

func itemFacts(ctx context.Context, view noun.View, rows []noun.Row) ([]noun.Facts, error) {
	accounts, err := view.Select(ctx, "account")
	if err != nil {
		return nil, err
	}
	labels := map[int64]string{}
	for _, account := range accounts {
		labels[account.ID] = account.Text("label")
	}
	result := make([]noun.Facts, len(rows))
	for i, row := range rows {
		value, label := row.Text("value"), labels[row.Int("account")]
		result[i] = noun.Facts{"value": value, "label": label, "content": noun.Content(value + "/" + label + "\n")}
		if password := row.Text("password"); password != "" {
			result[i]["password"] = noun.Confidential(password)
		}
	}
	return result, nil
}

// testBackends are the installed backends of these tests.
type testBackends []*backend.Backend

func (b testBackends) Backend(name string) *backend.Backend {
	for _, one := range b {
		if one.Name == name {
			return one
		}
	}
	return nil
}

func (b testBackends) ForNoun(name string) []*backend.Backend {
	var told []*backend.Backend
	for _, one := range b {
		related := false
		for _, other := range one.Related {
			related = related || other == name
		}
		if one.Noun == name || related {
			told = append(told, one)
		}
	}
	return told
}

var filesBackend = &backend.Backend{
	Name: "files", Noun: "item", Related: []string{"account"}, Kind: "serve", Actions: []string{"save", "delete"},
	Timeout: 20 * time.Second, Declare: "declare", Acts: "acts", Setup: "setup",
}

// testTopology is servers and routes that no noun keeps.
type testTopology struct {
	servers []Server
	routes  []Route
	match   func(Route, noun.Row) bool
}

func (t *testTopology) Servers(context.Context, noun.View) ([]Server, error) { return t.servers, nil }
func (t *testTopology) Routes(context.Context, noun.View) ([]Route, error)   { return t.routes, nil }

func (t *testTopology) Match(_ context.Context, _ noun.View, route Route, rows []noun.Row) ([]bool, error) {
	matches := make([]bool, len(rows))
	for i, row := range rows {
		matches[i] = t.match == nil || t.match(route, row)
	}
	return matches, nil
}

// threeServers is a topology where every item goes to all of n servers.
func threeServers(n int64) *testTopology {
	t := &testTopology{}
	for id := int64(1); id <= n; id++ {
		t.servers = append(t.servers, Server{ID: id, Name: "h1" + string(rune('0'+id)), Transport: "ssh", Enabled: true})
		t.routes = append(t.routes, Route{ID: 10 + id, Backend: "files", Server: id})
	}
	return t
}

// testPanel is a panel with its database in a directory of its own.
type testPanel struct {
	t        testing.TB
	path     string
	store    *store.Store
	topology *testTopology
	options  Options
	// statements counts those that were executed.
	statements atomic.Int64
	*Coordinator
}

func newTestPanel(t testing.TB, topology *testTopology, connect func(context.Context, Server) (remote.Transport, error)) *testPanel {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orchestra.db")
	p := &testPanel{t: t, path: path, topology: topology}
	opened, err := store.Create(context.Background(), store.Options{
		Path: path, Registry: testRegistry(t), Trace: func(string) { p.statements.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	p.store = opened
	t.Cleanup(func() { p.store.Close() })
	s := settings.Default()
	s.Lock.Wait = 5 * time.Second
	s.SSH.RetryAfter = 0 // a server that is back is seen at once; see outages_test.go
	p.options = Options{
		Store: opened, Registry: opened.Registry(), Backends: testBackends{filesBackend}, Settings: s,
		Topology: topology, Connect: connect, Fresh: connect,
	}
	p.Coordinator = New(p.options)
	return p
}

// run does mutate as one operation.
func (p *testPanel) run(command string, mutate func(context.Context, noun.Planner) error) (*Outcome, error) {
	return p.Run(context.Background(), Request{Command: command, Actor: "test", Mutate: mutate})
}

func addAccount(name string) func(context.Context, noun.Planner) error {
	return func(ctx context.Context, plan noun.Planner) error {
		_, err := plan.Add(ctx, "account", noun.Values{"name": name})
		return err
	}
}

func addItem(name, account, value string) func(context.Context, noun.Planner) error {
	return func(ctx context.Context, plan noun.Planner) error {
		_, err := plan.Add(ctx, "item", noun.Values{"name": name, "account": account, "value": value})
		return err
	}
}

func setItem(name, field, value string) func(context.Context, noun.Planner) error {
	return func(ctx context.Context, plan noun.Planner) error {
		row, err := plan.Find(ctx, "item", name)
		if err != nil {
			return err
		}
		_, err = plan.Set(ctx, row, noun.Values{field: value})
		return err
	}
}

func deleteItem(name string) func(context.Context, noun.Planner) error {
	return func(ctx context.Context, plan noun.Planner) error {
		row, err := plan.Find(ctx, "item", name)
		if err != nil {
			return err
		}
		return plan.Delete(ctx, row)
	}
}

// items returns the values of all items in the database, by name.
func (p *testPanel) items() map[string]string {
	p.t.Helper()
	values := map[string]string{}
	err := p.store.View(context.Background(), func(tx *store.Tx) error {
		rows, err := tx.Select(context.Background(), "item")
		for _, row := range rows {
			values[row.Text("name")] = row.Text("value")
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return values
}

// state returns an operation's state as journaled.
func (p *testPanel) state(number int64) store.OperationState {
	p.t.Helper()
	var record *store.OperationRecord
	err := p.store.View(context.Background(), func(tx *store.Tx) error {
		var err error
		record, err = tx.Operation(context.Background(), number)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return record.State
}

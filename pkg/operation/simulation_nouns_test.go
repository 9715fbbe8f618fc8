package operation

import (
	"context"
	"testing"

	"orchestra/pkg/noun"
)

// simRegistry has the nouns of the tests, and servers and routes: where things
// go is changed by operations here.
func simRegistry(t testing.TB) *noun.Registry {
	t.Helper()
	nouns := append(testNouns(),
		&noun.Noun{
			Name: "server", Plural: "servers", Area: "Servers", Kind: noun.Management, Help: "A server", Key: "name", World: true,
			Fields: []noun.Field{
				{Name: "name", Type: noun.Text{}, Help: "The name", Example: "h11", Required: true, Unique: true},
				{Name: "off", Type: noun.Text{}, Help: "Whether it is disabled", Example: "yes"},
				{Name: "address", Type: noun.Text{}, Help: "Its address", Example: "192.0.2.11"},
			},
		},
		&noun.Noun{
			Name: "route", Plural: "routes", Area: "Servers", Kind: noun.Management, Help: "A route", Key: "name", World: true,
			Fields: []noun.Field{
				{Name: "name", Type: noun.Text{}, Help: "The name", Example: "r11", Required: true, Unique: true},
				{Name: "server", Reference: "server", OnDelete: noun.Restrict, Help: "The server", Example: "h11", Required: true},
				{Name: "match", Type: noun.Text{}, Help: "The account whose items go there", Example: "bob"},
				{Name: "queue", Type: noun.Text{}, Help: "Whether it queues", Example: "yes"},
				{Name: "after", Type: noun.Text{}, Help: "The route before it", Example: "r12"},
			},
		})
	for _, one := range nouns {
		if one.Name == "item" {
			one.Facts = simFacts
		}
	}
	registry, err := noun.NewRegistry(nouns...)
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

// simFacts are those of items, with the value once more as what an act reads.
func simFacts(ctx context.Context, view noun.View, rows []noun.Row) ([]noun.Facts, error) {
	all, err := itemFacts(ctx, view, rows)
	for _, facts := range all {
		facts["list"] = noun.Content(facts["value"].(string))
	}
	return all, err
}

// simTopology reads the servers and routes of a simulation from its database.
type simTopology struct{}

func (simTopology) Servers(ctx context.Context, view noun.View) ([]Server, error) {
	rows, err := view.Select(ctx, "server")
	servers := make([]Server, len(rows))
	for i, row := range rows {
		servers[i] = Server{ID: row.ID, Name: row.Text("name"), Address: row.Text("address"), Transport: "ssh", Enabled: row.Text("off") == ""}
	}
	return servers, err
}

func (simTopology) Routes(ctx context.Context, view noun.View) ([]Route, error) {
	rows, err := view.Select(ctx, "route")
	ids := map[string]int64{}
	for _, row := range rows {
		ids[row.Text("name")] = row.ID
	}
	routes := make([]Route, len(rows))
	for i, row := range rows {
		routes[i] = Route{
			ID: row.ID, Name: row.Text("name"), Backend: "files", Server: row.Int("server"),
			Match: row.Text("match"), Queue: row.Text("queue") != "",
		}
		if before := ids[row.Text("after")]; before != 0 {
			routes[i].After = []int64{before}
		}
	}
	return routes, err
}

func (simTopology) Match(ctx context.Context, view noun.View, route Route, rows []noun.Row) ([]bool, error) {
	accounts, err := view.Select(ctx, "account")
	names := map[int64]string{}
	for _, account := range accounts {
		names[account.ID] = account.Text("name")
	}
	matches := make([]bool, len(rows))
	for i, row := range rows {
		matches[i] = route.Match == "" || route.Match == names[row.Int("account")]
	}
	return matches, err
}

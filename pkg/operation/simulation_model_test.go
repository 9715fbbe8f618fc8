package operation

import (
	"context"
	"maps"
	"reflect"
	"strings"

	"orchestra/pkg/store"
)

// simModel is what the database should hold.
type simModel struct {
	labels  map[string]string // by account
	items   map[string]simItem
	servers map[string]bool // whether enabled
	routes  map[string]simRoute
}

type simItem struct{ account, value, password string }

type simRoute struct {
	server, match, after string
	queue                bool
}

func newModel() *simModel {
	return &simModel{labels: map[string]string{}, items: map[string]simItem{}, servers: map[string]bool{}, routes: map[string]simRoute{}}
}

func (m *simModel) clone() *simModel {
	return &simModel{labels: maps.Clone(m.labels), items: maps.Clone(m.items), servers: maps.Clone(m.servers), routes: maps.Clone(m.routes)}
}

func (m *simModel) equal(other *simModel) bool { return reflect.DeepEqual(m, other) }

// pivots tells whether an item of that value wants an act without a way back.
func pivots(value string) bool { return strings.HasPrefix(value, "p") }

// queues tells whether a server may be brought up to date later.
func (m *simModel) queues(server string) bool {
	for _, route := range m.routes {
		if route.server == server && route.queue {
			return true
		}
	}
	return false
}

// simContent is what a server serves, by item.
type simContent struct {
	Files, Entries, Secrets, Homes, Data, List map[string]string
}

func newContent() simContent {
	return simContent{
		Files: map[string]string{}, Entries: map[string]string{}, Secrets: map[string]string{},
		Homes: map[string]string{}, Data: map[string]string{}, List: map[string]string{},
	}
}

// content is what a server should have.
func (m *simModel) content(server string) simContent {
	content := newContent()
	content.Entries["neighbour"] = "stays"
	for name, item := range m.items {
		routed := false
		for _, route := range m.routes {
			routed = routed || route.server == server && (route.match == "" || route.match == item.account)
		}
		if !routed {
			continue
		}
		content.Files[name] = item.value + "/" + m.labels[item.account]
		content.Entries[name] = item.value
		content.Homes[name], content.Data[name] = "there", "there"
		if item.password != "" {
			content.Secrets[name] = item.password
		}
		if pivots(item.value) && server == pivotServer {
			content.List[name] = item.value
		}
	}
	return content
}

// without returns the content less what is excused: things that the database
// knows nothing of any more, and that no promise takes away.
func (c simContent) without(excused map[string]bool, wanted simContent) simContent {
	strip := func(got, want map[string]string) map[string]string {
		got = maps.Clone(got)
		maps.DeleteFunc(got, func(name, _ string) bool {
			_, is := want[name]
			return !is && excused[name]
		})
		return got
	}
	// What an act without a way back has left is no difference where nothing is wanted of it.
	list := maps.Clone(c.List)
	maps.DeleteFunc(list, func(name, _ string) bool {
		_, is := wanted.List[name]
		return !is
	})
	return simContent{
		Files: strip(c.Files, wanted.Files), Entries: strip(c.Entries, wanted.Entries), Secrets: strip(c.Secrets, wanted.Secrets),
		Homes: strip(c.Homes, wanted.Homes), Data: strip(c.Data, wanted.Data), List: list,
	}
}

// names returns all that is there.
func (c simContent) names() map[string]bool {
	names := map[string]bool{}
	for _, part := range []map[string]string{c.Files, c.Entries, c.Secrets, c.Homes, c.Data} {
		for name := range part {
			if name != "neighbour" {
				names[name] = true
			}
		}
	}
	return names
}

// stored reads the database as a model.
func (w *simWorld) stored(from *store.Store) *simModel {
	m := newModel()
	ctx := context.Background()
	must(from.View(ctx, func(tx *store.Tx) error {
		accounts, servers := map[int64]string{}, map[int64]string{}
		rows, err := tx.Select(ctx, "account")
		if err != nil {
			return err
		}
		for _, row := range rows {
			m.labels[row.Text("name")] = row.Text("label")
			accounts[row.ID] = row.Text("name")
		}
		if rows, err = tx.Select(ctx, "item"); err != nil {
			return err
		}
		for _, row := range rows {
			m.items[row.Text("name")] = simItem{accounts[row.Int("account")], row.Text("value"), row.Text("password")}
		}
		if rows, err = tx.Select(ctx, "server"); err != nil {
			return err
		}
		for _, row := range rows {
			m.servers[row.Text("name")] = row.Text("off") == ""
			servers[row.ID] = row.Text("name")
		}
		rows, err = tx.Select(ctx, "route")
		for _, row := range rows {
			m.routes[row.Text("name")] = simRoute{servers[row.Int("server")], row.Text("match"), row.Text("after"), row.Text("queue") != ""}
		}
		return err
	}))
	return m
}

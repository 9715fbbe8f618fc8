package cli

import (
	"context"
	"slices"
	"sync"

	"orchestra/pkg/backend"
	"orchestra/pkg/noun"
	"orchestra/pkg/nouns/accounts"
	"orchestra/pkg/nouns/dns"
	"orchestra/pkg/nouns/servers"
	"orchestra/pkg/operation"
	"orchestra/pkg/settings"
)

// nouns returns the nouns of the program. Settings and backends are loaded when
// a noun asks for them, not before.
func (a *app) nouns() []*noun.Noun {
	current := func() *settings.Settings {
		loaded, err := a.loadSettings()
		if err != nil {
			return settings.Default()
		}
		return loaded
	}
	return slices.Concat(accounts.Nouns(current), dns.Nouns(), servers.Nouns(a.backendNames))
}

// catalogue loads the backends, once.
func (a *app) catalogue() (*backend.Catalogue, error) {
	if a.backends == nil {
		a.backends = sync.OnceValues(func() (*backend.Catalogue, error) {
			loaded, err := a.loadSettings()
			if err != nil {
				return nil, err
			}
			return backend.Load(a.process.path(loaded.Backends.Directory))
		})
	}
	return a.backends()
}

// backendNames returns what routes may name.
func (a *app) backendNames() ([]servers.Backend, error) {
	catalogue, err := a.catalogue()
	if err != nil {
		return nil, err
	}
	var names []servers.Backend
	for _, b := range catalogue.Backends() {
		names = append(names, servers.Backend{Name: b.Name, Noun: b.Noun, OnPanel: b.Method == backend.Panel})
	}
	return names, nil
}

// openCoordinator opens all that an operation needs. progress may be nil.
func (a *app) openCoordinator(ctx context.Context, progress operation.Progress) (*operation.Coordinator, error) {
	opened, err := a.openStore(ctx)
	if err != nil {
		return nil, err
	}
	catalogue, err := a.catalogue()
	if err != nil {
		return nil, err
	}
	topology := topology{}
	c := a.openConnections(topology)
	return operation.New(operation.Options{
		Store: opened, Registry: a.registry, Backends: catalogue, Settings: a.settings,
		Topology: topology, Connect: c.connect, Fresh: c.fresh, Progress: progress,
	}), nil
}

// topology gives the coordinator what the nouns server and route say: they are
// below it and cannot name its types.
type topology struct{ nouns servers.Topology }

// Servers implements operation.Topology.
func (t topology) Servers(ctx context.Context, view noun.View) ([]operation.Server, error) {
	found, err := t.nouns.Servers(ctx, view)
	converted := make([]operation.Server, len(found))
	for i, server := range found {
		converted[i] = operation.Server(server)
	}
	return converted, err
}

// Routes implements operation.Topology.
func (t topology) Routes(ctx context.Context, view noun.View) ([]operation.Route, error) {
	found, err := t.nouns.Routes(ctx, view)
	converted := make([]operation.Route, len(found))
	for i, route := range found {
		converted[i] = operation.Route(route)
	}
	return converted, err
}

// Match implements operation.Topology.
func (t topology) Match(ctx context.Context, view noun.View, route operation.Route, rows []noun.Row) ([]bool, error) {
	return t.nouns.Match(ctx, view, servers.Route(route), rows)
}

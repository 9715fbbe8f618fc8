package servers

import (
	"context"
	"slices"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/value"
)

func routeNoun(backends Backends) *noun.Noun {
	return &noun.Noun{
		Name:   routeName,
		Plural: "routes",
		Area:   "Servers",
		Kind:   noun.Management,
		Help:   "What ties a backend to a server, for the objects that it matches",
		Long: "A route is called BACKEND@SERVER: `route add bind9-master --server h11` makes bind9-master@h11. A second route of " +
			"that backend on that server is given a name of its own behind the @: `route add bind9-master@h11-www --server h11`. " +
			"An object goes to the servers of all routes that match it; changing routes moves what is there.",
		Key:   "name",
		World: true,
		Fields: []noun.Field{
			{Name: "name", Type: noun.Parsed{Label: "route", Canonical: parseRouteName}, Required: true, Immutable: true, Listed: true,
				Help: "The backend, alone or with @ and a name", Example: "unix-user"},
			{Name: "backend", Type: noun.Parsed{Label: "handle", Canonical: value.Handle}, Hidden: true,
				Help: "The backend that runs", Example: "unix-user"},
			{Name: "server", Reference: serverName, OnDelete: noun.Restrict, Required: true, Immutable: true, Listed: true,
				Help: "The server on which it runs", Example: "h11"},
			{Name: "match", Type: noun.Parsed{Label: "expression", Canonical: parseMatch}, Required: true, Listed: true,
				Help: "An expression over the object and its account that says which objects go there", Example: `account.name == "acme"`},
			{Name: "on_unreachable", Type: noun.Choice{unreachableFail, unreachableQueue}, Required: true, Listed: true, Default: noun.Always(unreachableFail),
				Help: "What a server out of reach means: fail, or queue what concerns it", Example: "queue"},
			{Name: "after", Type: noun.List{Of: noun.Parsed{Label: "route", Canonical: parseRouteName}},
				Help: "Routes whose part is published before this one's", Example: "unix-user@h11"},
		},
		Prepare: func(ctx context.Context, plan noun.Planner, before, after *noun.Row) error {
			return prepareRoute(ctx, plan, backends, before, after)
		},
		Cascade: cascadeRoute,
	}
}

// parseRouteName takes BACKEND or BACKEND@NAME.
func parseRouteName(text string) (string, error) {
	backend, rest, named := strings.Cut(text, "@")
	if _, err := value.Handle(backend); err != nil {
		return "", err
	}
	if named {
		if _, err := value.Handle(rest); err != nil {
			return "", err
		}
	}
	return text, nil
}

func prepareRoute(ctx context.Context, plan noun.Planner, backends Backends, before, after *noun.Row) error {
	if before == nil {
		if err := nameRoute(ctx, plan, after); err != nil {
			return err
		}
	}
	backend, err := findBackend(backends, after.Text("backend"))
	if err != nil {
		return err
	}
	if err := checkMethod(ctx, plan, backend, *after); err != nil {
		return err
	}
	if _, err := compile(plan, backend, after.Text("match")); err != nil {
		return err
	}
	if before == nil || !slices.Equal(before.List("after"), after.List("after")) {
		return checkAfter(ctx, plan, *after)
	}
	return nil
}

// checkMethod refuses to send elsewhere what runs on the panel itself.
func checkMethod(ctx context.Context, plan noun.Planner, backend Backend, route noun.Row) error {
	if !backend.OnPanel {
		return nil
	}
	server, err := plan.Get(ctx, serverName, route.Int("server"))
	if err != nil {
		return err
	}
	if name := server.Text("name"); server.Text("transport") != transportLocal {
		return fault.New(fault.Invalid, "backend %s runs on the panel itself, and server %s is not this machine", backend.Name, name).
			About("route.server").WithHint("orchestra server add panel --transport local, and --server panel")
	}
	return nil
}

// nameRoute completes the name of a new route and says which backend it is of.
func nameRoute(ctx context.Context, plan noun.Planner, route *noun.Row) error {
	name := route.Text("name")
	backend, _, named := strings.Cut(name, "@")
	if !named {
		server, err := plan.Get(ctx, serverName, route.Int("server"))
		if err != nil {
			return err
		}
		name = backend + "@" + server.Text("name")
		switch _, err := plan.Find(ctx, routeName, name); {
		case err == nil:
			return fault.New(fault.Conflict, "route %s exists already", name).About("route.name").
				WithHint("orchestra route set %s --match …, or orchestra route add %s-2 --server %s …", name, name, server.Text("name"))
		case !fault.Is(err, fault.NotFound):
			return err
		}
	}
	route.Values["name"], route.Values["backend"] = name, backend
	return nil
}

func findBackend(backends Backends, name string) (Backend, error) {
	all, err := backends()
	if err != nil {
		return Backend{}, err
	}
	names := make([]string, len(all))
	for i, backend := range all {
		if backend.Name == name {
			return backend, nil
		}
		names[i] = backend.Name
	}
	refusal := fault.New(fault.Invalid, "there is no backend %q", name).About("route.name")
	if near := fault.Nearest(name, names); near != "" {
		return Backend{}, refusal.WithHint("did you mean %q?", near)
	}
	return Backend{}, refusal.WithHint("orchestra backend list")
}

// checkAfter checks that the routes named exist and that none waits for itself.
func checkAfter(ctx context.Context, view noun.View, route noun.Row) error {
	routes, err := view.Select(ctx, routeName)
	if err != nil {
		return err
	}
	waits := map[string][]string{}
	names := make([]string, 0, len(routes))
	for _, other := range routes {
		if other.ID != route.ID {
			waits[other.Text("name")] = other.List("after")
			names = append(names, other.Text("name"))
		}
	}
	own := route.Text("name")
	waits[own] = route.List("after")
	for _, name := range route.List("after") {
		if _, known := waits[name]; !known {
			refusal := fault.New(fault.Invalid, "there is no route %q", name).About("route.after")
			if near := fault.Nearest(name, names); near != "" {
				return refusal.WithHint("did you mean %q?", near)
			}
			return refusal.WithHint("orchestra route list")
		}
	}
	seen := map[string]bool{}
	var leads func(from string) bool
	leads = func(from string) bool {
		for _, next := range waits[from] {
			if next == own {
				return true
			}
			if !seen[next] {
				seen[next] = true
				if leads(next) {
					return true
				}
			}
		}
		return false
	}
	if leads(own) {
		return fault.New(fault.Invalid, "route %s would wait for itself", own).About("route.after")
	}
	return nil
}

// cascadeRoute lets no route wait for one that is gone.
func cascadeRoute(ctx context.Context, plan noun.Planner, change noun.Change) error {
	if change.After != nil {
		return nil
	}
	routes, err := plan.Select(ctx, routeName)
	if err != nil {
		return err
	}
	for _, route := range routes {
		if at := slices.Index(route.List("after"), change.Name); at >= 0 {
			rest := slices.Delete(slices.Clone(route.List("after")), at, at+1)
			if _, err := plan.Set(ctx, route, noun.Values{"after": rest}); err != nil {
				return err
			}
		}
	}
	return nil
}

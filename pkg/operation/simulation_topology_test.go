package operation

import (
	"context"
	"fmt"

	"orchestra/pkg/noun"
)

// The commands that change where things go.

// simBeginning is what every world begins with, in a shape of routes.
func simBeginning(shape string) []string {
	commands := []string{"server-add h11 & server-add h12 & server-add h13"}
	routes := map[string][]string{
		"alike": {"route-add r11 h11 *", "route-add r12 h12 *", "route-add r13 h13 *"},
		"waves": {"route-add r11 h11 *", "route-after r12 h12 r11", "route-after r13 h13 r12"},
		"queue": {"route-add r11 h11 *", "route-add r12 h12 *", "route-queue r13 h13 *"},
	}
	commands = append(commands, routes[shape]...)
	return append(commands, "account acme", "account bob", "add a0 acme x", "add b0 bob y")
}

func simEnable(server string, enabled bool) simOperation {
	off := "yes"
	if enabled {
		off = ""
	}
	return simOperation{around: true, mutate: setRow("server", server, noun.Values{"off": off}), apply: func(m *simModel) bool {
		_, is := m.servers[server]
		if is {
			m.servers[server] = enabled
		}
		return is
	}}
}

func simServerAdd(server string) simOperation {
	return simOperation{
		around: true,
		mutate: func(ctx context.Context, plan noun.Planner) error {
			_, err := plan.Add(ctx, "server", noun.Values{"name": server})
			return err
		},
		apply: func(m *simModel) bool {
			_, is := m.servers[server]
			m.servers[server] = true
			return !is
		},
	}
}

// simServerDelete deletes a server with its routes: what is there stays there.
func simServerDelete(server string) simOperation {
	return simOperation{
		around: true,
		mutate: func(ctx context.Context, plan noun.Planner) error {
			row, err := plan.Find(ctx, "server", server)
			if err != nil {
				return err
			}
			routes, err := plan.Select(ctx, "route", noun.Where("server", row.ID))
			if err != nil {
				return err
			}
			for _, route := range routes {
				if err := plan.Delete(ctx, route); err != nil {
					return err
				}
			}
			return plan.Delete(ctx, row)
		},
		apply: func(m *simModel) bool {
			_, is := m.servers[server]
			delete(m.servers, server)
			for name, route := range m.routes {
				if route.server == server {
					delete(m.routes, name)
				}
			}
			return is
		},
	}
}

func simRouteAdd(name string, route simRoute) simOperation {
	return simOperation{
		around: true,
		mutate: func(ctx context.Context, plan noun.Planner) error {
			queue := ""
			if route.queue {
				queue = "yes"
			}
			_, err := plan.Add(ctx, "route", noun.Values{
				"name": name, "server": route.server, "match": route.match, "queue": queue, "after": route.after,
			})
			return err
		},
		apply: func(m *simModel) bool {
			_, is := m.routes[name]
			_, has := m.servers[route.server]
			m.routes[name] = route
			return !is && has
		},
	}
}

func simRouteMatch(name, match string) simOperation {
	return simOperation{around: true, mutate: setRow("route", name, noun.Values{"match": match}), apply: func(m *simModel) bool {
		route, is := m.routes[name]
		route.match = match
		if is {
			m.routes[name] = route
		}
		return is
	}}
}

func simRouteDelete(name string) simOperation {
	return simOperation{
		around: true,
		mutate: func(ctx context.Context, plan noun.Planner) error {
			row, err := plan.Find(ctx, "route", name)
			if err != nil {
				return err
			}
			return plan.Delete(ctx, row)
		},
		apply: func(m *simModel) bool {
			_, is := m.routes[name]
			delete(m.routes, name)
			return is
		},
	}
}

// simAdopt has a server follow this database, which it does already, or not.
func simAdopt(server string) simOperation {
	return simOperation{
		around: true,
		apply: func(m *simModel) bool {
			_, is := m.servers[server]
			return is
		},
		run: func(ctx context.Context, w *simWorld, p *simPanel) (*Outcome, error) {
			outcome, err := p.Adopt(ctx, server, Request{Command: fmt.Sprintf("server adopt %s", server)})
			w.machine(server).stale = err != nil // the server may have followed, and nobody knows
			return outcome, err
		},
	}
}

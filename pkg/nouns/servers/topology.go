package servers

import (
	"context"

	"orchestra/pkg/noun"
)

// Server is where backends run. It is operation.Server, field by field, which
// a noun's area may not know.
type Server struct {
	ID        int64
	Name      string
	Address   string
	Port      int
	Login     string
	HostKeys  []string
	Jump      int64 // the id of the server that is jumped through, 0 for none
	Transport string
	Labels    []string
	Enabled   bool
}

// Route ties a backend to a server. It is operation.Route, field by field.
type Route struct {
	ID      int64
	Name    string
	Backend string
	Server  int64
	Match   string
	Queue   bool
	After   []int64
}

// Topology tells which servers there are and what goes where.
type Topology struct{}

// Servers returns all servers, by name.
func (Topology) Servers(ctx context.Context, view noun.View) ([]Server, error) {
	rows, err := view.Select(ctx, serverName)
	if err != nil {
		return nil, err
	}
	servers := make([]Server, len(rows))
	for i, row := range rows {
		servers[i] = Server{
			ID: row.ID, Name: row.Text("name"), Address: row.Text("address"), Port: int(row.Int("port")), Login: row.Text("login"),
			HostKeys: row.List("host_key"), Jump: row.Int("jump"), Transport: row.Text("transport"), Labels: row.List("label"),
			Enabled: noun.Active(row, nil),
		}
	}
	return servers, nil
}

// Routes returns all routes, by name.
func (Topology) Routes(ctx context.Context, view noun.View) ([]Route, error) {
	rows, err := view.Select(ctx, routeName)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]int64, len(rows))
	for _, row := range rows {
		ids[row.Text("name")] = row.ID
	}
	routes := make([]Route, len(rows))
	for i, row := range rows {
		routes[i] = Route{
			ID: row.ID, Name: row.Text("name"), Backend: row.Text("backend"), Server: row.Int("server"), Match: row.Text("match"),
			Queue: row.Text("on_unreachable") == unreachableQueue,
		}
		for _, name := range row.List("after") {
			if id, known := ids[name]; known {
				routes[i].After = append(routes[i].After, id)
			}
		}
	}
	return routes, nil
}

// Match tells for each of rows, all of one noun, whether the route's expression
// is true of it. The number of questions does not depend on the number of rows.
func (Topology) Match(ctx context.Context, view noun.View, route Route, rows []noun.Row) ([]bool, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	if route.Match == "" || route.Match == "true" {
		all := make([]bool, len(rows))
		for i := range all {
			all[i] = true
		}
		return all, nil
	}
	// The noun is that of the rows: a related one's changes reach the backend
	// through the objects of its own noun.
	n := view.Noun(rows[0].Noun)
	program, err := compile(view, Backend{Name: route.Backend, Noun: n.Name}, route.Match)
	if err != nil {
		return nil, err
	}
	return evaluate(ctx, view, n, program, rows)
}

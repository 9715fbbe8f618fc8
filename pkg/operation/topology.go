package operation

import (
	"context"

	"orchestra/pkg/noun"
)

// Server is where backends run.
type Server struct {
	ID        int64
	Name      string
	Address   string
	Port      int
	Login     string
	HostKeys  []string
	Jump      int64  // the id of the server that is jumped through, 0 for none
	Transport string // "ssh" or "local"
	Labels    []string
	Enabled   bool // one that is not is never contacted: it gets dirty marks
}

// Route ties a backend to a server for the objects that Match is true of.
type Route struct {
	ID      int64
	Name    string
	Backend string
	Server  int64
	Match   string // an expression over the object's fields; "" is every object
	// Queue says that a server out of reach does not fail the operation: it
	// gets a dirty mark and is converged later.
	Queue bool
	// After are the routes whose steps must be published before this one's.
	After []int64
}

// Topology tells which servers there are and what goes where. All questions
// are asked of the view given, so that a plan sees its own changes.
type Topology interface {
	Servers(ctx context.Context, view noun.View) ([]Server, error)
	Routes(ctx context.Context, view noun.View) ([]Route, error)
	// Match tells for each of rows, all of one noun, whether the route's
	// expression is true of it. It must not issue statements per row.
	Match(ctx context.Context, view noun.View, route Route, rows []noun.Row) ([]bool, error)
}

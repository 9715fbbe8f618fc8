package operation

import (
	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// placedOn returns the server that an object was placed on, 0 where the routes
// alone decide. placement is the noun's field that says so, if it has one.
func placedOn(placement noun.Field, row noun.Row) int64 {
	if !placement.Placement {
		return 0
	}
	return row.Int(placement.Name)
}

// mayBeOn tells whether an object that a route matches goes to that route's
// server. What runs on the panel is no place for objects, and hears of all.
func mayBeOn(told *backend.Backend, placement noun.Field, row noun.Row, server int64) bool {
	wanted := placedOn(placement, row)
	return wanted == 0 || wanted == server || told.Method == backend.Panel
}

// reachPlacements refuses what would leave an object without the server that it
// was placed on: no route leads there for it.
func (c *Coordinator) reachPlacements(routed topology, of *noun.Noun, subjects []*subject) error {
	placement, has := of.Placement()
	if !has {
		return nil
	}
	for _, s := range subjects {
		server := placedOn(placement, *s.after)
		if server == 0 || s.isTargeted(server) {
			continue
		}
		name := routed.servers[server].Name
		refusal := fault.New(fault.Conflict, "%s %s is placed on server %s, and no route leads there for it", of.Name, s.name, name).
			About(of.Name + "." + placement.Name)
		if !s.own {
			return refusal.WithHint("orchestra %s move %s --on SERVER", of.Name, s.name)
		}
		return refusal.WithHint("orchestra route list; orchestra route add BACKEND --server %s --match …", name)
	}
	return nil
}

// isTargeted tells whether any backend is to have the object on a server.
func (s *subject) isTargeted(server int64) bool {
	for _, servers := range s.targets {
		if servers[server] {
			return true
		}
	}
	return false
}

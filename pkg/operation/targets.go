package operation

import (
	"maps"
	"reflect"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// step is one backend on one server within an operation.
type step struct {
	server  int64
	backend *backend.Backend
	objects []backend.Object
	// queue says that all routes that lead here leave a dirty mark where the
	// server is out of reach. secret, that what is sent is stored nowhere, so
	// that it cannot be left for later.
	queue, secret bool
	wave          int
	wire          wire.Step
}

// canWait tells whether it may be left for later.
func (s *step) canWait() bool { return s.queue && !s.secret }

type stepKey struct {
	server  int64
	backend string
}

// target turns the objects of a plan into steps, placements and marks. An
// object goes to where the routes now say; where it is and no route says so any
// more it is deleted. What has not changed and is there already is left alone.
func (c *Coordinator) target(p *plan, old, routed topology, all *subjects) error {
	p.servers = maps.Clone(routed.servers)
	for id := range old.servers {
		if _, stays := routed.servers[id]; !stays {
			p.forget = append(p.forget, id)
		}
	}
	by := map[stepKey]*step{}
	for _, s := range all.order {
		names := map[string]bool{}
		for name := range s.targets {
			names[name] = true
		}
		for name := range s.placed {
			names[name] = true
		}
		for _, name := range sortedKeys(names) {
			told := c.options.Backends.Backend(name)
			if told == nil {
				return missingBackend(name)
			}
			if err := c.targetOne(p, s, told, old, routed, by); err != nil {
				return err
			}
		}
	}
	both := append(append([]Route{}, routed.routes...), old.routes...)
	for _, one := range p.steps {
		one.queue = queued(both, one.server, one.backend.Name)
	}
	return waves(p.steps, both, p.servers)
}

// targetOne adds what becomes of one object by one backend.
func (c *Coordinator) targetOne(p *plan, s *subject, told *backend.Backend, old, routed topology, by map[stepKey]*step) error {
	servers := maps.Clone(s.placed[told.Name])
	if servers == nil {
		servers = map[int64]bool{}
	}
	maps.Copy(servers, s.targets[told.Name])
	for _, id := range sortedKeys(servers) {
		objects, err := s.objects(told, id, old, routed)
		if err != nil {
			return err
		}
		placement := store.Placement{Noun: s.noun, Object: s.id, Backend: told.Name, Server: id}
		wanted, is := s.targets[told.Name][id], s.placed[told.Name][id]
		if wanted && !is {
			p.place = append(p.place, placement)
		}
		if is && !wanted {
			p.unplace = append(p.unplace, placement)
		}
		server, exists := routed.servers[id]
		if len(objects) == 0 || !exists {
			continue
		}
		p.hold(s.account, true)
		p.owners[subjectKey{s.noun, s.id}] = s.account
		if !server.Enabled {
			if len(s.sent) > 0 {
				return fault.New(fault.Conflict, "the server %s is disabled, and what %s %s is to be told is kept nowhere until it is back",
					server.Name, s.noun, s.name).WithHint("orchestra server enable %s", server.Name)
			}
			p.marks = append(p.marks, mark(s.account, id, told.Name, objects[len(objects)-1]))
			continue
		}
		key := stepKey{id, told.Name}
		if by[key] == nil {
			by[key] = &step{server: id, backend: told}
			p.steps = append(p.steps, by[key])
		}
		by[key].objects = append(by[key].objects, objects...)
		by[key].secret = by[key].secret || len(s.sent) > 0
	}
	return nil
}

// objects returns what a backend on a server is told about an object; nothing
// where all is there as it should be.
func (s *subject) objects(told *backend.Backend, server int64, old, routed topology) ([]backend.Object, error) {
	object := backend.Object{Action: "save", Noun: s.noun, ID: s.id, Name: s.name}
	is := s.placed[told.Name][server]
	before, err := s.peered("before", s.factsBefore, told, s.placed, old.servers)
	if err != nil {
		return nil, err
	}
	if !s.targets[told.Name][server] {
		object.Action, object.Facts = "delete", before
		return []backend.Object{object}, nil
	}
	after, err := s.peered("after", s.factsAfter, told, s.targets, routed.servers)
	if err != nil {
		return nil, err
	}
	object.Facts = after
	if is {
		object.Before = before
	}
	var objects []backend.Object
	save := !is || (s.told || s.moves()) && !reflect.DeepEqual(before, after)
	for _, sent := range s.sent {
		with := make(map[string]any, len(after)+len(sent.Values))
		maps.Copy(with, after)
		for name, value := range sent.Values {
			with[name] = value
		}
		if sent.Action == "save" || sent.Action == "" {
			object.Facts, save = with, true
			continue
		}
		objects = append(objects, backend.Object{Action: sent.Action, Noun: s.noun, ID: s.id, Name: s.name, Facts: with, Before: object.Before})
	}
	if save {
		objects = append([]backend.Object{object}, objects...)
	}
	return objects, nil
}

// mark returns the dirty mark that stands for an object on a server: with the
// facts that the server knows of it, nil where it has heard of none.
func mark(account, server int64, backendName string, object backend.Object) store.Dirty {
	known := object.Before
	if object.Action == "delete" {
		known = object.Facts
	}
	return store.Dirty{
		Server: server, Backend: backendName, Noun: object.Noun, Object: object.ID, Name: object.Name,
		Account: account, Facts: plainFacts(known),
	}
}

// plainFacts returns facts without secrets, which are stored nowhere, and
// without rendered texts: a backend needs neither of what was.
func plainFacts(facts map[string]any) map[string]any {
	if facts == nil {
		return nil
	}
	plain := map[string]any{}
	for name, value := range facts {
		switch value.(type) {
		case noun.Content, noun.Confidential:
		default:
			plain[name] = value
		}
	}
	return plain
}

// queued tells whether all routes that lead to a server by a backend leave
// marks where it is out of reach.
func queued(routes []Route, server int64, backendName string) bool {
	found := false
	for _, route := range routes {
		if route.Server == server && route.Backend == backendName {
			if !route.Queue {
				return false
			}
			found = true
		}
	}
	return found
}

package operation

import (
	"cmp"
	"slices"

	"orchestra/pkg/fault"
)

// waves numbers the steps: one is published only once those of the waves
// before it are. A step waits for the steps of the routes that its own routes
// come after, directly or over routes that this operation does not use. An
// operation that only deletes goes the other way, as undo does. The steps are
// sorted by server, wave and backend.
func waves(steps []*step, routes []Route, servers map[int64]Server) error {
	byRoute := map[int64]Route{}
	for _, route := range routes {
		if _, known := byRoute[route.ID]; !known { // the routes as they will be come first
			byRoute[route.ID] = route
		}
	}
	byKey := map[stepKey]*step{}
	for _, s := range steps {
		byKey[stepKey{s.server, s.backend.Name}] = s
	}
	// before are the steps that each step waits for.
	before := map[*step]map[*step]bool{}
	for _, s := range steps {
		before[s] = map[*step]bool{}
		seen := map[int64]bool{}
		var pending []int64
		for _, route := range byRoute {
			if route.Server == s.server && route.Backend == s.backend.Name {
				pending = append(pending, route.After...)
			}
		}
		for len(pending) > 0 {
			id := pending[0]
			pending = pending[1:]
			if seen[id] {
				continue
			}
			seen[id] = true
			route, known := byRoute[id]
			if !known {
				continue
			}
			if other := byKey[stepKey{route.Server, route.Backend}]; other != nil && other != s {
				before[s][other] = true
			}
			pending = append(pending, route.After...)
		}
	}
	const visiting = -1
	level := map[*step]int{}
	var visit func(*step) (int, error)
	visit = func(s *step) (int, error) {
		switch depth := level[s]; {
		case depth == visiting:
			return 0, fault.New(fault.Conflict, "the routes of %s on %s wait for each other", s.backend.Name, servers[s.server].Name).
				WithHint("orchestra route list --columns backend,server,after")
		case depth > 0:
			return depth, nil
		}
		level[s] = visiting
		depth := 1
		for other := range before[s] {
			theirs, err := visit(other)
			if err != nil {
				return 0, err
			}
			depth = max(depth, theirs+1)
		}
		level[s] = depth
		return depth, nil
	}
	last := 0
	for _, s := range steps {
		depth, err := visit(s)
		if err != nil {
			return err
		}
		s.wave = depth
		last = max(last, depth)
	}
	if onlyDeletes(steps) {
		for _, s := range steps {
			s.wave = last + 1 - s.wave
		}
	}
	slices.SortStableFunc(steps, func(a, b *step) int {
		return cmp.Or(cmp.Compare(a.server, b.server), cmp.Compare(a.wave, b.wave), cmp.Compare(a.backend.Name, b.backend.Name))
	})
	return nil
}

func onlyDeletes(steps []*step) bool {
	for _, s := range steps {
		for _, object := range s.objects {
			if object.Action != "delete" {
				return false
			}
		}
	}
	return len(steps) > 0
}

package operation

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// plan is what an operation is going to do: on the panel and on each server.
type plan struct {
	changes  []noun.Change
	warnings []message.Text
	counters map[string]int64
	accounts map[int64]bool // that must be held; true: alone
	alone    bool           // the world must be held alone

	servers map[int64]Server
	steps   []*step
	owners  map[subjectKey]int64 // accounts of the objects that steps are about

	place, unplace []store.Placement
	forget         []int64       // servers that exist no longer
	marks          []store.Dirty // for servers that are not contacted; without version
	clean          []store.Dirty // marks that this operation converges
	settle         map[int64][]store.Debt
	owed           []int64 // servers that are owed what was set to what it is
	enabled        []int64 // servers that are back in service
	anew           []int64 // servers that are reached in another way than before
	verify         bool    // a fresh login is tried wherever something has changed
}

func newPlan() *plan {
	return &plan{accounts: map[int64]bool{}, servers: map[int64]Server{}, owners: map[subjectKey]int64{}, settle: map[int64][]store.Debt{}}
}

// empty tells whether there is nothing to do at all.
func (p *plan) empty() bool {
	return len(p.changes) == 0 && len(p.steps) == 0 && len(p.marks) == 0 && len(p.clean) == 0 && len(p.settle) == 0
}

// hold says that an account must be held.
func (p *plan) hold(account int64, alone bool) { p.accounts[account] = p.accounts[account] || alone }

// topology is the servers and routes in one state.
type topology struct {
	servers map[int64]Server
	routes  []Route
}

func (c *Coordinator) topology(ctx context.Context, view noun.View) (topology, error) {
	servers, err := c.options.Topology.Servers(ctx, view)
	if err != nil {
		return topology{}, fmt.Errorf("reading the servers: %w", err)
	}
	routes, err := c.options.Topology.Routes(ctx, view)
	if err != nil {
		return topology{}, fmt.Errorf("reading the routes: %w", err)
	}
	t := topology{servers: make(map[int64]Server, len(servers)), routes: routes}
	for _, server := range servers {
		t.servers[server.ID] = server
	}
	return t, nil
}

// plan runs mutate on the state that tx sees, without leaving anything there,
// and computes what it comes to.
func (c *Coordinator) plan(ctx context.Context, tx *store.Tx, mutate func(context.Context, noun.Planner) error) (*plan, error) {
	p, all := newPlan(), newSubjects()
	old, err := c.topology(ctx, tx)
	if err != nil {
		return nil, err
	}
	routed := old
	planner, err := tx.Plan(ctx, func(ctx context.Context, planner *store.Planner) error {
		if err := mutate(ctx, planner); err != nil {
			return err
		}
		if len(planner.Changes()) == 0 && len(planner.Sent()) == 0 {
			return nil
		}
		if planner.World() {
			if routed, err = c.topology(ctx, planner); err != nil {
				return err
			}
		}
		return c.planAfter(ctx, planner, old, routed, all)
	})
	if err != nil {
		return nil, err
	}
	for _, id := range sortedKeys(routed.servers) {
		was, is := old.servers[id]
		if is && !was.Enabled && routed.servers[id].Enabled {
			p.enabled = append(p.enabled, id)
		}
		if is && !reflect.DeepEqual(was, routed.servers[id]) {
			p.anew = append(p.anew, id)
		}
	}
	unchanged := planner.Unchanged()
	for _, name := range sortedKeys(unchanged) {
		owed, err := tx.OwedOf(ctx, name, unchanged[name])
		if err != nil {
			return nil, err
		}
		for _, id := range owed {
			if _, exists := routed.servers[id]; exists && !slices.Contains(p.owed, id) {
				p.owed = append(p.owed, id)
			}
		}
	}
	p.changes, p.warnings, p.counters = planner.Changes(), planner.Warnings(), planner.Counters()
	p.alone = planner.World()
	for _, account := range planner.Read() {
		p.hold(account, false)
	}
	for _, account := range planner.Written() {
		p.hold(account, true)
	}
	for _, change := range p.changes {
		p.hold(change.Account, true)
	}
	if err := c.planBefore(ctx, tx, all); err != nil {
		return nil, err
	}
	if err := c.target(p, old, routed, all); err != nil {
		return nil, err
	}
	if err := p.warnForgotten(ctx, tx, old); err != nil {
		return nil, err
	}
	return p, nil
}

// planAfter gathers what is told to backends, where it is and is to be, and its
// facts, in the state after the changes.
func (c *Coordinator) planAfter(ctx context.Context, planner *store.Planner, old, routed topology, all *subjects) error {
	if err := c.gather(ctx, planner.Tx, planner.Changes(), all); err != nil {
		return err
	}
	for _, sent := range planner.Sent() {
		s := all.add(sent.Noun, sent.ID)
		s.told = true
		s.sent = append(s.sent, sent)
		if s.after == nil {
			row, err := planner.Get(ctx, sent.Noun, sent.ID)
			if err != nil {
				return err
			}
			s.after, s.name, s.account = &row, sent.Name, sent.Account
		}
	}
	if err := c.gatherRouted(ctx, planner.Tx, old, routed, all); err != nil {
		return err
	}
	for _, name := range all.nouns() {
		of := all.of(name)
		if err := c.match(ctx, planner, routed, name, of); err != nil {
			return err
		}
		if err := placements(ctx, planner.Tx, name, of); err != nil {
			return err
		}
		c.tellOfAddresses(of, readdressed(old, routed))
		rows, from := pick(of, func(s *subject) *noun.Row {
			if s.after == nil || !s.told && !s.moves() {
				return nil
			}
			return s.after
		})
		computed, err := facts(ctx, planner, name, rows)
		if err != nil {
			return err
		}
		for i, s := range from {
			s.factsAfter = computed[i]
		}
	}
	return nil
}

// gatherRouted adds all objects of backends whose routes have changed, and of
// those that are told addresses where a server has another one.
func (c *Coordinator) gatherRouted(ctx context.Context, view *store.Tx, old, routed topology, all *subjects) error {
	if reflect.DeepEqual(old, routed) {
		return nil
	}
	var nouns []string
	moved := readdressed(old, routed)
	for _, routes := range [][]Route{old.routes, routed.routes} {
		for _, route := range routes {
			told := c.options.Backends.Backend(route.Backend)
			knows := told != nil && len(told.Peers) > 0 && len(moved) > 0
			if !knows && reflect.DeepEqual(goesTo(old, route.ID), goesTo(routed, route.ID)) {
				continue
			}
			if told == nil {
				return missingBackend(route.Backend)
			}
			if !slices.Contains(nouns, told.Noun) {
				nouns = append(nouns, told.Noun)
			}
		}
	}
	for _, name := range nouns {
		rows, err := view.Select(ctx, name)
		if err != nil {
			return err
		}
		if err := all.addRows(ctx, view, view.Noun(name), rows, false); err != nil {
			return err
		}
	}
	return nil
}

// goesTo returns what decides where a route's objects are; nil without a route.
func goesTo(in topology, route int64) []any {
	for _, r := range in.routes {
		if r.ID == route {
			return []any{r.Backend, r.Server, r.Match}
		}
	}
	return nil
}

func missingBackend(name string) error {
	return fault.New(fault.NotFound, "the backend %s is not installed", name).WithHint("orchestra backend list")
}

// match fills in where objects of a noun are to be.
func (c *Coordinator) match(ctx context.Context, view noun.View, routed topology, name string, of []*subject) error {
	rows, from := pick(of, after)
	if len(rows) == 0 {
		return nil
	}
	placement, _ := view.Noun(name).Placement()
	for _, route := range routed.routes {
		told := c.options.Backends.Backend(route.Backend)
		if told == nil {
			return missingBackend(route.Backend)
		}
		if told.Noun != name || told.Kind == backend.Measure {
			continue
		}
		matches, err := c.options.Topology.Match(ctx, view, route, rows)
		if err == nil && len(matches) != len(rows) {
			err = fmt.Errorf("%d answers for %d objects", len(matches), len(rows))
		}
		if err != nil {
			return fmt.Errorf("matching the route of %s: %w", route.Backend, err)
		}
		for i, s := range from {
			if matches[i] && mayBeOn(told, placement, *s.after, route.Server) {
				put(s.targets, route.Backend, route.Server)
			}
		}
	}
	return c.reachPlacements(routed, view.Noun(name), from)
}

// placements fills in where objects of a noun are.
func placements(ctx context.Context, tx *store.Tx, name string, of []*subject) error {
	ids := make([]int64, len(of))
	byID := make(map[int64]*subject, len(of))
	for i, s := range of {
		ids[i], byID[s.id] = s.id, s
	}
	placed, err := tx.Placements(ctx, name, ids)
	for _, placement := range placed {
		put(byID[placement.Object].placed, placement.Backend, placement.Server)
	}
	return err
}

func put(in map[string]map[int64]bool, backend string, server int64) {
	if in[backend] == nil {
		in[backend] = map[int64]bool{}
	}
	in[backend][server] = true
}

// moves tells whether an object is not where it is to be.
func (s *subject) moves() bool { return !reflect.DeepEqual(s.targets, s.placed) }

// planBefore fills in the facts of objects that are somewhere already, in the
// state before the changes.
func (c *Coordinator) planBefore(ctx context.Context, tx *store.Tx, all *subjects) error {
	for _, name := range all.nouns() {
		of := all.of(name)
		var ids []any
		byID := map[int64]*subject{}
		for _, s := range of {
			if !s.own && (s.told || s.moves()) {
				ids = append(ids, s.id)
				byID[s.id] = s
			}
		}
		if len(ids) > 0 {
			rows, err := tx.Select(ctx, name, noun.Where("id", ids...))
			if err != nil {
				return err
			}
			for _, row := range rows {
				byID[row.ID].before = &row
			}
		}
		rows, from := pick(of, func(s *subject) *noun.Row {
			if len(s.placed) == 0 || !s.told && !s.moves() {
				return nil
			}
			return s.before
		})
		computed, err := facts(ctx, tx, name, rows)
		if err != nil {
			return err
		}
		for i, s := range from {
			s.factsBefore = computed[i]
		}
	}
	return nil
}

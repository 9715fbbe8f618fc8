package operation

import (
	"cmp"
	"context"
	"slices"

	"orchestra/pkg/backend"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// Comparison is how servers differ from what the database says.
type Comparison struct {
	Servers  []ServerDifferences // those that were to be asked, by name
	Objects  int                 // that were compared, each on each of its servers
	Warnings []message.Text
}

// Compare asks the servers how they differ from what the database says, in
// what is selected: each once, for all of its objects. Nothing is changed, and no
// lock is taken. A comparison that is not narrowed to some objects also finds what
// is left over. What is owed to a server is told apart from what somebody changed.
func (c *Coordinator) Compare(ctx context.Context, selection Selection) (*Comparison, error) {
	r := c.newRun(&job{kind: "compare"})
	defer r.close()
	work := &atWork{}
	comparing := newComparing(c, selection)
	err := c.view(ctx, r.store, func(tx *store.Tx) error {
		var err error
		if r.plan, err = comparing.plan(ctx, tx); err != nil {
			return err
		}
		if err := work.before(ctx, tx); err != nil {
			return err
		}
		return r.known(ctx, tx, r.plan)
	})
	if err != nil {
		return nil, interrupted(ctx, err)
	}
	if err := c.encode(r.plan); err != nil {
		return nil, err
	}
	comparison := &Comparison{Warnings: comparing.unasked}
	for _, s := range r.plan.steps {
		comparison.Objects += len(s.objects)
	}
	comparison.Servers = r.observe(ctx, wire.Observe{Drift: true, Leftovers: selection.whole()})
	if err := interrupted(ctx, ctx.Err()); err != nil {
		return nil, err
	}
	for i := range comparison.Servers {
		comparing.nameOwed(&comparison.Servers[i])
	}
	err = c.view(ctx, r.store, func(tx *store.Tx) error {
		warnings, err := work.meanwhile(ctx, tx, comparison.Servers)
		comparison.Warnings = append(comparison.Warnings, warnings...)
		return err
	})
	return comparison, err
}

// comparing is one comparison while its plan is made.
type comparing struct {
	c         *Coordinator
	selection Selection
	into      *plan
	by        map[stepKey]*step
	marks     map[store.Placement]store.Dirty // of what is owed and not yet in the plan
	owed      map[string]map[string]bool      // objects by server and label: "user acme"
	unasked   []message.Text                  // why servers are not asked
}

func newComparing(c *Coordinator, selection Selection) *comparing {
	return &comparing{
		c: c, selection: selection, into: newPlan(), by: map[stepKey]*step{},
		marks: map[store.Placement]store.Dirty{}, owed: map[string]map[string]bool{},
	}
}

// plan makes steps of what is placed on the servers, and of what is owed to them.
// The number of statements does not grow with the objects.
func (p *comparing) plan(ctx context.Context, tx *store.Tx) (*plan, error) {
	routed, err := p.c.topology(ctx, tx)
	if err != nil {
		return nil, err
	}
	p.into.servers = routed.servers
	if err := p.selection.check(p.c.options.Backends, tx, routed); err != nil {
		return nil, err
	}
	disabled := map[string]bool{}
	for _, route := range routed.routes { // a backend that has no object left is asked for leftovers
		told, server := p.c.options.Backends.Backend(route.Backend), routed.servers[route.Server]
		switch {
		case told == nil:
			return nil, missingBackend(route.Backend)
		case !p.selection.wants(server, told):
		case server.Enabled:
			p.step(server.ID, told)
		default:
			disabled[server.Name] = true
		}
	}
	for _, name := range sortedKeys(disabled) {
		p.unasked = append(p.unasked, message.New("%s is disabled: it was not compared", name))
	}
	account, err := p.selection.account(ctx, tx)
	if err != nil {
		return nil, err
	}
	if err := p.takeMarks(ctx, tx, account); err != nil {
		return nil, err
	}
	for _, declared := range tx.Nouns() {
		if !p.selection.concerns(p.c.options.Backends, declared.Name) {
			continue
		}
		rows, err := p.selection.rows(ctx, tx, declared, account, p.marks)
		if err != nil {
			return nil, err
		}
		if err := p.addRows(ctx, tx, declared, rows); err != nil {
			return nil, err
		}
	}
	p.addGone()
	p.nameUnrouted()
	return p.into, waves(p.into.steps, routed.routes, p.into.servers)
}

// nameUnrouted says why nothing is asked of servers that are in service.
func (p *comparing) nameUnrouted() {
	asked := map[string]bool{}
	for _, s := range p.into.steps {
		asked[p.into.servers[s.server].Name] = true
	}
	for _, server := range p.into.servers {
		if server.Enabled && !asked[server.Name] && slices.Contains(p.selection.Servers, server.Name) {
			p.unasked = append(p.unasked, message.New("no route that was asked for leads to %s: it was not compared. Once one does, what is left over there is found too: %s",
				server.Name, "orchestra route add BACKEND --server "+server.Name+" --match false"))
		}
	}
	if len(p.selection.Servers) == 0 && len(p.into.steps) == 0 && len(p.unasked) == 0 {
		p.unasked = append(p.unasked, message.New("no route that was asked for leads to a server: %s", "orchestra route list"))
	}
}

// takeMarks reads what is owed of what is selected.
func (p *comparing) takeMarks(ctx context.Context, tx *store.Tx, account int64) error {
	marks, err := tx.DirtyMarks(ctx, nil)
	if err != nil {
		return err
	}
	for _, mark := range marks {
		told, server := p.c.options.Backends.Backend(mark.Backend), p.into.servers[mark.Server]
		if told == nil || !server.Enabled || !p.selection.wants(server, told) || account != 0 && mark.Account != account ||
			len(p.selection.Names) > 0 && !slices.Contains(p.selection.Names, mark.Name) {
			continue
		}
		p.marks[store.Placement{Noun: mark.Noun, Object: mark.Object, Backend: mark.Backend, Server: mark.Server}] = mark
		if p.owed[server.Name] == nil {
			p.owed[server.Name] = map[string]bool{}
		}
		p.owed[server.Name][mark.Noun+" "+mark.Name] = true
	}
	return nil
}

// addRows adds objects of one noun to the steps of where they are. What is owed is
// told as it will be told: with what the server last heard of it.
func (p *comparing) addRows(ctx context.Context, tx *store.Tx, declared *noun.Noun, rows []noun.Row) error {
	computed, err := facts(ctx, tx, declared.Name, rows)
	if err != nil {
		return err
	}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	placed, err := tx.Placements(ctx, declared.Name, ids)
	if err != nil {
		return err
	}
	where := map[int64][]store.Placement{}
	for _, placement := range placed {
		where[placement.Object] = append(where[placement.Object], placement)
	}
	on := placedByObject(placed)
	for i, row := range rows {
		for _, placement := range where[row.ID] {
			told, server := p.c.options.Backends.Backend(placement.Backend), p.into.servers[placement.Server]
			if told == nil || !server.Enabled || !p.selection.wants(server, told) {
				continue
			}
			facts, err := withPeers(computed[i], told, on[row.ID], p.into.servers)
			if err != nil {
				return err
			}
			object := backend.Object{
				// What is not owed is what the server last heard.
				Action: "save", Noun: declared.Name, ID: row.ID, Name: row.Text(declared.Key), Facts: facts, Before: facts,
			}
			if mark, owed := p.marks[placement]; owed {
				object.Before = mark.Facts
				delete(p.marks, placement)
			}
			s := p.step(placement.Server, told)
			s.objects = append(s.objects, object)
		}
	}
	return nil
}

// addGone adds what has gone from a server in the database, and has not been told to it.
func (p *comparing) addGone() {
	gone := make([]store.Dirty, 0, len(p.marks))
	for _, mark := range p.marks {
		if mark.Facts != nil { // else it has never heard of the object
			gone = append(gone, mark)
		}
	}
	slices.SortFunc(gone, func(a, b store.Dirty) int { return cmp.Compare(a.Object, b.Object) })
	for _, mark := range gone {
		s := p.step(mark.Server, p.c.options.Backends.Backend(mark.Backend))
		s.objects = append(s.objects, backend.Object{Action: "delete", Noun: mark.Noun, ID: mark.Object, Name: mark.Name, Facts: mark.Facts})
	}
}

func (p *comparing) step(server int64, told *backend.Backend) *step {
	key := stepKey{server, told.Name}
	if p.by[key] == nil {
		p.by[key] = &step{server: server, backend: told}
		p.into.steps = append(p.into.steps, p.by[key])
	}
	return p.by[key]
}

// nameOwed gives differences of objects that are owed to the server that reason. A
// conflict stays one: it will be in the way.
func (p *comparing) nameOwed(server *ServerDifferences) {
	for _, step := range server.Steps {
		for i, one := range step.Differences {
			if p.owed[server.Server][one.Object] && one.Reason != wire.ReasonConflict {
				step.Differences[i].Reason = wire.ReasonOwed
			}
		}
	}
}

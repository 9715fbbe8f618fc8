package operation

import (
	"context"
	"slices"

	"orchestra/pkg/backend"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// Compare asks the servers how they differ from what the database says, in
// what is selected. Nothing is changed. A full comparison of a backend also
// finds what is left over.
func (c *Coordinator) Compare(ctx context.Context, selection Selection) ([]ServerDifferences, error) {
	r := c.newRun(&job{kind: "compare"})
	defer r.close()
	err := c.view(ctx, r.store, func(tx *store.Tx) error {
		var err error
		if r.plan, err = c.comparePlan(ctx, tx, selection); err != nil {
			return err
		}
		return r.known(ctx, tx, r.plan)
	})
	if err != nil {
		return nil, err
	}
	if err := encode(r.plan); err != nil {
		return nil, err
	}
	whole := len(selection.Names) == 0 && selection.Account == ""
	return r.observe(ctx, wire.Observe{Drift: true, Leftovers: whole}), interrupted(ctx, ctx.Err())
}

// comparePlan makes steps of what is placed on the servers.
func (c *Coordinator) comparePlan(ctx context.Context, tx *store.Tx, selection Selection) (*plan, error) {
	p := newPlan()
	routed, err := c.topology(ctx, tx)
	if err != nil {
		return nil, err
	}
	p.servers = routed.servers
	by := map[stepKey]*step{}
	for _, route := range routed.routes { // a backend that has no object left is asked for leftovers
		told := c.options.Backends.Backend(route.Backend)
		if told != nil && selection.wants(p.servers[route.Server], told) {
			p.stepFor(by, route.Server, told)
		}
	}
	nouns := map[string]bool{}
	for _, declared := range tx.Nouns() {
		if len(c.options.Backends.ForNoun(declared.Name)) > 0 && (selection.Noun == "" || selection.Noun == declared.Name) {
			nouns[declared.Name] = true
		}
	}
	for _, name := range sortedKeys(nouns) {
		rows, err := selection.rows(ctx, tx, name)
		if err != nil {
			return nil, err
		}
		if err := c.compareRows(ctx, tx, selection, name, rows, p, by); err != nil {
			return nil, err
		}
	}
	return p, waves(p.steps, routed.routes, p.servers)
}

// compareRows adds objects of one noun to the steps of where they are.
func (c *Coordinator) compareRows(ctx context.Context, tx *store.Tx, selection Selection, name string, rows []noun.Row, p *plan, by map[stepKey]*step) error {
	computed, err := facts(ctx, tx, name, rows)
	if err != nil {
		return err
	}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	placed, err := tx.Placements(ctx, name, ids)
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
			told := c.options.Backends.Backend(placement.Backend)
			if told == nil || !selection.wants(p.servers[placement.Server], told) {
				continue
			}
			s := p.stepFor(by, placement.Server, told)
			s.objects = append(s.objects, backend.Object{
				Action: "save", Noun: name, ID: row.ID, Name: row.Text(tx.Noun(name).Key), Facts: withPeers(computed[i], told, on[row.ID], p.servers),
			})
		}
	}
	return nil
}

func (p *plan) stepFor(by map[stepKey]*step, server int64, told *backend.Backend) *step {
	key := stepKey{server, told.Name}
	if by[key] == nil {
		by[key] = &step{server: server, backend: told}
		p.steps = append(p.steps, by[key])
	}
	return by[key]
}

// wants tells whether a backend on a server is selected.
func (s Selection) wants(server Server, told *backend.Backend) bool {
	return server.Enabled && told.Kind != backend.Measure && (s.Noun == "" || s.Noun == told.Noun) &&
		(len(s.Servers) == 0 || slices.Contains(s.Servers, server.Name)) &&
		(len(s.Backends) == 0 || slices.Contains(s.Backends, told.Name))
}

// rows returns the selected objects of a noun.
func (s Selection) rows(ctx context.Context, tx *store.Tx, name string) ([]noun.Row, error) {
	declared := tx.Noun(name)
	var conditions []noun.Condition
	if len(s.Names) > 0 {
		values := make([]any, len(s.Names))
		for i, wanted := range s.Names {
			values[i] = wanted
		}
		conditions = append(conditions, noun.Where(declared.Key, values...))
	}
	rows, err := tx.Select(ctx, name, conditions...)
	if err != nil || s.Account == "" {
		return rows, err
	}
	var account int64
	for _, other := range tx.Nouns() {
		if other.IsAccount() {
			row, err := tx.Find(ctx, other.Name, s.Account)
			if err != nil {
				return nil, err
			}
			account = row.ID
		}
	}
	var owned []noun.Row
	for _, row := range rows {
		owner, err := tx.Account(ctx, row)
		if err != nil {
			return nil, err
		}
		if owner == account {
			owned = append(owned, row)
		}
	}
	return owned, nil
}

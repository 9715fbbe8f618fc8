package operation

import (
	"context"
	"errors"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// converge brings a server up to date from the rows as they are now, before
// anything else is done there: an operation of its own. Objects of accounts
// that somebody else is changing are left to a later time. A server that can't
// be reached is noted in asking, which goes on without it where it may.
func (c *Coordinator) converge(ctx context.Context, server int64, asking *job) error {
	asking.converged[server] = true
	var target Server
	err := c.view(ctx, c.options.Store, func(tx *store.Tx) error {
		topology, err := c.topology(ctx, tx)
		target = topology.servers[server]
		return err
	})
	if err != nil {
		return err
	}
	// What can't be reached needs no operation in the log to say so.
	reached := newSession(c, target)
	reached.brief = asking.briefly[server]
	err = reached.open(ctx)
	reached.close()
	c.noteReached(ctx, server, err)
	var lost *lostError
	var last *plan
	if err == nil {
		var outcome *Outcome
		outcome, err = c.do(ctx, &job{
			kind: "converge", request: Request{Command: "converge " + target.Name, Actor: asking.request.Actor, Wait: asking.request.Wait},
			plan: func(ctx context.Context, tx *store.Tx, set *lockSet) (*plan, error) {
				var err error
				last, err = c.convergePlan(ctx, tx, set, server)
				return last, err
			},
			converged: map[int64]bool{server: true},
		})
		if err == nil && asking.brought != nil && !outcome.queued() {
			*asking.brought = Brought{Number: outcome.Number, Objects: len(last.owners)}
		}
	}
	if errors.As(err, &lost) || fault.Is(err, fault.Unreachable) {
		asking.unreached[server] = err
		return nil
	}
	return interrupted(ctx, err)
}

// convergePlan turns a server's dirty marks into what it is to be told.
func (c *Coordinator) convergePlan(ctx context.Context, tx *store.Tx, set *lockSet, server int64) (*plan, error) {
	p := newPlan()
	routed, err := c.topology(ctx, tx)
	if err != nil {
		return nil, err
	}
	p.servers = routed.servers
	marks, err := tx.DirtyMarks(ctx, []int64{server})
	if err != nil {
		return nil, err
	}
	debts, err := tx.Debts(ctx, server)
	if err != nil {
		return nil, err
	}
	if len(debts) > 0 {
		p.settle[server] = debts
	}
	busy := map[int64]bool{}
	byNoun := map[string][]store.Dirty{}
	for _, one := range marks {
		if _, known := busy[one.Account]; !known && !set.alone() {
			free, err := set.try(lockWant{key: lockKey{lockAccount, one.Account}})
			if err != nil {
				return nil, err
			}
			busy[one.Account] = !free
		}
		if busy[one.Account] {
			continue
		}
		p.hold(one.Account, true)
		p.clean = append(p.clean, one)
		p.owners[subjectKey{one.Noun, one.Object}] = one.Account
		byNoun[one.Noun] = append(byNoun[one.Noun], one)
	}
	by := map[stepKey]*step{}
	for _, name := range sortedKeys(byNoun) {
		if err := c.convergeNoun(ctx, tx, name, byNoun[name], p, by); err != nil {
			return nil, err
		}
	}
	for _, one := range p.steps {
		one.queue = queued(routed.routes, one.server, one.backend.Name)
	}
	return p, waves(p.steps, routed.routes, p.servers)
}

// convergeNoun adds what a server is to be told of marked objects of one noun.
func (c *Coordinator) convergeNoun(ctx context.Context, tx *store.Tx, name string, marks []store.Dirty, p *plan, by map[stepKey]*step) error {
	ids := make([]any, len(marks))
	plain := make([]int64, len(marks))
	for i, one := range marks {
		ids[i], plain[i] = one.Object, one.Object
	}
	rows, err := tx.Select(ctx, name, noun.Where("id", ids...))
	if err != nil {
		return err
	}
	computed, err := facts(ctx, tx, name, rows)
	if err != nil {
		return err
	}
	now := map[int64]noun.Facts{}
	for i, row := range rows {
		now[row.ID] = computed[i]
	}
	placed, err := tx.Placements(ctx, name, plain)
	if err != nil {
		return err
	}
	on := placedByObject(placed)
	stays := map[store.Placement]bool{}
	for _, placement := range placed {
		stays[placement] = true
	}
	for _, one := range marks {
		object := backend.Object{Action: "save", Noun: name, ID: one.Object, Name: one.Name, Facts: now[one.Object], Before: one.Facts}
		if !stays[store.Placement{Noun: name, Object: one.Object, Backend: one.Backend, Server: one.Server}] {
			if one.Facts == nil {
				continue // it never heard of the object
			}
			object.Action, object.Facts, object.Before = "delete", one.Facts, nil
		}
		told := c.options.Backends.Backend(one.Backend)
		if told == nil {
			return missingBackend(one.Backend)
		}
		if object.Action == "save" {
			if object.Facts, err = withPeers(object.Facts, told, on[one.Object], p.servers); err != nil {
				return err
			}
		}
		key := stepKey{one.Server, one.Backend}
		if by[key] == nil {
			by[key] = &step{server: one.Server, backend: told}
			p.steps = append(p.steps, by[key])
		}
		by[key].objects = append(by[key].objects, object)
	}
	return nil
}

package operation

import (
	"context"
	"errors"
	"slices"
	"time"

	"orchestra/pkg/message"
	"orchestra/pkg/store"
)

// owedWhy says why a server is told nothing now.
func (r *run) owedWhy(server Server) message.Text {
	if !server.Enabled {
		return message.New("%s is disabled: what concerns it is owed to it", server.Name)
	}
	if rest, resting := r.resting[server.ID]; resting && r.job.unreached[server.ID] == nil {
		return message.New("%s has been out of reach for %s and is not tried again for %s: what concerns it is owed to it",
			server.Name, max(rest.lasts.Round(time.Second), time.Second), max(rest.left.Round(time.Second), time.Second))
	}
	return message.New("%s is out of reach: what concerns it is owed to it", server.Name)
}

// notYet says of a server that it is owed something for another reason.
func notYet(server Server) message.Text {
	return message.New("%s is not up to date yet: %s", server.Name, "orchestra recover")
}

// marked returns the servers that are told nothing and get dirty marks, in order.
func (p *plan) marked() []int64 {
	set := map[int64]bool{}
	for _, mark := range p.marks {
		set[mark.Server] = true
	}
	for _, id := range p.serverIDs() {
		delete(set, id)
	}
	return sortedKeys(set)
}

// owedFirst says which servers to converge first, because they are owed what
// the plan found as it is to be.
func (r *run) owedFirst(p *plan) *again {
	once := &again{}
	for _, id := range p.owed {
		if _, resting := r.resting[id]; p.servers[id].Enabled && !r.job.converged[id] && !resting {
			once.converge = append(once.converge, id)
			r.job.briefly[id] = r.canWait(p, id)
		}
	}
	if len(once.converge) == 0 {
		return nil
	}
	return once
}

// owes tells whether the operation leaves something owed to a server.
func (r *run) owes(server int64) bool {
	return r.outcomes[server] == store.OutcomeQueued || r.outcomes[server] == store.OutcomeOwing
}

// owedWarnings returns the warnings of the operation, with one for each server
// that it leaves something owed to.
func (r *run) owedWarnings() []message.Text {
	warnings := slices.Clone(r.plan.warnings)
	for _, one := range r.operation.Servers {
		if server, exists := r.plan.servers[one.Server]; exists && r.owes(one.Server) {
			warnings = append(warnings, r.owedWhy(server))
		}
	}
	for _, id := range r.plan.owed {
		server := r.plan.servers[id]
		_, resting := r.resting[id]
		switch {
		case r.owes(id):
		case server.Enabled && r.job.unreached[id] == nil && !resting:
			warnings = append(warnings, notYet(server))
		default:
			warnings = append(warnings, r.owedWhy(server))
		}
	}
	return warnings
}

// queued tells whether a server was left for later.
func (o *Outcome) queued() bool {
	return slices.ContainsFunc(o.Servers, func(s ServerOutcome) bool { return s.Dirty })
}

// previewOwed says which servers the operation would leave something owed to.
// One out of reach is no failure where its routes queue.
func (r *run) previewOwed(preview *Preview) {
	for i, one := range preview.Servers {
		var lost *lostError
		for _, s := range r.sessions {
			if s.server.Name == one.Server && errors.As(s.closed, &lost) && r.mayQueue(s.server.ID) {
				preview.Servers[i].Err, preview.Servers[i].Owed = nil, r.owedWhy(s.server)
			}
		}
	}
	for _, id := range r.plan.marked() {
		server := r.plan.servers[id]
		preview.Servers = append(preview.Servers, ServerDifferences{Server: server.Name, Owed: r.owedWhy(server)})
	}
	for _, one := range preview.Servers {
		if !one.Owed.IsZero() {
			preview.Warnings = append(preview.Warnings, one.Owed)
		}
	}
	for _, id := range r.plan.owed {
		server := r.plan.servers[id]
		if slices.ContainsFunc(preview.Servers, func(s ServerDifferences) bool { return s.Server == server.Name && !s.Owed.IsZero() }) {
			continue
		}
		if _, resting := r.resting[id]; server.Enabled && !resting {
			preview.Warnings = append(preview.Warnings, notYet(server))
		} else {
			preview.Warnings = append(preview.Warnings, r.owedWhy(server))
		}
	}
}

// convergeAll converges every server that is owed something and can be
// reached. The error is of those that failed otherwise.
func (c *Coordinator) convergeAll(ctx context.Context) ([]Brought, error) {
	var ids []int64
	err := c.view(ctx, c.options.Store, func(tx *store.Tx) error {
		owed, err := tx.Owed(ctx)
		ids = sortedKeys(owed)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.bring(ctx, Request{Actor: "recover"}, ids)
}

// bringBack converges servers that are in service again. What fails is told of
// them: the operation that put them there is done.
func (c *Coordinator) bringBack(ctx context.Context, request Request, ids []int64) []Brought {
	brought, err := c.bring(ctx, request, ids)
	if len(brought) == 0 && err != nil {
		return []Brought{{Err: err}}
	}
	return brought
}

// bring converges those of servers that are owed something.
func (c *Coordinator) bring(ctx context.Context, request Request, ids []int64) ([]Brought, error) {
	var known topology
	before, err := c.owed(ctx, &known)
	if err != nil {
		return nil, err
	}
	var all []Brought
	var failed error
	for _, id := range ids {
		server, exists := known.servers[id]
		if !exists || before[id] == 0 {
			continue
		}
		var brought Brought
		asking := &job{request: request, converged: map[int64]bool{}, unreached: map[int64]error{}, brought: &brought}
		if server.Enabled {
			brought.Err = c.converge(ctx, id, asking)
			failed = errors.Join(failed, brought.Err)
		}
		now, err := c.owed(ctx, &known)
		if err != nil {
			return all, errors.Join(failed, err)
		}
		brought.Server, brought.Owed = server.Name, now[id]
		switch {
		case brought.Owed == 0:
		case !server.Enabled:
			brought.Why = message.New("%s is disabled: changes owed to it: %d", server.Name, brought.Owed)
		case brought.Err == nil && brought.Number == 0 && asking.unreached[id] != nil:
			brought.Why = message.New("%s is out of reach: changes owed to it: %d", server.Name, brought.Owed)
		default:
			brought.Why = message.New("%s is not up to date yet: changes owed to it: %d", server.Name, brought.Owed)
		}
		all = append(all, brought)
	}
	return all, failed
}

// owed reads how many changes are owed to each server, and the servers.
func (c *Coordinator) owed(ctx context.Context, into *topology) (map[int64]int, error) {
	var owed map[int64]int
	err := c.view(ctx, c.options.Store, func(tx *store.Tx) error {
		var err error
		if *into, err = c.topology(ctx, tx); err != nil {
			return err
		}
		owed, err = tx.Owed(ctx)
		return err
	})
	return owed, err
}

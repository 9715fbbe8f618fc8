package operation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// Recover ends the operations whose runner is gone: those that are committed
// are kept everywhere, the others are undone everywhere. Then it converges the
// servers that have something pending. Doing it twice is doing it once. The
// error is of kind Unrecovered where something is left; the results say what.
func (c *Coordinator) Recover(ctx context.Context) ([]Recovered, []Brought, error) {
	open, err := c.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	var results []Recovered
	var left error
	for _, operation := range open {
		recovered, err := c.recover(ctx, operation.ID)
		if err != nil {
			return results, nil, err
		}
		results = append(results, recovered)
		if recovered.Err != nil {
			left = errors.Join(left, recovered.Err)
		}
	}
	brought, err := c.convergeAll(ctx)
	if err != nil {
		left = errors.Join(left, err)
	}
	if left != nil {
		return results, brought, fault.New(fault.Unrecovered, "not everything could be recovered").Because(left).
			WithHint("orchestra log list")
	}
	return results, brought, nil
}

// recover ends one operation, unless its runner lives. The error is of what
// prevented even the try.
func (c *Coordinator) recover(ctx context.Context, id string) (Recovered, error) {
	locks, err := c.locks()
	if err != nil {
		return Recovered{}, err
	}
	r := c.newRun(&job{request: Request{Command: "recover"}})
	if r.set, err = locks.begin(id, "recover"); err != nil {
		return Recovered{}, err
	}
	if r.set == nil {
		return Recovered{ID: id, Alive: true}, nil
	}
	r.set.waiting = c.tellWaiting
	defer r.close()
	if err := r.read(ctx, id); err != nil {
		return Recovered{}, err
	}
	recovered := Recovered{Number: r.operation.Number, ID: id, Command: r.operation.Command, State: r.operation.State}
	if r.operation.State == "" || r.operation.State.Ended() {
		r.ended = true // somebody else has ended it between our seeing and our locking
		return recovered, nil
	}
	if err := r.lockAll(ctx); err != nil {
		return recovered, interrupted(ctx, err)
	}
	err = r.end(ctx)
	recovered.State, recovered.Err = r.operation.State, err
	recovered.Servers = r.outcome().Servers
	if ctx.Err() != nil {
		return recovered, interrupted(ctx, ctx.Err())
	}
	return recovered, nil
}

// read reads the operation from the journal, and the servers as they are now.
func (r *run) read(ctx context.Context, id string) error {
	return r.c.view(ctx, r.store, func(tx *store.Tx) error {
		open, err := tx.OpenOperations(ctx)
		if err != nil {
			return err
		}
		for _, operation := range open {
			if operation.ID == id {
				r.operation = operation
			}
		}
		if r.operation.ID == "" {
			return nil
		}
		topology, err := r.c.topology(ctx, tx)
		if err != nil {
			return err
		}
		r.plan = newPlan()
		r.plan.servers = topology.servers
		for _, one := range r.operation.Steps {
			known := r.c.options.Backends.Backend(one.Backend)
			if known == nil {
				known = &backend.Backend{Name: one.Backend, Timeout: defaultTimeout}
			}
			r.plan.steps = append(r.plan.steps, &step{
				server: one.Server, backend: known, wave: one.Wave,
				queue: queued(topology.routes, one.Server, one.Backend),
				wire:  wire.Step{Name: one.Backend, Timeout: known.Timeout},
			})
		}
		if r.panel, err = tx.PanelID(ctx); err != nil {
			return err
		}
		for _, server := range r.operation.Servers {
			if r.states[server.Server], err = tx.ServerState(ctx, server.Server); err != nil {
				return err
			}
			r.outcomes[server.Server] = server.Outcome
		}
		return nil
	})
}

// errRunnerGone is why an operation is undone that was found without its runner.
func errRunnerGone() error {
	return fault.New(fault.Failed, "the command that ran it was killed, or its machine went down, before it ended")
}

// lockAll takes what the operation held: its accounts, and its servers.
func (r *run) lockAll(ctx context.Context) error {
	wants := []lockWant{world}
	for _, account := range r.operation.Accounts {
		wants = append(wants, lockWant{key: lockKey{lockAccount, account.Account}, shared: account.Shared})
	}
	for _, server := range r.operation.Servers {
		if server.Outcome == store.OutcomeOpen {
			wants = append(wants, lockWant{key: lockKey{lockServer, server.Server}})
		}
	}
	return r.set.take(ctx, r.c.wait(r.job.request), wants...)
}

// end brings a dead operation to its end. What is running becomes undoing
// before any server is told anything: its runner, were it to come back, could
// commit no more.
func (r *run) end(ctx context.Context) error {
	if r.operation.State == store.Running {
		if err := r.decideUndo(ctx, errRunnerGone()); err != nil {
			return err
		}
	}
	r.published, r.recovering = true, true // how far it was, nobody knows
	var ids []int64
	for _, server := range r.operation.Servers {
		id := server.Server
		if r.outcomes[id] != store.OutcomeOpen || r.operation.State == store.Committed && len(r.stepsOn(id)) == 0 {
			continue
		}
		now, exists := r.plan.servers[id]
		if !exists || !now.Enabled {
			r.abandon(id, exists)
			continue
		}
		s := r.session(id)
		s.sent = true // by the runner that is gone
		ids = append(ids, id)
	}
	unreached := r.on(ids, func(s *session) error { return s.open(ctx) })
	ids = slices.DeleteFunc(ids, func(id int64) bool { return unreached[id] != nil })
	if r.operation.State == store.Committed {
		return r.finishOn(ctx, ids, unreached)
	}
	errs := r.undoOn(ctx, ids)
	r.acceptEnds(errs)
	maps.Copy(errs, unreached)
	if err := r.endUndo(ctx, errs); err != nil {
		return err
	}
	if len(errs) > 0 {
		return r.notUndone(errRunnerGone(), errs)
	}
	return nil
}

// abandon takes a server that is out of service out of the operation: it has to
// hear the operation's end before anything else, should it ever come back, and
// is then converged from the rows as they are.
func (r *run) abandon(id int64, exists bool) {
	r.outcomes[id] = store.OutcomeAbandoned
	if exists {
		r.owing, r.remarked = append(r.owing, id), append(r.remarked, id)
	}
	r.noteEnd(id, "abandoned")
}

func (r *run) noteEnd(id int64, outcome string) {
	phase := "finish"
	if r.recovering {
		phase = "recover"
	}
	r.phases = append(r.phases, store.Phase{Server: id, Phase: phase, Outcome: outcome, Started: time.Now()})
}

// otherEnd is the outcome of a phase in which a server told that the operation
// has come to the other end there. The rules allow none; the simulation looks for it.
const otherEnd = "ended otherwise"

// acceptEnds ends, in a recovery, the part of servers where the operation has
// come to the other end than the one decided: that is their answer for ever,
// so that asking again helps nobody. They are converged from the rows.
func (r *run) acceptEnds(errs map[int64]error) {
	if !r.recovering {
		return
	}
	for _, id := range sortedKeys(errs) {
		var ended *endedError
		if !errors.As(errs[id], &ended) || !ended.final() {
			continue
		}
		r.outcomes[id] = store.OutcomeUndone
		if ended.state == wire.StateKept {
			r.outcomes[id] = store.OutcomeKept
		}
		r.remarked = append(r.remarked, id)
		r.noteEnd(id, otherEnd)
		delete(errs, id)
	}
}

// writeOwed writes which servers must hear the operation's end, and marks for
// those that are to be converged.
func (r *run) writeOwed(ctx context.Context, tx *store.Tx) error {
	if err := tx.Owe(ctx, r.operation.Number, r.owing); err != nil {
		return err
	}
	if len(r.remarked) == 0 {
		return nil
	}
	changes, err := tx.Changes(ctx, r.operation.Number)
	if err != nil {
		return err
	}
	var marks []store.Dirty
	for _, change := range noun.Net(changes) {
		placed, err := tx.Placements(ctx, change.Noun, []int64{change.ID})
		if err != nil {
			return err
		}
		var known map[string]any
		row := rowOf(change, change.Before)
		if kept := func(id int64) bool { return r.outcomes[id] == store.OutcomeKept }; row == nil && slices.ContainsFunc(r.remarked, kept) {
			row = rowOf(change, change.After) // a server that has kept what was undone knows it all the same
		}
		if row != nil {
			before, err := facts(ctx, tx, change.Noun, []noun.Row{*row})
			if err != nil {
				return err
			}
			known = plainFacts(before[0])
		}
		for _, one := range r.operation.Steps {
			is := slices.ContainsFunc(placed, func(p store.Placement) bool { return p.Server == one.Server && p.Backend == one.Backend })
			told := r.c.options.Backends.Backend(one.Backend)
			if !slices.Contains(r.remarked, one.Server) || told == nil || told.Noun != change.Noun || !is && known == nil {
				continue
			}
			marks = append(marks, store.Dirty{
				Server: one.Server, Backend: one.Backend, Noun: change.Noun, Object: change.ID,
				Name: change.Name, Account: change.Account, Version: r.operation.Number, Facts: known,
			})
		}
	}
	return tx.MarkDirty(ctx, marks)
}

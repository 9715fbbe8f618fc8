package operation

import (
	"context"
	"maps"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// Adopt makes a server follow this database: after the database was restored
// from a backup, the server was installed anew, or it followed another panel.
// What this database believes to be there gets dirty marks, so that it is
// converged by whatever reaches the server next; operations that wait for the
// server's proof wait no longer. Numbers that the server has heard of were given,
// though a restored database does not know it: they are not given again.
func (c *Coordinator) Adopt(ctx context.Context, serverName string, request Request) (*Outcome, error) {
	began := time.Now()
	locks, err := c.locks()
	if err != nil {
		return nil, err
	}
	r := c.newRun(&job{kind: "adopt", request: request})
	r.operation = store.Operation{ID: store.NewOperationID(), Kind: "adopt", Actor: request.Actor, Command: request.Command, Reason: request.Reason}
	if r.set, err = locks.begin(r.operation.ID, request.Command); err != nil || r.set == nil {
		return nil, err
	}
	r.ended = true // nothing of it is ever half done
	r.set.waiting = c.tellWaiting
	defer r.close()
	if err := r.set.take(ctx, c.wait(request), worldAlone); err != nil {
		return nil, interrupted(ctx, err)
	}
	r.plan = newPlan()
	var server Server
	var sequence int64
	err = c.update(ctx, r.store, "adopt", func(tx *store.Tx) error {
		if server, err = c.serverNamed(ctx, tx, serverName, r.plan); err != nil {
			return err
		}
		if r.panel, err = tx.PanelID(ctx); err != nil {
			return err
		}
		sequence, err = tx.NextSequence(ctx, server.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	s := newSession(c, server) // whomever it follows
	r.sessions[server.ID] = s
	if err := s.open(ctx); err != nil {
		return nil, r.observed(err)
	}
	report, err := s.ask(ctx, r.patience(server.ID), question{outgoing{wire.WordAdopt, wire.Adopt{PanelID: r.panel, Sequence: sequence}}, wire.WordAdopted, "adopt"})
	if err != nil {
		return nil, r.observed(err)
	}
	ctx = context.WithoutCancel(ctx)
	err = c.update(ctx, r.store, "adopted", func(tx *store.Tx) error { return r.adopted(ctx, tx, server, sequence, report.Counters) })
	if err != nil {
		return nil, fault.New(fault.Internal, "the server %s was adopted, but the database could not say so", server.Name).
			Because(err).WithHint("orchestra server adopt %s", server.Name)
	}
	r.operation.State = store.Done
	outcome := r.outcome()
	outcome.Duration = time.Since(began)
	return outcome, nil
}

// AdoptPreview tells how a server differs from what this database says,
// whomever it follows. Nothing is changed.
func (c *Coordinator) AdoptPreview(ctx context.Context, serverName string) ([]ServerDifferences, error) {
	stranger := *c
	stranger.whomever = true
	err := c.view(ctx, c.options.Store, func(tx *store.Tx) error {
		_, err := c.serverNamed(ctx, tx, serverName, newPlan())
		return err
	})
	if err != nil {
		return nil, err
	}
	compared, err := stranger.Compare(ctx, Selection{Servers: []string{serverName}})
	if err != nil {
		return nil, err
	}
	return compared.Servers, nil
}

// raise raises counters to what a server has heard of. It is believed up to where
// there are numbers left to give: one that is hostile must not use up a counter.
func (r *run) raise(ctx context.Context, tx *store.Tx, server string, heard map[string]int64) error {
	heard = maps.Clone(heard)
	for _, name := range sortedKeys(heard) {
		last, err := tx.Counter(ctx, name)
		if err != nil {
			return err
		}
		if _, highest := r.c.options.Settings.Range(name); heard[name] > min(highest, wire.MaxNumber/2) {
			r.plan.warnings = append(r.plan.warnings, message.New("%s says that numbers of %s up to %d were given, above all that are to be given: they count for nothing", server, name, heard[name]))
			delete(heard, name)
			continue
		}
		if heard[name] > last {
			r.plan.warnings = append(r.plan.warnings, message.New("objects that this database does not know of have numbers up to %d (%s): none of these is given again", heard[name], name))
		}
	}
	return tx.SetCounters(ctx, heard)
}

// adopted writes that a server follows this database now.
func (r *run) adopted(ctx context.Context, tx *store.Tx, server Server, sequence int64, heard map[string]int64) error {
	r.plan.warnings = nil
	if err := r.raise(ctx, tx, server.Name, heard); err != nil {
		return err
	}
	open, err := tx.OpenOperations(ctx)
	if err != nil {
		return err
	}
	for _, other := range open { // all without a runner: the world is held alone
		err := tx.SetOutcomes(ctx, other.Number, map[int64]store.ServerOutcome{server.ID: store.OutcomeAbandoned})
		if err != nil {
			return err
		}
	}
	debts, err := tx.Debts(ctx, server.ID)
	if err != nil {
		return err
	}
	if err := tx.Settle(ctx, server.ID, debtNumbers(debts)); err != nil {
		return err
	}
	r.operation.Servers = []store.OperationServer{{Server: server.ID, Name: server.Name, Sequence: sequence, Outcome: store.OutcomeKept}}
	r.outcomes[server.ID] = store.OutcomeKept
	if err := tx.BeginOperation(ctx, &r.operation); err != nil {
		return err
	}
	placed, err := tx.PlacedOn(ctx, server.ID)
	if err != nil {
		return err
	}
	var marks []store.Dirty
	for _, placement := range placed {
		row, err := tx.Get(ctx, placement.Noun, placement.Object)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		account, err := tx.Account(ctx, row)
		if err != nil {
			return err
		}
		marks = append(marks, store.Dirty{
			Server: server.ID, Backend: placement.Backend, Noun: placement.Noun, Object: placement.Object,
			Name: row.Text(tx.Noun(placement.Noun).Key), Account: account, Version: r.operation.Number,
		})
	}
	if err := tx.MarkDirty(ctx, marks); err != nil {
		return err
	}
	if len(marks) > 0 {
		r.plan.warnings = append(r.plan.warnings, message.New("%s will be told anew what is on it: changes owed to it: %d (%s)", server.Name, len(marks), "orchestra recover"))
	}
	if err := tx.Confirm(ctx, map[int64]int64{server.ID: sequence}); err != nil {
		return err
	}
	if err := tx.AddPhases(ctx, r.operation.Number, r.collect()); err != nil {
		return err
	}
	if err := r.writeReached(ctx, tx); err != nil {
		return err
	}
	if err := tx.MoveOperation(ctx, r.operation.Number, store.Running, store.Committed, ""); err != nil {
		return err
	}
	return tx.MoveOperation(ctx, r.operation.Number, store.Committed, store.Done, "")
}

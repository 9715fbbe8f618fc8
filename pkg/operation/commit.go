package operation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// leftError says that everything was left as it is: the database does not tell
// what was decided.
type leftError struct{ cause error }

func (e *leftError) Error() string { return e.cause.Error() }
func (e *leftError) Unwrap() error { return e.cause }

func (e *leftError) fault(number int64) error {
	return fault.New(fault.Unrecovered, "the database can't be read, so that it is not known whether operation %d was decided: everything was left as it is", number).
		Because(e.cause).WithHint("orchestra recover")
}

// commit decides: one transaction writes the rows and marks the operation as
// committed. Where its outcome is not known, the database is opened once more
// and asked.
func (r *run) commit(ctx context.Context) error {
	began := time.Now()
	phases := r.collect()
	err := r.c.update(ctx, r.store, "commit", func(tx *store.Tx) error {
		if err := tx.MoveOperation(ctx, r.operation.Number, store.Running, store.Committed, ""); err != nil {
			return err
		}
		if err := r.writeRows(ctx, tx); err != nil {
			return err
		}
		if err := r.writeReached(ctx, tx); err != nil {
			return err
		}
		return tx.AddPhases(ctx, r.operation.Number, phases)
	})
	if unknown(err) {
		if err = r.whatWasDecided(context.WithoutCancel(ctx), err); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	r.operation.State = store.Committed
	r.phases = append(r.phases, store.Phase{Phase: "commit", Outcome: "ok", Started: began, Duration: time.Since(began)})
	return nil
}

// whatWasDecided reads what an unclear commit has left: nil where it is
// committed; cause where it is not, to be undone; a *leftError where nobody knows.
func (r *run) whatWasDecided(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for wait := firstPoll; ; wait *= 2 {
		state, err := r.reopen(ctx)
		switch {
		case err == nil && state == store.Committed:
			return nil
		case err == nil:
			return cause
		case ctx.Err() != nil || errors.Is(err, errCrashed) || pause(ctx, wait) != nil:
			return &leftError{errors.Join(cause, err)}
		}
	}
}

// errCrashed is what the writes of a panel that a test has crashed say.
var errCrashed = errors.New("crashed")

// writeRows writes what the operation decides.
func (r *run) writeRows(ctx context.Context, tx *store.Tx) error {
	p := r.plan
	if err := tx.Apply(ctx, p.changes); err != nil {
		return err
	}
	if err := tx.Place(ctx, p.place); err != nil {
		return err
	}
	if err := tx.Unplace(ctx, p.unplace); err != nil {
		return err
	}
	if err := tx.Clean(ctx, p.clean); err != nil {
		return err
	}
	marks := append([]store.Dirty{}, p.marks...)
	outcomes := map[int64]store.ServerOutcome{}
	confirmed := map[int64]int64{}
	var owing []int64
	for _, server := range r.operation.Servers {
		id := server.Server
		if !r.dropped[id] {
			confirmed[id] = server.Sequence
			if err := tx.Settle(ctx, id, debtNumbers(p.settle[id])); err != nil {
				return err
			}
			continue
		}
		outcomes[id] = store.OutcomeQueued
		r.outcomes[id] = store.OutcomeQueued
		for _, step := range r.stepsOn(id) {
			for _, object := range step.objects {
				marks = append(marks, mark(p.owners[subjectKey{object.Noun, object.ID}], id, step.backend.Name, object))
			}
		}
		if s := r.sessions[id]; s != nil && s.sent {
			owing = append(owing, id)
		}
	}
	for i := range marks {
		marks[i].Version = r.operation.Number
	}
	if err := tx.MarkDirty(ctx, marks); err != nil {
		return err
	}
	if err := tx.Owe(ctx, r.operation.Number, owing); err != nil {
		return err
	}
	if err := tx.EndOutages(ctx, p.anew); err != nil {
		return err
	}
	for _, server := range p.forget {
		if err := tx.ForgetServer(ctx, server); err != nil {
			return err
		}
	}
	if err := tx.SetOutcomes(ctx, r.operation.Number, outcomes); err != nil {
		return err
	}
	return tx.Confirm(ctx, confirmed)
}

func debtNumbers(debts []store.Debt) []int64 {
	numbers := make([]int64, len(debts))
	for i, debt := range debts {
		numbers[i] = debt.Number
	}
	return numbers
}

// finish has every server keep what is decided, and ends the operation. A
// server that can't be told leaves it open.
func (r *run) finish(ctx context.Context) error {
	r.set.releaseClass(lockServer) // the decision is durable
	var ids []int64
	for _, id := range r.servers() {
		if len(r.stepsOn(id)) > 0 {
			ids = append(ids, id)
		}
	}
	return r.finishOn(ctx, ids, nil)
}

// finishOn is finish for some servers, beside those that were not reached.
func (r *run) finishOn(ctx context.Context, ids []int64, unreached map[int64]error) error {
	keep := question{outgoing{wire.WordKeep, wire.Keep{Operation: r.operation.ID}}, wire.WordKept, "keep"}
	errs := r.on(ids, func(s *session) error {
		ctx, cancel := r.c.endLimit(ctx)
		defer cancel()
		return s.persist(ctx, func() error {
			_, err := s.ask(ctx, r.patience(s.server.ID), keep)
			return err
		})
	})
	r.acceptEnds(errs)
	maps.Copy(errs, unreached)
	r.oweKeep(errs)
	for _, id := range ids {
		if errs[id] == nil && r.outcomes[id] == store.OutcomeOpen {
			r.outcomes[id] = store.OutcomeKept
			r.c.report(Event{Kind: EventServer, Server: r.plan.servers[id].Name, Phase: string(store.OutcomeKept)})
		}
	}
	for _, id := range r.servers() {
		if len(r.stepsOn(id)) == 0 && r.outcomes[id] == "" && errs[id] == nil {
			r.outcomes[id] = store.OutcomeUntouched
		}
	}
	err := r.record(ctx, "done", func(tx *store.Tx) error {
		if len(errs) > 0 {
			r.noteBlocked(ctx, tx)
			return nil
		}
		return tx.MoveOperation(ctx, r.operation.Number, store.Committed, store.Done, "")
	})
	if err == nil && len(errs) == 0 {
		r.operation.State, r.ended = store.Done, true
		return nil
	}
	return r.unfinished(errs, err)
}

// oweKeep has servers with queue routes that were lost after the commit hear
// KEEP before anything else, instead of leaving the operation open. That is
// safe: they were active before the commit, from where they decide nothing
// alone; whatever reaches them next must settle this first, later acts
// included, so that what its claims have guarded can't be overtaken there. Other
// routes promise that a command that succeeds is done everywhere: those stay
// open, and their command ends with 9.
func (r *run) oweKeep(errs map[int64]error) {
	for _, id := range sortedKeys(errs) {
		var lost *lostError
		steps := r.stepsOn(id)
		if !errors.As(errs[id], &lost) || len(steps) == 0 || slices.ContainsFunc(steps, func(s *step) bool { return !s.queue }) {
			continue
		}
		delete(errs, id)
		r.outcomes[id] = store.OutcomeOwing
		r.owing = append(r.owing, id)
		r.noteEnd(id, string(store.OutcomeOwing))
		r.c.report(Event{Kind: EventServer, Server: r.plan.servers[id].Name, Phase: string(store.OutcomeOwing)})
	}
}

// unfinished is the fault of an operation that is decided, but not yet kept
// everywhere.
func (r *run) unfinished(errs map[int64]error, err error) error {
	causes := []error{err}
	for _, id := range sortedKeys(errs) {
		causes = append(causes, errs[id])
	}
	if len(errs) == 0 {
		return fault.New(fault.Unrecovered, "operation %d is done on all servers, but the database could not say so", r.operation.Number).
			Because(err).WithHint("orchestra recover")
	}
	return r.stuck(fault.New(fault.Unrecovered, "operation %d is committed, but %s could not be told to keep it; %s", r.operation.Number, strings.Join(r.serverNames(errs), ", "), r.blockedText()).
		Because(errors.Join(causes...)), errs)
}

// record writes the outcomes on servers, the log, and what end adds, in one
// transaction. It is tried again where the database says that it is busy.
func (r *run) record(ctx context.Context, name string, end func(*store.Tx) error) error {
	phases := r.collect()
	outcomes := map[int64]store.ServerOutcome{}
	for id, outcome := range r.outcomes {
		outcomes[id] = outcome
	}
	err := r.c.update(ctx, r.store, name, func(tx *store.Tx) error {
		if err := tx.AddPhases(ctx, r.operation.Number, phases); err != nil {
			return err
		}
		if err := tx.SetOutcomes(ctx, r.operation.Number, outcomes); err != nil {
			return err
		}
		if err := r.writeOwed(ctx, tx); err != nil {
			return err
		}
		if err := r.writeReached(ctx, tx); err != nil {
			return err
		}
		return end(tx)
	})
	if err == nil {
		r.owing, r.remarked = nil, nil
		return nil
	}
	return fmt.Errorf("writing the end of operation %d: %w", r.operation.Number, err)
}

// persist does what must be done on a server, over a new link where the old
// one is lost.
func (s *session) persist(ctx context.Context, do func() error) error {
	err := do()
	for _, wait := range []time.Duration{0, time.Second} {
		var lost *lostError
		if !errors.As(err, &lost) {
			return err
		}
		if pause(ctx, wait) != nil {
			return err
		}
		if err = s.reopen(ctx); err == nil {
			err = do()
		}
	}
	return err
}

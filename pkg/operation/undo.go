package operation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// undo puts everything back after a failure before the commit and returns the
// fault that tells of both. An operation that is undone only because something
// else has to come first returns its *again.
func (r *run) undo(asked context.Context, cause error) error {
	// What was interrupted must still be put back.
	ctx := context.WithoutCancel(asked)
	cause = interruptedCause(asked, cause)
	if err := r.decideUndo(ctx, cause); err != nil {
		return (&leftError{errors.Join(cause, err)}).fault(r.operation.Number)
	}
	var told []int64
	for _, server := range r.operation.Servers {
		id := server.Server
		switch {
		case r.sessions[id] != nil && r.sessions[id].sent:
			told = append(told, id)
		default:
			r.outcomes[id] = store.OutcomeUntouched
		}
	}
	errs := r.undoOn(ctx, told)
	if err := r.endUndo(ctx, errs); err != nil {
		return fault.New(fault.Unrecovered, "operation %d is undone on all servers, but the database could not say so", r.operation.Number).
			Because(errors.Join(cause, err)).WithHint("orchestra recover")
	}
	if len(errs) > 0 {
		return r.notUndone(cause, errs)
	}
	if len(r.unrestored) > 0 {
		return fault.New(fault.Unrecovered, "operation %d is undone, but for what has no way back: %s", r.operation.Number, strings.Join(r.unrestored, "; ")).
			Because(cause).WithHint("orchestra log show %d", r.operation.Number)
	}
	var once *again
	if errors.As(cause, &once) {
		return once
	}
	return r.failed(cause)
}

// decideUndo marks the operation as undoing before any server is told so: from
// then on nobody may commit it.
func (r *run) decideUndo(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	text := cause.Error()
	for wait := firstPoll; ; wait *= 2 {
		err := r.c.update(ctx, r.store, "undoing", func(tx *store.Tx) error {
			return tx.MoveOperation(ctx, r.operation.Number, store.Running, store.Undoing, text)
		})
		if err == nil || errors.Is(err, store.ErrMoved) && r.isUndoing(ctx) {
			r.operation.State = store.Undoing
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, errCrashed) || errors.Is(err, store.ErrMoved) || pause(ctx, wait) != nil {
			return err
		}
		if _, readErr := r.reopen(ctx); errors.Is(readErr, errCrashed) {
			return readErr
		}
	}
}

// isUndoing tells whether an earlier try, of whose success nothing was heard,
// has marked the operation.
func (r *run) isUndoing(ctx context.Context) bool {
	state, err := r.reopen(ctx)
	return err == nil && state == store.Undoing
}

// undoOn undoes on servers, in reverse waves where anything may be live, all
// at once where nothing is. The errors are by server.
func (r *run) undoOn(ctx context.Context, ids []int64) map[int64]error {
	steps := map[int64]map[int][]string{} // by server and wave
	waves := map[int]bool{}
	first := map[int64]int{} // the wave that a server undoes last
	for _, id := range ids {
		steps[id] = map[int][]string{}
	}
	for _, step := range r.operation.Steps {
		if steps[step.Server] == nil {
			continue
		}
		wave := step.Wave
		if !r.published {
			wave = 0
		}
		steps[step.Server][wave] = append(steps[step.Server][wave], step.Backend)
		waves[wave] = true
		if lowest, known := first[step.Server]; !known || wave < lowest {
			first[step.Server] = wave
		}
	}
	for _, id := range ids { // a server without steps may still have been told something
		if len(steps[id]) == 0 {
			waves[0] = true
			steps[id][0] = nil
		}
	}
	order := sortedKeys(waves)
	slices.Reverse(order)
	errs := map[int64]error{}
	for _, wave := range order {
		var now []int64
		for _, id := range ids {
			if _, has := steps[id][wave]; has && errs[id] == nil {
				now = append(now, id)
			}
		}
		for id, err := range r.on(now, func(s *session) error {
			names := slices.Clone(steps[s.server.ID][wave])
			slices.Reverse(names)
			last := wave == first[s.server.ID]
			err := r.undoSteps(ctx, s, names, last)
			if err == nil && last {
				r.c.report(Event{Kind: EventServer, Server: s.server.Name, Phase: string(store.OutcomeUndone)})
			}
			return err
		}) {
			errs[id] = err
		}
	}
	for _, id := range ids {
		if errs[id] == nil {
			r.outcomes[id] = store.OutcomeUndone
		}
	}
	return errs
}

// undoSteps undoes some of a server's steps, over a new link where the old one
// is lost or says nothing sensible.
func (r *run) undoSteps(ctx context.Context, s *session, names []string, last bool) error {
	ctx, cancel := r.c.endLimit(ctx)
	defer cancel()
	word := wire.Undo{Operation: r.operation.ID, Steps: names, Last: last, PanelID: r.panel, Sequence: r.sequence(s.server.ID)}
	return s.persist(ctx, func() error {
		report, err := s.ask(ctx, r.patience(s.server.ID), question{outgoing{wire.WordUndo, word}, wire.WordUndone, "undo"})
		if err != nil {
			return err
		}
		if last && report.State != wire.StateUndone {
			return &endedError{server: s.server, phase: "undo", state: report.State}
		}
		if report.Failure != nil { // an act without a way back was done already
			r.mutex.Lock()
			r.unrestored = append(r.unrestored, s.server.Name+": "+strings.Join(report.Failure.Unrestored, ", "))
			r.mutex.Unlock()
		}
		return nil
	})
}

// endUndo writes what became of it: the end where all servers have undone. A
// server that may be brought up to date later does not keep it open: it will
// hear of it before anything else.
func (r *run) endUndo(ctx context.Context, errs map[int64]error) error {
	var owing []int64
	for id, err := range errs {
		var lost *lostError
		if r.dropped[id] && errors.As(err, &lost) {
			owing = append(owing, id)
			r.outcomes[id] = store.OutcomeQueued
			delete(errs, id)
		}
	}
	err := r.record(ctx, "undone", func(tx *store.Tx) error {
		// Together with the outcome: whoever ends the operation later does not
		// look at that server any more.
		if err := tx.Owe(ctx, r.operation.Number, owing); err != nil {
			return err
		}
		if len(errs) > 0 {
			r.noteBlocked(ctx, tx)
			return nil
		}
		confirmed := map[int64]int64{}
		for _, server := range r.operation.Servers {
			if r.outcomes[server.Server] == store.OutcomeUndone {
				confirmed[server.Server] = server.Sequence
			}
		}
		if err := tx.Confirm(ctx, confirmed); err != nil {
			return err
		}
		return tx.MoveOperation(ctx, r.operation.Number, store.Undoing, store.Undone, "")
	})
	if err == nil && len(errs) == 0 {
		r.operation.State, r.ended = store.Undone, true
	}
	return err
}

// interruptedCause tells an interruption from a failure: where the context has
// ended, that is the cause of everything else.
func interruptedCause(ctx context.Context, cause error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fault.New(fault.Interrupted, "interrupted")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fault.New(fault.Failed, "the operation took longer than it may").WithHint("orchestra config show operation.timeout")
	}
	return cause
}

// failed is the fault of an operation that is undone everywhere.
func (r *run) failed(cause error) error {
	var told *fault.Error
	var refused *refusedError
	var lost *lostError
	switch {
	case errors.As(cause, &refused):
		told = refused.fault(r.operation.Number)
	case errors.As(cause, &told) && fault.KindOf(cause) != fault.Unreachable:
		if told.Hint.IsZero() {
			told.WithHint("orchestra log show %d", r.operation.Number)
		}
		return cause
	case errors.As(cause, &lost) && lost.sent:
		told = fault.New(fault.Unreachable, "the server %s was lost in phase %s: everything is as it was", lost.server.Name, lost.phase).
			Because(lost.cause).WithHint("orchestra server check %s", lost.server.Name)
	case errors.As(cause, &lost):
		return unreachable(lost.server, lost.cause)
	default:
		return fmt.Errorf("operation %d was undone everywhere: %w", r.operation.Number, cause)
	}
	return told
}

// fault is what a person sees of a backend's failure.
func (e *refusedError) fault(number int64) *fault.Error {
	f := e.failure
	switch f.Code {
	case wire.CodePanel:
		return fault.New(fault.Conflict, "the server %s refuses this database: %s; everything is as it was", e.server.Name, f.Message).
			WithHint("orchestra server adopt %s", e.server.Name)
	case wire.CodeBusy:
		return fault.New(fault.Locked, "the server %s is busy with something else: %s; everything is as it was", e.server.Name, f.Message).
			WithHint("orchestra log show %d", number)
	}
	what := f.Step
	if what == "" { // no backend was at it, but what serves them
		what = "orchestra itself"
	}
	if f.Resource != "" {
		what += " (" + f.Resource + ")"
	}
	told := fault.New(fault.Failed, "%s failed on server %s in phase %s: %s; everything is as it was", what, e.server.Name, f.Phase, f.Message)
	switch f.Code {
	case wire.CodeMissing:
		return told.WithHint("orchestra server check %s", e.server.Name)
	case wire.CodeFull:
		return told.WithHint("free space on %s, where %s shows what is full; then do it again", e.server.Name, "df -h; df -i")
	case wire.CodeTaken:
		return told.WithHint("%s shows what is there; what is left over is taken away by hand, as docs/operations.md says", "orchestra drift --server "+e.server.Name)
	}
	return told.WithHint("orchestra log show %d", number)
}

// notUndone is the fault of an operation that could not be undone everywhere:
// every server that is not as it was is named, with what is not.
func (r *run) notUndone(cause error, errs map[int64]error) error {
	causes := []error{cause}
	for _, id := range sortedKeys(errs) {
		err := errs[id]
		var refused *refusedError
		if errors.As(err, &refused) && len(refused.failure.Unrestored) > 0 {
			err = fmt.Errorf("%s: %s", refused.server.Name, strings.Join(refused.failure.Unrestored, "; "))
		}
		causes = append(causes, err)
	}
	return r.stuck(fault.New(fault.Unrecovered, "operation %d failed and could not be undone on %s; %s", r.operation.Number, strings.Join(r.serverNames(errs), ", "), r.blockedText()).
		Because(errors.Join(causes...)), errs)
}

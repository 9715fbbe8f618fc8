package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"orchestra/pkg/wire"
)

// undo puts steps back.
func (s *session) undo(ctx context.Context, word wire.Undo) error {
	ctx = context.WithoutCancel(ctx) // once begun it is done, whatever the panel does
	started := s.machine.clock.Now()
	o, err := s.find(ctx, word.Operation)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		o, err = s.bury(ctx, word)
		if err != nil && s.refused[word.Operation] && !isConflict(err) && !errors.Is(err, ErrDead) {
			o, err = newOperation(s.machine, word.Operation), nil
			o.state = wire.StateUndone
		}
	case err == nil && o.state == wire.StateKept:
		// The end, and the same answer for ever.
		return s.answer(wire.WordKept, "keep", o, started, s.finishKept(ctx, o))
	case err == nil && o.state != wire.StateUndone && len(word.Steps) > 0 && !word.Last:
		err = s.undoSteps(ctx, o, word.Steps)
	case err == nil:
		err = s.undoAll(ctx, o)
	}
	if o != s.operation {
		err = errors.Join(err, s.cleanUp(ctx))
	}
	return s.answer(wire.WordUndone, "undo", o, started, err)
}

// find returns an operation: of this session, or from the disk, which this
// session then takes over; one that has ended only has its state. fs.ErrNotExist
// where nothing is known of it.
func (s *session) find(ctx context.Context, id string) (*operation, error) {
	if s.operation != nil && s.operation.id == id {
		return s.operation, nil
	}
	if err := checkOperation(id); err != nil {
		return nil, err
	}
	m := s.machine
	o := newOperation(m, id)
	if ended, err := m.tombstone(id); err == nil {
		// A directory may be left, by a crash between the two.
		_ = m.removeAll(m.path(directoryOut, id))
		o.state = ended.State
		return o, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	h, err := m.history(id)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := m.disk.Stat(m.path(directoryOut, id)); err != nil {
			// Whoever had it may have ended it between the two looks.
			ended, err := m.tombstone(id)
			o.state = ended.State
			return o, err
		}
		// Its directory was made, and lost what was in it: nothing else was made yet.
		h = history{State: wire.StateStaging, torn: true}
		err = m.disk.Create(m.path(directoryOut, id, fileState), nil, rootFile)
	}
	if err != nil {
		return nil, err
	}
	o.history, o.state = h, h.State
	if o.state == wire.StateNone {
		o.state = wire.StateStaging
	}
	err = s.takeOver(ctx, o)
	if errors.Is(err, errEnded) {
		return o, nil
	}
	if err != nil {
		return o, err
	}
	return o, o.readPlan()
}

var errEnded = errors.New("the operation has ended meanwhile")

// takeOver makes this session the one that works on an operation: the former
// runner is killed first, since a free lock proves nothing while a child lives.
func (s *session) takeOver(ctx context.Context, o *operation) error {
	self := s.machine.runner.Self()
	former := o.history.Runner
	if former != nil && *former != self {
		limited, cancel := s.withDeadline(ctx)
		err := s.machine.runner.Kill(limited, *former)
		cancel()
		if err != nil {
			return fail(wire.CodeBusy, "", "process %d, which works on the operation, does not end", former.PID).because(err)
		}
	}
	if err := s.takeLock(ctx, recoveryWait); err != nil {
		return err
	}
	// What it wrote last is only known now; it may even have ended the operation.
	if ended, err := s.machine.tombstone(o.id); err == nil {
		o.state = ended.State
		return errEnded
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	h, err := s.machine.history(o.id)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && h.State != wire.StateNone {
		o.history, o.state = h, h.State
	}
	return o.say(stateLine{Runner: &self})
}

// withDeadline ends a context after recoveryWait of the machine's clock.
func (s *session) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	limited, cancel := context.WithCancel(ctx)
	expired := s.machine.clock.After(recoveryWait)
	go func() {
		select {
		case <-expired:
			cancel()
		case <-limited.Done():
		}
	}()
	return limited, cancel
}

// bury writes the tombstone of an operation that is not known here, so that a
// STAGE that arrives late is refused.
func (s *session) bury(ctx context.Context, word wire.Undo) (*operation, error) {
	m := s.machine
	last, err := m.checkPanel(word.PanelID)
	if err != nil {
		return nil, during("adopt", err)
	}
	if err := m.prepare(); err != nil {
		return nil, err
	}
	self := m.runner.Self()
	var unsynced []string
	err = m.withReserve(func() (err error) {
		unsynced, err = m.records.begin(word.Operation, stateLine{
			State: wire.StateUndone, Operation: word.Operation, PanelID: word.PanelID, Sequence: word.Sequence, Runner: &self,
		})
		return err
	})
	if errors.Is(err, fs.ErrExist) {
		// Its STAGE arrived at this very moment.
		o, err := s.find(ctx, word.Operation)
		if err == nil {
			err = s.undoAll(ctx, o)
		}
		return o, err
	}
	if ended, known := m.tombstone(word.Operation); err == nil && known == nil {
		o := newOperation(m, word.Operation)
		o.state = ended.State
		return o, m.removeAll(m.path(directoryOut, word.Operation))
	}
	if err == nil {
		var more []string
		more, err = m.setPanel(panelLine{PanelID: word.PanelID, Sequence: max(last.Sequence, word.Sequence)})
		unsynced = append(unsynced, more...)
	}
	if err == nil {
		err = m.disk.Sync(unsynced...)
	}
	if err != nil {
		return nil, fail(wire.CodeInternal, m.path(directoryOut), "the operation can't be recorded").because(err)
	}
	o := newOperation(m, word.Operation)
	o.state = wire.StateUndone
	return o, m.end(word.Operation)
}

func (s *session) undoSteps(ctx context.Context, o *operation, names []string) error {
	if o.state == wire.StateStaging || o.state == wire.StateStaged {
		return nil // nothing of it is live
	}
	if _, err := o.named(names); err != nil {
		return err
	}
	return unrestored(o.undoSteps(ctx, names))
}

// undoSteps puts steps back, in the order given. It puts back all that it can,
// and returns a problem for the rest.
func (o *operation) undoSteps(ctx context.Context, names []string) []error {
	var failed []error
	for _, name := range names {
		for _, err := range o.undoStep(ctx, o.step(name)) {
			failed = append(failed, inStep(name, err))
		}
	}
	if err := o.flush(); err != nil {
		failed = append(failed, fail(wire.CodeInternal, "", "what was undone can't be made durable").because(err))
	}
	return failed
}

func (o *operation) undoStep(ctx context.Context, s *step) []error {
	var failed []error
	for _, k := range slices.Backward(o.allKinds) {
		if changing := s.byKind(k, o.mayBeLive); len(changing) > 0 {
			failed = append(failed, k.undo(ctx, o, changing)...)
		}
	}
	return failed
}

// mayBeLive tells whether a resource is to be looked at by undo. What this
// session has not come to is not its own, whatever is there now.
func (o *operation) mayBeLive(r *resource) bool { return r.changes() && (r.reached || !o.staged) }

// unrestored joins what could not be put back into one problem that names all of it.
func unrestored(failed []error) error {
	var all []error
	for _, err := range failed {
		all = append(all, flatten(err)...)
	}
	if len(all) == 0 {
		return nil
	}
	whole := &problem{message: fmt.Sprintf("%d could not be put back", len(all)), cause: all[0]}
	pivots := 0
	for _, err := range all {
		if errors.Is(err, ErrDead) {
			return err
		}
		var p *problem
		var pivot *pivotError
		switch {
		case errors.As(err, &pivot):
			whole.unrestored = append(whole.unrestored, pivot.Error())
			pivots++
		case errors.As(err, &p):
			whole.unrestored = append(whole.unrestored, p.Error())
			if whole.code == "" {
				whole.code = p.code
			}
			whole.output, whole.timeout = whole.output+p.output, whole.timeout || p.timeout
		default:
			whole.unrestored = append(whole.unrestored, err.Error())
		}
	}
	switch {
	case pivots == len(all):
		whole.code = wire.CodePivot
	case whole.code == "":
		whole.code = wire.CodeInternal
	}
	return whole
}

// flatten returns the errors that were joined into err.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	var step *stepError
	if errors.As(err, &step) && err == error(step) {
		var all []error
		for _, inner := range flatten(step.err) {
			all = append(all, inStep(step.step, inner))
		}
		return all
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, inner := range joined.Unwrap() {
			all = append(all, flatten(inner)...)
		}
		return all
	}
	return []error{err}
}

// undoAll puts the whole operation back and ends it.
func (s *session) undoAll(ctx context.Context, o *operation) error {
	switch o.state {
	case wire.StateUndone:
		return s.finish(o)
	case wire.StatePublishing, wire.StateActivating:
		var names []string
		for _, step := range slices.Backward(o.steps) {
			names = append(names, step.Name)
		}
		failed := o.undoSteps(ctx, names)
		if len(failed) == 0 || onlyPivots(unrestored(failed)) {
			failed = append(failed, o.reloadBack(ctx)...)
		}
		err := unrestored(failed)
		if err != nil && !onlyPivots(err) {
			return err
		}
		if err := o.rememberNewer(); err != nil {
			return err
		}
		if end := o.say(stateLine{State: wire.StateUndone}); end != nil {
			return end
		}
		return errors.Join(err, s.finish(o))
	}
	if err := o.say(stateLine{State: wire.StateUndone}); err != nil {
		return err
	}
	return s.finish(o)
}

func onlyPivots(err error) bool {
	p, ok := err.(*problem)
	return ok && p.code == wire.CodePivot
}

// reloadBack tells the daemons that were told of the new content about the old:
// units where we told them, and what is refreshed in any case, since a daemon
// that was started between publishing and now has read the new content by itself.
func (o *operation) reloadBack(ctx context.Context) []error {
	var failed []error
	for _, unit := range o.history.Units {
		if err := o.reload(ctx, unit, true); err != nil {
			failed = append(failed, err)
		}
	}
	return append(failed, o.refreshBack(ctx)...)
}

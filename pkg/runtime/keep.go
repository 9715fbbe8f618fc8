package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"orchestra/pkg/wire"
)

// keep ends an operation with its new content. Later acts that do not succeed
// leave it open, in state kept: the panel says KEEP again.
func (s *session) keep(ctx context.Context, word wire.Keep) error {
	ctx = context.WithoutCancel(ctx)
	started := s.machine.clock.Now()
	o, err := s.find(ctx, word.Operation)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fail(wire.CodeOrder, "", "nothing is known here of operation %s", printable(word.Operation))
	case err != nil:
	case o == s.operation && s.failed && o.state != wire.StateKept:
		err = fail(wire.CodeOrder, "", "the operation has failed: it can only be undone")
	case o.state == wire.StateUndone:
		// The end, and the same answer for ever.
		return s.answer(wire.WordUndone, "undo", o, started, s.finish(o))
	case o.state == wire.StateActivating:
		if err = o.say(stateLine{State: wire.StateKept}); err == nil {
			err = s.finishKept(ctx, o)
		}
	case o.state == wire.StateKept:
		err = s.finishKept(ctx, o)
	default:
		err = fail(wire.CodeOrder, "", "the operation is %s, not %s", o.state, wire.StateActivating)
	}
	if o != s.operation {
		err = errors.Join(err, s.cleanUp(ctx))
	}
	return s.answer(wire.WordKept, "keep", o, started, err)
}

// finishKept does the later acts, remembers what is kept, and cleans up.
func (s *session) finishKept(ctx context.Context, o *operation) error {
	if _, err := s.machine.disk.Stat(o.path(fileState)); errors.Is(err, fs.ErrNotExist) {
		return s.finish(o) // all of this was done
	}
	if err := o.later(ctx); err != nil {
		return err
	}
	err := s.machine.withReserve(func() error { return newRegistry(s.machine.records).put(o.registered()) })
	if err == nil {
		err = s.machine.withReserve(o.logTrash)
	}
	if err == nil {
		err = s.machine.withReserve(o.recordParked)
	}
	if err != nil {
		return fail(wire.CodeInternal, s.machine.path(directoryReg), "what is kept can't be recorded").because(err)
	}
	return s.finish(o)
}

// laterAttempts is how often a later act is tried before the panel is told.
const laterAttempts = 3

// later does the acts that come after the commit: whatever staging saw, since what
// they are about may have come up meanwhile.
func (o *operation) later(ctx context.Context) error {
	for _, s := range o.steps {
		// All of them, also where staging saw nothing to do: a session may have been
		// opened since.
		due := ofClass(s.byKind(namedKind{names: []string{kindAct}}, func(*resource) bool { return true }), classLater)
		if len(due) == 0 {
			continue
		}
		var err error
		for attempt := range laterAttempts {
			if attempt > 0 {
				<-o.machine.clock.After(time.Duration(attempt) * time.Second)
			}
			if err = o.do(ctx, due, false); err == nil || errors.Is(err, ErrDead) {
				break
			}
		}
		if err != nil {
			return inStep(s.Name, err)
		}
	}
	return nil
}

// registered returns what the registry is to remember.
func (o *operation) registered() []registryEntry {
	var entries []registryEntry
	for _, s := range o.steps {
		for _, r := range s.Resources {
			if r.Kind == kindPark || r.parks() || r.Kind == kindAct && r.Act.Class == classLater {
				continue // nothing that could be found there again
			}
			entry := registryEntry{Key: r.key(), Step: s.keeper(), Object: r.Object, Secret: r.Secret}
			if r.After != nil {
				entry.Digest = o.kindOf(r).digest(r, r.After)
			} else {
				entry.Step, entry.Object, entry.Secret = "", "", false
			}
			entries = append(entries, entry)
		}
	}
	return entries
}

// finish removes all that an ended operation left, and leaves its tombstone.
func (s *session) finish(o *operation) error {
	if _, err := s.machine.disk.Stat(s.machine.path(directoryOut, o.id)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := o.sweep()
	if err == nil {
		err = s.machine.withReserve(func() error { return s.machine.end(o.id) })
	}
	if err != nil {
		return fail(wire.CodeInternal, "", "what the operation left can't be removed").because(err)
	}
	if s.operation == nil || s.operation == o || !s.operation.live() {
		s.dropLock()
	}
	return nil
}

// live tells whether something of the operation may be live and not decided.
func (o *operation) live() bool {
	return o.state == wire.StatePublishing || o.state == wire.StateActivating
}

// sweep removes what staging made, durably.
func (o *operation) sweep() error {
	for _, s := range o.steps {
		for _, k := range o.allKinds {
			if changing := s.byKind(k, (*resource).changes); len(changing) > 0 {
				if err := k.sweep(o, changing); err != nil {
					return fmt.Errorf("%s: %w", s.Name, err)
				}
			}
		}
	}
	return o.flush()
}

// cleanUp ends operations whose end was decided, but whose session died before
// it had cleaned up. What a panel has to decide stays.
func (s *session) cleanUp(ctx context.Context) error {
	s.machine.clearNew(s.machine.runner)
	ids, err := s.machine.open()
	if err != nil || len(ids) == 0 || s.lock != nil {
		return err
	}
	if err := s.takeLock(ctx, 0); err != nil {
		return nil // whoever is at work here can do it as well
	}
	defer s.dropLock()
	for _, id := range ids {
		if s.operation != nil && s.operation.id == id {
			continue
		}
		// What can't be cleaned up now is tried again by a later session.
		if err := s.cleanUpOne(ctx, id); errors.Is(err, ErrDead) {
			return err
		}
	}
	return nil
}

func (s *session) cleanUpOne(ctx context.Context, id string) error {
	h, err := s.machine.history(id)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := s.machine.tombstone(id); err == nil {
			return s.machine.removeAll(s.machine.path(directoryOut, id))
		}
		return nil
	}
	if err != nil || h.State != wire.StateKept && h.State != wire.StateUndone {
		return err
	}
	if h.Runner != nil && s.machine.runner.Lives(*h.Runner) {
		return nil
	}
	o, err := s.find(ctx, id)
	switch {
	case err != nil:
		return err
	case o.state == wire.StateUndone:
		return s.finish(o)
	case o.hasLater():
		return nil
	}
	return s.finishKept(ctx, o)
}

func (o *operation) hasLater() bool {
	return slices.ContainsFunc(o.steps, func(s *step) bool { return len(s.later()) > 0 })
}

// later returns the step's acts that come after the commit.
func (s *step) later() []*resource {
	acts := s.byKind(namedKind{names: []string{kindAct}}, func(*resource) bool { return true })
	return ofClass(acts, classLater)
}

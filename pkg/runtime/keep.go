package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	case o.state == wire.StateActivating:
		if err = o.say(stateLine{State: wire.StateKept}); err == nil {
			err = s.finishKept(ctx, o)
		}
	case o.state == wire.StateKept:
		err = s.finishKept(ctx, o)
	default:
		err = fail(wire.CodeOrder, "", "the operation is %s, not %s", o.state, wire.StateActivating)
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
	if err := newRegistry(s.machine.records).put(o.registered()); err != nil {
		return fail(wire.CodeInternal, s.machine.path(directoryReg), "what is kept can't be recorded").because(err)
	}
	return s.finish(o)
}

// laterAttempts is how often a later act is tried before the panel is told.
const laterAttempts = 3

// later does the acts that come after the commit.
func (o *operation) later(ctx context.Context) error {
	for _, s := range o.steps {
		due := ofClass(s.byKind(namedKind{names: []string{kindAct}}, (*resource).changes), classLater)
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
			if r.Kind == kindPark {
				continue
			}
			entry := registryEntry{Key: r.key(), Step: s.Name, Object: r.Object}
			if r.After != nil {
				entry.Digest = o.kindOf(r).digest(r, r.After)
			} else {
				entry.Step, entry.Object = "", ""
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
		err = s.machine.end(o.id)
	}
	if err != nil {
		return fail(wire.CodeInternal, "", "what the operation left can't be removed").because(err)
	}
	if s.operation == o {
		s.dropLock()
	}
	return nil
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
	ids, err := s.machine.open()
	if err != nil {
		return err
	}
	for _, id := range ids {
		h, err := s.machine.history(id)
		if err != nil || h.State != wire.StateKept && h.State != wire.StateUndone {
			continue
		}
		if h.Runner != nil && s.machine.runner.Lives(*h.Runner) {
			continue
		}
		o, err := s.find(ctx, id)
		if err != nil {
			return err
		}
		if o.state == wire.StateKept && o.hasLater() {
			continue
		}
		if o.state == wire.StateKept {
			err = s.finishKept(ctx, o)
		} else {
			err = s.finish(o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *operation) hasLater() bool {
	for _, s := range o.steps {
		if len(ofClass(s.byKind(namedKind{names: []string{kindAct}}, (*resource).changes), classLater)) > 0 {
			return true
		}
	}
	return false
}

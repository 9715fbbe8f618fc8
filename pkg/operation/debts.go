package operation

import (
	"context"
	"errors"
	"slices"

	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// settle tells a server the end of an operation that it has missed. Whichever
// end it answers is its answer for ever, and settles it: what is then not as
// the rows say has dirty marks.
func (r *run) settle(ctx context.Context, s *session, debt store.Debt) error {
	patience := r.patience(s.server.ID)
	if debt.Keep {
		keep := question{outgoing{wire.WordKeep, wire.Keep{Operation: debt.ID}}, wire.WordKept, "keep"}
		_, err := s.ask(ctx, patience, keep)
		var refused *refusedError
		if !errors.As(err, &refused) || refused.state == wire.StateActivating || refused.state == wire.StateKept {
			return settled(err)
		}
		// It knows nothing of it any more, or was never that far: then it must not come up again.
	}
	undo := question{outgoing{wire.WordUndo, wire.Undo{
		Operation: debt.ID, Last: true, PanelID: r.panel, Sequence: debt.Sequence,
	}}, wire.WordUndone, "undo"}
	_, err := s.ask(ctx, patience, undo)
	return settled(err)
}

func settled(err error) error {
	var ended *endedError
	if errors.As(err, &ended) && ended.final() {
		return nil
	}
	return err
}

// others are open operations that concern the same as ours.
type others struct {
	dead  []string // ids of those whose runner is gone
	alive []store.Operation
}

// concerning returns those of open, other than this one, that hold claims,
// accounts or servers that are needed.
func (r *run) concerning(open []store.Operation, accounts map[int64]bool, servers []int64, claimed map[int64]store.Claim) (others, error) {
	var found others
	for _, other := range open {
		_, claims := claimed[other.Number]
		if other.ID == r.operation.ID || !claims && !concerns(other, accounts, servers) {
			continue
		}
		dead, err := r.set.locks.dead(other.ID)
		if err != nil {
			return found, err
		}
		if dead {
			found.dead = append(found.dead, other.ID)
		} else {
			found.alive = append(found.alive, other)
		}
	}
	return found, nil
}

// concerns tells whether an open operation holds accounts or servers that are needed.
func concerns(other store.Operation, accounts map[int64]bool, servers []int64) bool {
	for _, held := range other.Accounts {
		if alone, needed := accounts[held.Account]; needed && (alone || !held.Shared) {
			return true
		}
	}
	for _, held := range other.Servers {
		if held.Outcome == store.OutcomeOpen && slices.Contains(servers, held.Server) {
			return true
		}
	}
	return false
}

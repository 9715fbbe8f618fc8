package cli

import (
	"context"

	"orchestra/pkg/message"
	"orchestra/pkg/store"
)

// interruptedState is what people are shown instead of running, of an operation that
// nobody runs any more. Programs are told the state as it is journaled.
const interruptedState = "interrupted"

// interrupted returns the operations that have not ended and that nobody runs any more.
func (a *app) interrupted(ctx context.Context) ([]store.Operation, error) {
	coordinator, err := a.openCoordinator(ctx, nil)
	if err != nil {
		return nil, err
	}
	return coordinator.Interrupted(ctx)
}

// markInterrupted names the state of those operations that nobody runs any more.
func (a *app) markInterrupted(ctx context.Context, operations []store.Operation) error {
	var running []*store.Operation
	for i := range operations {
		if operations[i].State == store.Running {
			running = append(running, &operations[i])
		}
	}
	if len(running) == 0 {
		return nil
	}
	dead, err := a.interrupted(ctx)
	for _, one := range dead {
		for _, o := range running {
			if o.ID == one.ID {
				o.State = interruptedState
			}
		}
	}
	return err
}

// unended says of an operation that nobody runs any more what is to be done.
func unended(o store.Operation) message.Text {
	if o.State == store.Committed {
		return message.New("interrupted after it was decided, and not yet told to all servers; what it concerns is blocked: %s", "orchestra recover")
	}
	return message.New("interrupted, and not yet undone everywhere; what it concerns is blocked: %s", "orchestra recover")
}

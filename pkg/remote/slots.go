package remote

import (
	"context"
	"sync"
)

// slots bounds how many processes run over one connection at once.
type slots chan struct{}

func newSlots(count int) slots { return make(slots, count) }

// acquire waits for a free slot and returns what gives it back, which may be
// called more than once.
func (s slots) acquire(ctx context.Context) (release func(), err error) {
	select {
	case s <- struct{}{}:
		return sync.OnceFunc(func() { <-s }), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

package operation

import (
	"context"
	"errors"
	"slices"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/remote"
	"orchestra/pkg/store"
)

// A server that does not answer costs an operation the time of a connection,
// again and again, although it could leave what concerns the server for later at once.
// So the database remembers since when a server has been out of reach: for a
// while, operations whose steps there can all wait do not try it. It grows with
// the outage. Whatever answers ends it; whoever can't wait, or is there to bring
// servers back, tries in any case.

// longestRest is how much longer than the setting ssh.retry_after a rest gets.
const longestRest = 5

// briefTimeout is how long one that rested is waited for. One that is back answers in
// much less; one that is not would be waited for by everybody once a rest.
const briefTimeout = 3 * time.Second

// rest says how long an outage lasts, and how long the server is left alone yet.
type rest struct{ lasts, left time.Duration }

// restOf tells whether a server is left alone now. A time in the future is one
// of a clock that was set back, and counts for nothing.
func restOf(outage store.Outage, now time.Time, after time.Duration) (rest, bool) {
	length := min(max(outage.Tried.Sub(outage.Since), after), longestRest*after)
	left := outage.Tried.Add(length).Sub(now)
	if outage.Tried.After(now) || left <= 0 {
		return rest{}, false
	}
	return rest{lasts: max(now.Sub(outage.Since), 0), left: left}, true
}

// rest finds the servers of a plan that are left alone.
func (r *run) rest(ctx context.Context, tx *store.Tx, p *plan) error {
	var err error
	if r.outages, err = tx.Outages(ctx); err != nil || !r.job.rests {
		return err
	}
	now := time.Now()
	for id, outage := range r.outages {
		if slices.Contains(p.anew, id) {
			delete(r.outages, id) // it may be there, where it is looked for now
			continue
		}
		if rest, resting := restOf(outage, now, r.c.options.Settings.SSH.RetryAfter); resting && r.canWait(p, id) {
			r.resting[id] = rest
		}
	}
	return nil
}

// canWait tells whether all that a plan wants of a server may be left for later.
func (r *run) canWait(p *plan, server int64) bool {
	return !slices.ContainsFunc(p.steps, func(s *step) bool { return s.server == server && !s.canWait() })
}

// leaveAlone has a preview not ask the servers that are left alone.
func (r *run) leaveAlone() {
	for id := range r.resting {
		if len(r.stepsOn(id)) > 0 {
			s := r.session(id)
			s.closed = &lostError{server: s.server, phase: "connect", cause: errResting}
		}
	}
}

var errResting = errors.New("it was out of reach a short while ago")

// briefly is connect with a shorter timeout.
func briefly(connect func(context.Context, Server) (remote.Transport, error)) func(context.Context, Server) (remote.Transport, error) {
	return func(ctx context.Context, server Server) (remote.Transport, error) {
		ctx, cancel := context.WithTimeout(ctx, briefTimeout)
		defer cancel()
		return connect(ctx, server)
	}
}

// answer is what was seen of a server.
type answer int

const (
	noAnswerYet answer = iota
	hasAnswered
	hasNotAnswered
)

// writeReached writes which servers have answered and which have not, as
// collect has found it.
func (r *run) writeReached(ctx context.Context, tx *store.Tx) error {
	var answered, silent []int64
	for _, id := range sortedKeys(r.reached) {
		if r.reached[id] {
			answered = append(answered, id)
		} else {
			silent = append(silent, id)
		}
	}
	if err := tx.EndOutages(ctx, answered); err != nil {
		return err
	}
	return tx.BeginOutages(ctx, silent, time.Now())
}

// noteReached writes what came of a try to reach a server outside an operation.
// It is for the speed of later ones only: where it can't be written they try again.
func (c *Coordinator) noteReached(ctx context.Context, server int64, err error) {
	var lost *lostError
	silent := errors.As(err, &lost) || fault.Is(err, fault.Unreachable)
	if ctx.Err() != nil {
		return
	}
	known := false
	_ = c.view(ctx, c.options.Store, func(tx *store.Tx) error {
		outages, err := tx.Outages(ctx)
		_, known = outages[server]
		return err
	})
	if !silent && !known {
		return
	}
	_ = c.update(ctx, c.options.Store, "reached", func(tx *store.Tx) error {
		if silent {
			return tx.BeginOutages(ctx, []int64{server}, time.Now())
		}
		return tx.EndOutages(ctx, []int64{server})
	})
}

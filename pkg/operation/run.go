package operation

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// job is what one operation is to do: a request, or something that the
// coordinator does by itself.
type job struct {
	kind    string // change, setup, converge or adopt
	request Request
	// plan computes what is to be done, on the state that the transaction sees.
	// It may be called several times.
	plan func(context.Context, *store.Tx, *lockSet) (*plan, error)
	// wants are locks to begin with.
	wants []lockWant
	// converged are servers whose dirty marks were looked after already,
	// unreached those that were found out of reach: they are not tried again.
	converged map[int64]bool
	unreached map[int64]error
	// rests says that servers are left alone which were found out of reach a short
	// while ago, where all that concerns them may be left for later.
	rests bool
	// briefly are servers to converge that need not be waited for long.
	briefly map[int64]bool
	// brought is filled with what converging a server came to; nil for nobody.
	brought *Brought
}

// again says that an operation has to begin once more, nothing having been
// done: with further locks, or after something else has been ended.
type again struct {
	wants    []lockWant
	dead     []string // operations without a runner
	converge []int64  // servers that have something pending
}

func (*again) Error() string { return "the operation must begin again" }

// errNothing rolls back a transaction that has nothing to write.
var errNothing = errors.New("there is nothing to do")

// attempts bound how often an operation begins: each time for a reason that
// the time before has removed.
const attempts = 12

// Run plans and does what is requested, on all servers or on none. The outcome
// is there also beside an error, as far as it is known.
func (c *Coordinator) Run(ctx context.Context, request Request) (*Outcome, error) {
	outcome, err := c.do(ctx, &job{
		kind: "change", request: request, rests: true,
		plan: func(ctx context.Context, tx *store.Tx, _ *lockSet) (*plan, error) {
			p, err := c.plan(ctx, tx, request.Mutate)
			if err != nil || !request.Cautious {
				return p, err
			}
			if takes := p.takesAway(); takes != nil {
				return nil, takes
			}
			return p, nil
		},
	})
	if err == nil && len(outcome.enabled) > 0 {
		outcome.Brought = c.bringBack(ctx, request, outcome.enabled)
	}
	return outcome, err
}

// do runs a job, as often as it has to begin again.
func (c *Coordinator) do(ctx context.Context, j *job) (*Outcome, error) {
	began := time.Now()
	if j.converged == nil {
		j.converged = map[int64]bool{}
	}
	if j.unreached == nil {
		j.unreached = map[int64]error{}
	}
	if j.briefly == nil {
		j.briefly = map[int64]bool{}
	}
	if len(j.wants) == 0 {
		j.wants = []lockWant{world}
	}
	grown := 0
	for range attempts {
		outcome, err := c.attempt(ctx, j)
		if outcome != nil {
			outcome.Duration = time.Since(began)
		}
		var once *again
		if !errors.As(err, &once) {
			return outcome, err
		}
		if len(once.wants) > 0 {
			if grown++; grown >= 2 {
				// The third time nobody else may change what it depends on.
				j.wants = []lockWant{worldAlone}
			} else {
				j.wants = append(j.wants, once.wants...)
			}
		}
		for _, id := range once.dead {
			if err := c.recoverFirst(ctx, id); err != nil {
				return nil, err
			}
		}
		for _, server := range once.converge {
			if err := c.converge(ctx, server, j); err != nil {
				return nil, err
			}
		}
	}
	return nil, fault.New(fault.Locked, "others kept changing what this needs: nothing was begun").WithHint("orchestra lock")
}

// recoverFirst ends a dead operation that stands in the way.
func (c *Coordinator) recoverFirst(ctx context.Context, id string) error {
	recovered, err := c.recover(ctx, id)
	if err != nil {
		return err
	}
	if recovered.Alive { // somebody else is at it
		return pause(ctx, firstPoll)
	}
	if recovered.Err != nil {
		return fault.New(fault.Unrecovered, "operation %d must be ended first", recovered.Number).
			Because(recovered.Err).WithHint("orchestra recover")
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// run is one operation from its begin to its end.
type run struct {
	c         *Coordinator
	job       *job
	store     *store.Store
	set       *lockSet
	plan      *plan
	operation store.Operation
	panel     string
	counters  map[string]int64 // that the servers are to remember
	states    map[int64]store.ServerState

	stopDialing context.CancelFunc

	mutex    sync.Mutex
	sessions map[int64]*session
	// dropped are servers out of reach whose routes leave a mark.
	dropped map[int64]bool
	// outages are servers that were out of reach before, resting those of them
	// that are left alone.
	outages map[int64]store.Outage
	resting map[int64]rest
	// reached are servers that have answered, or have not, since it was last written.
	reached map[int64]bool
	// owing are servers that must hear its end before anything else, remarked
	// those that are to be converged from the rows: written with the outcomes.
	owing, remarked []int64
	// unrestored is what an undo could not take back: acts without a way back.
	unrestored []string
	// blocked are accounts that it keeps from others while it stays open.
	blocked []string
	// outcomes of servers whose part has ended.
	outcomes map[int64]store.ServerOutcome
	phases   []store.Phase // of the panel
	log      []store.Phase // all that has been journaled
	// published says that some server may have been told to publish.
	published bool
	// recovering says that its runner is another one than began it.
	recovering bool
	ended      bool // it has come to its end, or was never journaled
}

func (c *Coordinator) newRun(j *job) *run {
	return &run{
		c: c, job: j, store: c.options.Store, states: map[int64]store.ServerState{},
		sessions: map[int64]*session{}, dropped: map[int64]bool{}, outcomes: map[int64]store.ServerOutcome{},
		resting: map[int64]rest{}, reached: map[int64]bool{},
	}
}

// attempt begins an operation and, where nothing is in its way, runs it.
func (c *Coordinator) attempt(ctx context.Context, j *job) (*Outcome, error) {
	locks, err := c.locks()
	if err != nil {
		return nil, err
	}
	r := c.newRun(j)
	r.operation = store.Operation{
		ID: store.NewOperationID(), Kind: j.kind, Actor: j.request.Actor, Command: j.request.Command, Lines: j.request.Lines, Reason: j.request.Reason,
	}
	if r.set, err = locks.begin(r.operation.ID, j.request.Command); err != nil {
		return nil, err
	}
	if r.set == nil {
		return nil, fault.New(fault.Internal, "the lock of a new operation is held")
	}
	r.set.waiting = c.tellWaiting
	defer r.close()
	if err := r.set.take(ctx, c.wait(j.request), j.wants...); err != nil {
		r.ended = true
		return nil, interrupted(ctx, err)
	}
	if err := r.begin(ctx); err != nil {
		if errors.Is(err, errNothing) {
			r.ended = true
			return r.outcome(), nil
		}
		if err := r.notBegun(err); err != nil {
			return nil, interrupted(ctx, err)
		}
	}
	if r.operation.State.Ended() {
		r.ended = true
		return r.outcome(), nil
	}
	err = r.execute(ctx)
	return r.outcome(), err
}

// close gives up what the run holds.
func (r *run) close() {
	if r.stopDialing != nil {
		r.stopDialing()
	}
	for _, s := range r.sessions {
		s.close()
	}
	r.set.close(r.ended)
	r.closeReopened()
}

// outcome tells what became of the operation so far.
func (r *run) outcome() *Outcome {
	o := &Outcome{Number: r.operation.Number, ID: r.operation.ID, State: r.operation.State}
	if r.plan != nil {
		o.Changes, o.Warnings, o.enabled = r.plan.changes, r.owedWarnings(), r.plan.enabled
	}
	r.collect()
	for _, server := range r.operation.Servers {
		one := ServerOutcome{Server: server.Name, Outcome: r.outcomes[server.Server], Dirty: r.owes(server.Server)}
		if s := r.sessions[server.Server]; s != nil {
			one.Changed = s.changed
		}
		for _, phase := range r.log {
			if phase.Server == server.Server {
				one.Phases = append(one.Phases, phase)
			}
		}
		o.Servers = append(o.Servers, one)
	}
	return o
}

// collect moves what the sessions have logged to the run's log and returns what is new.
func (r *run) collect() []store.Phase {
	fresh := r.phases
	r.phases = nil
	for _, id := range sortedKeys(r.sessions) {
		phases, answer := r.sessions[id].told()
		fresh = append(fresh, phases...)
		if answer != noAnswerYet {
			r.reached[id] = answer == hasAnswered
		}
	}
	slices.SortStableFunc(fresh, func(a, b store.Phase) int { return a.Started.Compare(b.Started) })
	r.log = append(r.log, fresh...)
	return fresh
}

// servers returns the servers of the operation that are still taking part.
func (r *run) servers() []int64 {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var ids []int64
	for _, server := range r.operation.Servers {
		if !r.dropped[server.Server] {
			ids = append(ids, server.Server)
		}
	}
	return ids
}

// session returns the conversation with a server, begun or not.
func (r *run) session(id int64) *session {
	if s := r.sessions[id]; s != nil {
		return s
	}
	s := newSession(r.c, r.plan.servers[id])
	for _, step := range r.stepsOn(id) {
		s.steps[step.backend.Name] = true
	}
	_, out := r.outages[id]
	s.brief = out && r.job.rests && r.canWait(r.plan, id)
	if !r.c.whomever {
		s.check = func(ctx context.Context, hello wire.Hello) error { return r.checkHello(ctx, s, hello) }
	}
	r.sessions[id] = s
	return s
}

// on runs do for each server at the same time and returns the errors by server.
func (r *run) on(ids []int64, do func(*session) error) map[int64]error {
	sessions := make([]*session, len(ids))
	for i, id := range ids {
		sessions[i] = r.session(id)
	}
	failed := make([]error, len(ids))
	var group sync.WaitGroup
	for i, s := range sessions {
		group.Go(func() { failed[i] = do(s) })
	}
	group.Wait()
	errs := map[int64]error{}
	for i, id := range ids {
		if failed[i] != nil {
			errs[id] = failed[i]
		}
	}
	return errs
}

// interrupted turns the end of a context into the fault that a person sees.
func interrupted(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return fault.New(fault.Interrupted, "interrupted: nothing was changed")
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		return fault.New(fault.Failed, "the operation took longer than it may: nothing was changed").
			WithHint("orchestra config show operation.timeout")
	}
	return err
}

package operation

import (
	"context"
	"errors"
	"slices"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// lockPatience is how long a server may wait for its own lock, which a dying
// runtime of another operation may still hold.
const lockPatience = 10 * time.Second

// execute brings a journaled operation to its end, through the gates of the
// protocol: all staged, all published, all active, committed, all kept. Any
// failure before the commit undoes it everywhere.
func (r *run) execute(ctx context.Context) error {
	bounded, cancel := r.c.bounded(ctx)
	defer cancel()
	err := r.toActive(bounded)
	if err == nil {
		err = r.commit(bounded)
	}
	var stuck *leftError
	if errors.As(err, &stuck) {
		return stuck.fault(r.operation.Number)
	}
	if err != nil {
		return r.undo(bounded, err)
	}
	return r.finish(context.WithoutCancel(ctx))
}

// bounded limits what comes before the decision.
func (c *Coordinator) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if timeout := c.options.Settings.Operation.Timeout; timeout > 0 {
		return context.WithTimeout(ctx, timeout)
	}
	return context.WithCancel(ctx)
}

// endLimit limits one server's part in an end, which an interruption does not
// shorten: a server that lives, but never comes to it, must not hold the command for ever.
func (c *Coordinator) endLimit(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := c.options.Settings.Operation.Timeout
	if timeout <= 0 {
		timeout = endTime
	}
	return context.WithTimeout(ctx, timeout)
}

const endTime = 15 * time.Minute

// toActive goes through the gates up to the commit.
func (r *run) toActive(ctx context.Context) error {
	if err := r.sieve(r.on(r.servers(), func(s *session) error { return r.stage(ctx, s) })); err != nil {
		return err
	}
	pivot, err := r.pivot()
	if err != nil {
		return err
	}
	if err := r.lockServers(ctx); err != nil {
		return err
	}
	if err := r.publish(ctx); err != nil {
		return err
	}
	if err := r.login(ctx); err != nil {
		return err
	}
	if pivot == 0 {
		return nil
	}
	return r.sieve(r.on([]int64{pivot}, func(s *session) error {
		_, err := s.ask(ctx, r.patience(pivot), question{outgoing{wire.WordPivot, wire.Pivot{Operation: r.operation.ID}}, wire.WordPivoted, "pivot"})
		return err
	}))
}

// stage has a server make everything ready beside its live files. First it
// ends what it missed the end of.
func (r *run) stage(ctx context.Context, s *session) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	for _, debt := range r.plan.settle[s.server.ID] {
		if err := r.settle(ctx, s, debt); err != nil {
			return err
		}
	}
	steps := r.stepsOn(s.server.ID)
	if len(steps) == 0 {
		return nil
	}
	stage := wire.Stage{Operation: r.operation.ID, PanelID: r.panel, Sequence: r.sequence(s.server.ID), LockWait: lockPatience, Counters: r.counters}
	for _, step := range steps {
		stage.Steps = append(stage.Steps, step.wire)
	}
	_, err := s.ask(ctx, r.patience(s.server.ID), question{outgoing{wire.WordStage, stage}, wire.WordStaged, "stage"})
	return err
}

// stepsOn returns a server's steps in the order of their waves.
func (r *run) stepsOn(server int64) []*step {
	var steps []*step
	for _, step := range r.plan.steps {
		if step.server == server {
			steps = append(steps, step)
		}
	}
	return steps
}

func (r *run) sequence(server int64) int64 {
	for _, one := range r.operation.Servers {
		if one.Server == server {
			return one.Sequence
		}
	}
	return 0
}

// defaultTimeout is a child's where its backend is not known any more.
const defaultTimeout = time.Minute

// patience is how long a server may be at one thing: a child's timeout, and the
// time in which the runtime must have noticed it.
func (r *run) patience(server int64) time.Duration {
	longest := defaultTimeout
	for _, step := range r.plan.steps {
		if step.server == server {
			longest = max(longest, step.wire.Timeout)
		}
	}
	return longest + wire.SilenceLimit
}

// sieve returns the failure that ends the operation, nil where there is none or
// where all those that failed may be brought up to date later.
func (r *run) sieve(errs map[int64]error) error {
	var worst error
	for _, id := range sortedKeys(errs) {
		err := errs[id]
		var lost *lostError
		if errors.As(err, &lost) && r.mayQueue(id) {
			r.dropped[id] = true
			r.sessions[id].close()
			r.c.report(Event{Kind: EventServer, Server: lost.server.Name, Phase: string(store.OutcomeQueued)})
			continue
		}
		if worst == nil || errors.As(worst, &lost) {
			worst = err // a backend's failure tells more than a lost connection
		}
	}
	return worst
}

// mayQueue tells whether a server may be brought up to date later.
func (r *run) mayQueue(server int64) bool {
	steps := r.stepsOn(server)
	if len(steps) == 0 || r.sessions[server].pivot {
		return false
	}
	return r.canWait(r.plan, server)
}

// pivot returns the server that has the act without a way back, 0 for none.
func (r *run) pivot() (int64, error) {
	var found int64
	for _, id := range r.servers() {
		if !r.sessions[id].pivot {
			continue
		}
		if found != 0 {
			return 0, fault.New(fault.Failed, "%s and %s would both do what can't be undone: an operation may have one such act",
				r.plan.servers[found].Name, r.plan.servers[id].Name)
		}
		found = id
	}
	return found, nil
}

// lockServers takes the servers' locks, and looks for operations that died on
// them meanwhile: nothing may be published over what they have left.
func (r *run) lockServers(ctx context.Context) error {
	var wants []lockWant
	for _, id := range r.servers() {
		wants = append(wants, lockWant{key: lockKey{lockServer, id}, label: "server " + r.plan.servers[id].Name})
	}
	if err := r.set.take(ctx, r.c.wait(r.job.request), wants...); err != nil {
		return err
	}
	once := &again{}
	err := r.c.view(ctx, r.store, func(tx *store.Tx) error {
		open, err := tx.OpenOperations(ctx)
		if err != nil {
			return err
		}
		found, err := r.concerning(open, nil, r.servers(), nil)
		once.dead = found.dead
		return err
	})
	if err == nil && len(once.dead) > 0 {
		err = once
	}
	return err
}

// publish makes what is staged live, wave by wave, and then tells the daemons.
// One server alone is told both at once.
func (r *run) publish(ctx context.Context) error {
	live := slices.DeleteFunc(r.servers(), func(id int64) bool { return len(r.stepsOn(id)) == 0 })
	r.published = true
	if len(live) == 1 {
		return r.sieve(r.on(live, func(s *session) error {
			_, err := s.ask(ctx, r.patience(s.server.ID), r.publishing(r.stepsOn(s.server.ID)), r.reloading(r.stepsOn(s.server.ID)))
			return err
		}))
	}
	err := r.inWaves(ctx, live, r.publishing)
	if err == nil {
		// Those of the first wave first: a slave asks its master for what that has loaded.
		err = r.inWaves(ctx, live, r.reloading)
	}
	return err
}

// inWaves says a word about the steps of one wave after the other.
func (r *run) inWaves(ctx context.Context, live []int64, word func(steps []*step) question) error {
	for _, wave := range r.waves() {
		var ids []int64
		for _, id := range live {
			if !r.dropped[id] && len(inWave(r.stepsOn(id), wave)) > 0 {
				ids = append(ids, id)
			}
		}
		err := r.sieve(r.on(ids, func(s *session) error {
			_, err := s.ask(ctx, r.patience(s.server.ID), word(inWave(r.stepsOn(s.server.ID), wave)))
			return err
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *run) publishing(steps []*step) question {
	word := wire.Publish{Operation: r.operation.ID, Steps: stepNames(steps)}
	return question{outgoing{wire.WordPublish, word}, wire.WordPublished, "publish"}
}

func (r *run) reloading(steps []*step) question {
	word := wire.Reload{Operation: r.operation.ID, Steps: stepNames(steps)}
	return question{outgoing{wire.WordReload, word}, wire.WordActive, "reload"}
}

func stepNames(steps []*step) []string {
	names := make([]string, len(steps))
	for i, step := range steps {
		names[i] = step.wire.Name
	}
	return names
}

// waves returns the numbers of the waves in order.
func (r *run) waves() []int {
	set := map[int]bool{}
	for _, step := range r.plan.steps {
		set[step.wave] = true
	}
	return sortedKeys(set)
}

func inWave(steps []*step, wave int) []*step {
	return slices.DeleteFunc(slices.Clone(steps), func(s *step) bool { return s.wave != wave })
}

// login tries a fresh login over a new connection wherever a backend that may
// shut us out has told a daemon something.
func (r *run) login(ctx context.Context) error {
	var ids []int64
	for _, id := range r.servers() {
		for _, step := range r.stepsOn(id) {
			if r.plan.verify || step.backend.VerifyLogin && r.sessions[id].acted[step.wire.Name] {
				ids = append(ids, id)
				break
			}
		}
	}
	return r.sieve(r.on(ids, func(s *session) error { return r.freshLogin(ctx, s) }))
}

// How long a fresh login may fail, and how long to wait between two tries.
const (
	loginPatience = 5 * time.Second
	loginInterval = 100 * time.Millisecond
)

// tryLogin logs in over a new connection and starts the runtime there.
func (r *run) tryLogin(ctx context.Context, server Server) error {
	transport, err := r.c.options.Fresh(ctx, server)
	if err != nil {
		return err
	}
	defer transport.Close() //nolint:errcheck // it has served
	fresh, err := startLink(ctx, transport, nil)
	if err != nil {
		return err
	}
	fresh.close()
	return nil
}

func (r *run) freshLogin(ctx context.Context, s *session) error {
	began := time.Now()
	err := r.tryLogin(ctx, s.server)
	// A daemon that reads its settings again listens nowhere for a moment.
	for err != nil && ctx.Err() == nil && time.Since(began) < loginPatience {
		if pause(ctx, loginInterval) == nil {
			err = r.tryLogin(ctx, s.server)
		}
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if err == nil {
		s.note(store.Phase{Phase: "login", Outcome: "ok", Started: began})
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.note(store.Phase{Phase: "login", Outcome: "failed", Started: began, Message: err.Error()})
	return fault.New(fault.Failed, "after the change nobody could log in to %s any more", s.server.Name).Because(err)
}

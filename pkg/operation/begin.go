package operation

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// begin plans and journals the operation, in one transaction, in which also
// the account locks are taken, without waiting: the plan is made of the state
// that they protect. Where a lock is held by others, a dead operation is in the
// way, or a server has something pending, nothing is journaled and an *again
// says what to do first. An operation that concerns no server is through when
// this returns.
func (r *run) begin(ctx context.Context) error {
	if err := r.c.checkSpace(); err != nil {
		return err
	}
	return r.c.update(ctx, r.store, "begin", func(tx *store.Tx) error {
		p, err := r.job.plan(ctx, tx, r.set)
		if err != nil {
			return err
		}
		r.plan = p
		if err := r.rest(ctx, tx, p); err != nil {
			return err
		}
		if once := r.owedFirst(p); once != nil {
			return once
		}
		if p.empty() {
			return errNothing
		}
		if err := r.hold(ctx, tx, p); err != nil {
			return err
		}
		if err := r.leaveUnreached(p); err != nil {
			return err
		}
		if err := r.inTheWay(ctx, tx, p); err != nil {
			return err
		}
		if err := r.known(ctx, tx, p); err != nil {
			return err
		}
		r.dial(ctx, p)
		if err := r.c.encode(p); err != nil {
			return err
		}
		if err := r.journal(ctx, tx, p); err != nil {
			return err
		}
		if p.contacts() {
			return nil
		}
		if err := r.writeRows(ctx, tx); err != nil {
			return err
		}
		if err := tx.MoveOperation(ctx, r.operation.Number, store.Running, store.Committed, ""); err != nil {
			return err
		}
		if err := tx.MoveOperation(ctx, r.operation.Number, store.Committed, store.Done, ""); err != nil {
			return err
		}
		r.operation.State = store.Done
		return nil
	})
}

// hold takes the locks that the plan needs, or says that it must begin again
// with them.
func (r *run) hold(ctx context.Context, tx *store.Tx, p *plan) error {
	alone := r.set.alone()
	if p.alone && !alone {
		return &again{wants: []lockWant{worldAlone}}
	}
	if alone {
		return nil // nobody else runs anything
	}
	var wants []lockWant
	for _, account := range sortedKeys(p.accounts) {
		wants = append(wants, lockWant{key: lockKey{lockAccount, account}, shared: !p.accounts[account]})
	}
	took, err := r.set.try(wants...)
	if err == nil && !took {
		for i := range wants {
			wants[i].label = accountName(ctx, tx, wants[i].key.id)
		}
		err = &again{wants: wants}
	}
	return err
}

// accountName returns what people call an account, for who waits for its lock.
func accountName(ctx context.Context, tx *store.Tx, id int64) string {
	for _, declared := range tx.Nouns() {
		if declared.IsAccount() {
			if row, err := tx.Get(ctx, declared.Name, id); err == nil {
				return declared.Name + " " + row.Text(declared.Key)
			}
		}
	}
	return ""
}

// leaveUnreached turns the steps on servers that were found out of reach, now or
// a short while ago, into dirty marks, where their routes say so, and refuses the others.
func (r *run) leaveUnreached(p *plan) error {
	var stay []*step
	for _, s := range p.steps {
		_, resting := r.resting[s.server]
		cause := r.job.unreached[s.server]
		if cause == nil && !resting {
			stay = append(stay, s)
			continue
		}
		if !s.canWait() {
			return unreachable(p.servers[s.server], cause)
		}
		for _, object := range s.objects {
			p.marks = append(p.marks, mark(p.owners[subjectKey{object.Noun, object.ID}], s.server, s.backend.Name, object))
		}
	}
	p.steps = stay
	return nil
}

// unreachable is the fault of an operation that was not begun on a server.
func unreachable(server Server, cause error) error {
	told := fault.New(fault.Unreachable, "the server %s can't be reached: nothing was changed", server.Name).Because(cause)
	if told.Hint = fault.HintOf(cause); told.Hint.IsZero() {
		told.WithHint("orchestra server check %s", server.Name)
	}
	return told
}

// inTheWay looks for operations that have not ended and concern the same
// accounts, servers or unique values.
func (r *run) inTheWay(ctx context.Context, tx *store.Tx, p *plan) error {
	open, err := tx.OpenOperations(ctx)
	if err != nil {
		return err
	}
	servers := p.serverIDs()
	once := &again{}
	if len(open) > 0 {
		claimed, err := tx.ClaimHolders(ctx, p.changes)
		if err != nil {
			return err
		}
		found, err := r.concerning(open, p.accounts, servers, claimed)
		if err != nil {
			return err
		}
		once.dead = found.dead
		for _, other := range found.alive {
			if claim, holds := claimed[other.Number]; holds {
				return fault.New(fault.Conflict, "%s %s is being changed by operation %d (%s)", claim.Kind, claim.Value, other.Number, other.Command).
					WithHint("orchestra lock")
			}
		}
	}
	pending, err := tx.Pending(ctx, servers)
	if err != nil {
		return err
	}
	for _, id := range servers {
		if pending[id] && !r.job.converged[id] {
			once.converge = append(once.converge, id)
			r.job.briefly[id] = r.canWait(p, id)
		}
	}
	if len(once.dead) > 0 || len(once.converge) > 0 {
		return once
	}
	return nil
}

// contacts tells whether a server has to hear of the plan.
func (p *plan) contacts() bool { return len(p.steps) > 0 || len(p.settle) > 0 }

// serverIDs returns the servers that have to hear of the plan, in order.
func (p *plan) serverIDs() []int64 {
	set := map[int64]bool{}
	for _, s := range p.steps {
		set[s.server] = true
	}
	for id := range p.settle {
		set[id] = true
	}
	return sortedKeys(set)
}

// known reads what the panel knows of the servers.
func (r *run) known(ctx context.Context, tx *store.Tx, p *plan) error {
	var err error
	if r.panel, err = tx.PanelID(ctx); err != nil {
		return err
	}
	for _, id := range p.serverIDs() {
		state, err := tx.ServerState(ctx, id)
		if err != nil {
			return err
		}
		r.states[id] = state
	}
	return nil
}

// dial begins to connect to the servers: that takes longer than all that the
// panel has to write meanwhile.
func (r *run) dial(ctx context.Context, p *plan) {
	ctx, r.stopDialing = context.WithCancel(ctx)
	ids := p.serverIDs()
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = p.servers[id].Name
		s := r.session(id)
		go s.open(ctx) //nolint:errcheck // whoever needs the session opens it again, and sees the error
	}
	if len(names) > 0 {
		r.c.report(Event{Kind: EventPlanned, Servers: names})
	}
}

// journal writes the operation as running, with all that it is going to do.
func (r *run) journal(ctx context.Context, tx *store.Tx, p *plan) error {
	r.operation.Changes = p.changes
	r.operation.Accounts, r.operation.Servers, r.operation.Steps = nil, nil, nil
	for _, account := range sortedKeys(p.accounts) {
		r.operation.Accounts = append(r.operation.Accounts, store.OperationAccount{Account: account, Shared: !p.accounts[account]})
	}
	for _, id := range p.serverIDs() {
		sequence, err := tx.NextSequence(ctx, id)
		if err != nil {
			return err
		}
		r.operation.Servers = append(r.operation.Servers, store.OperationServer{Server: id, Name: p.servers[id].Name, Sequence: sequence})
	}
	clear(r.dropped)
	for _, id := range p.marked() { // told nothing: it is owed to them once it is decided
		r.dropped[id] = true
		r.operation.Servers = append(r.operation.Servers, store.OperationServer{
			Server: id, Name: p.servers[id].Name, Outcome: store.OutcomeUntouched,
		})
	}
	for _, s := range p.steps {
		r.operation.Steps = append(r.operation.Steps, store.OperationStep{Server: s.server, Backend: s.backend.Name, Wave: s.wave, Objects: len(s.objects)})
	}
	if err := tx.SetCounters(ctx, p.counters); err != nil {
		return err
	}
	// All numbers that any server has a part in, and those of single objects that
	// are given here.
	var err error
	if r.counters, err = tx.DeclaredCounters(ctx); err != nil {
		return err
	}
	maps.Copy(r.counters, p.counters)
	return tx.BeginOperation(ctx, &r.operation)
}

// notBegun turns what prevented the begin into what is told. A commit whose
// outcome is unknown may have left a running operation: it is undone here and
// now, since no server has been told anything of it.
func (r *run) notBegun(err error) error {
	if !unknown(err) {
		r.ended = true
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	state, readErr := r.reopen(ctx)
	if readErr == nil && state.Ended() { // an operation that needs no server is through with this one transaction
		return nil
	}
	if readErr == nil && state == "" {
		r.ended = true
		return err
	}
	if readErr == nil && state == store.Running {
		readErr = r.c.update(ctx, r.store, "undoing", func(tx *store.Tx) error {
			if err := tx.MoveOperation(ctx, r.operation.Number, store.Running, store.Undoing, err.Error()); err != nil {
				return err
			}
			return tx.MoveOperation(ctx, r.operation.Number, store.Undoing, store.Undone, "")
		})
		if readErr == nil {
			r.ended = true
			return err
		}
	}
	return fault.New(fault.Unrecovered, "the database could not be written, and may hold an operation that has not begun").
		Because(errors.Join(err, readErr)).WithHint("orchestra recover")
}

// settleTime bounds what has to be done after everything else has failed.
const settleTime = 30 * time.Second

// reopen reads the operation's state through a new handle of the database, and
// keeps that handle.
func (r *run) reopen(ctx context.Context) (store.OperationState, error) {
	fresh, err := r.c.reopen(ctx, r.store)
	if err != nil {
		return "", err
	}
	var state store.OperationState
	err = r.c.view(ctx, fresh, func(tx *store.Tx) error {
		state, err = tx.OperationState(ctx, r.operation.ID)
		return err
	})
	if err != nil {
		return "", errors.Join(err, fresh.Close())
	}
	r.closeReopened()
	r.store = fresh
	return state, nil
}

// closeReopened closes a handle of the database that reopen has opened.
func (r *run) closeReopened() {
	if r.store != r.c.options.Store {
		r.store.Close() //nolint:errcheck // it was opened to read after a failure
	}
}

// encode turns the objects of steps into what travels. Steps that tell the
// same on several servers share it.
func (c *Coordinator) encode(p *plan) error {
	type encoded struct {
		objects  []backend.Object
		records  string
		contents []wire.ContentItem
	}
	done := map[string][]encoded{}
	for _, s := range p.steps {
		var found *encoded
		for i := range done[s.backend.Name] {
			if sameObjects(done[s.backend.Name][i].objects, s.objects) {
				found = &done[s.backend.Name][i]
			}
		}
		if found == nil {
			told, err := backend.EncodeSettings(s.backend.Settings, c.options.Settings)
			records, contents, err2 := backend.EncodeObjects(s.objects)
			if err := errors.Join(err, err2); err != nil {
				return fault.New(fault.Invalid, "what the backend %s is to be told can't be written down", s.backend.Name).Because(err)
			}
			done[s.backend.Name] = append(done[s.backend.Name], encoded{s.objects, told + records, contents})
			found = &done[s.backend.Name][len(done[s.backend.Name])-1]
		}
		s.wire.Name = s.backend.Name
		s.wire.Objects, s.wire.Contents = found.records, found.contents
		s.wire.Timeout = s.backend.Timeout
		if s.wire.Script == (wire.Script{}) {
			s.wire.Script = wire.Script{Declare: s.backend.Declare, Acts: s.backend.Acts}
		}
	}
	dropContents(p)
	return fits(p)
}

// dropContents takes rendered texts out of the facts, once they are in what
// travels: they may be most of what a large operation has in memory.
func dropContents(p *plan) {
	for _, s := range p.steps {
		for _, object := range s.objects {
			for _, facts := range []map[string]any{object.Facts, object.Before} {
				maps.DeleteFunc(facts, func(_ string, value any) bool { _, is := value.(noun.Content); return is })
			}
		}
	}
}

// sameObjects tells whether two steps of one plan tell the same. Facts were computed
// once, so that it is enough to compare what they are about; but what servers have
// last heard of an object may differ.
func sameObjects(a, b []backend.Object) bool {
	return slices.EqualFunc(a, b, func(a, b backend.Object) bool {
		return a.Noun == b.Noun && a.ID == b.ID && a.Action == b.Action && sameMap(a.Before, b.Before) &&
			(a.Action != "delete" || sameMap(a.Facts, b.Facts))
	})
}

// sameMap tells whether two maps are one.
func sameMap(a, b map[string]any) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

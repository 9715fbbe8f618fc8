package operation

import (
	"context"
	"errors"
	"strconv"
	"time"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// Setup makes a server ready for a backend, by the backend's setup script: an
// operation without changes of rows. variables are told to the script as facts,
// beside those of the server. After it, and before it is kept, a fresh login is
// tried wherever the backend asks for it.
func (c *Coordinator) Setup(ctx context.Context, backendName, serverName string, variables map[string]string, request Request) (*Outcome, error) {
	return c.do(ctx, &job{
		kind: "setup", request: request,
		plan: func(ctx context.Context, tx *store.Tx, _ *lockSet) (*plan, error) {
			return c.setupPlan(ctx, tx, backendName, serverName, variables)
		},
	})
}

// SetupPreview tells what Setup would change on the server.
func (c *Coordinator) SetupPreview(ctx context.Context, backendName, serverName string, variables map[string]string) (*Preview, error) {
	return c.preview(ctx, func(ctx context.Context, tx *store.Tx) (*plan, error) {
		return c.setupPlan(ctx, tx, backendName, serverName, variables)
	})
}

func (c *Coordinator) setupPlan(ctx context.Context, tx *store.Tx, backendName, serverName string, variables map[string]string) (*plan, error) {
	p := newPlan()
	told := c.options.Backends.Backend(backendName)
	if told == nil {
		return nil, missingBackend(backendName)
	}
	if told.Setup == "" {
		return nil, fault.New(fault.Invalid, "the backend %s needs no setup", backendName)
	}
	server, err := c.serverNamed(ctx, tx, serverName, p)
	if err != nil {
		return nil, err
	}
	if !server.Enabled {
		return nil, fault.New(fault.Conflict, "the server %s is disabled", server.Name).WithHint("orchestra server enable %s", server.Name)
	}
	facts := map[string]any{
		"name": server.Name, "address": server.Address, "port": strconv.Itoa(server.Port), "login": server.Login,
		"transport": server.Transport,
	}
	for name, value := range variables {
		facts[name] = value
	}
	p.verify = told.VerifyLogin
	p.steps = []*step{{
		server: server.ID, backend: told, wave: 1,
		objects: []backend.Object{{Action: "save", Noun: "server", ID: server.ID, Name: server.Name, Facts: facts}},
		wire:    wire.Step{Setup: true, Script: wire.Script{Declare: told.Setup, Acts: told.Acts}},
	}}
	return p, nil
}

// serverNamed finds a server by its name and fills in the plan's servers.
func (c *Coordinator) serverNamed(ctx context.Context, tx *store.Tx, name string, p *plan) (Server, error) {
	topology, err := c.topology(ctx, tx)
	if err != nil {
		return Server{}, err
	}
	p.servers = topology.servers
	for _, server := range topology.servers {
		if server.Name == name {
			return server, nil
		}
	}
	return Server{}, fault.New(fault.NotFound, "there is no server %s", name).WithHint("orchestra server list")
}

// Probe asks a server about itself, and how long a question takes. It may be
// one that is disabled.
func (c *Coordinator) Probe(ctx context.Context, serverName string) (wire.Probed, time.Duration, error) {
	p := newPlan()
	var server Server
	programs := map[string]bool{}
	err := c.view(ctx, c.options.Store, func(tx *store.Tx) error {
		var err error
		if server, err = c.serverNamed(ctx, tx, serverName, p); err != nil {
			return err
		}
		routes, err := c.options.Topology.Routes(ctx, tx)
		for _, route := range routes {
			if told := c.options.Backends.Backend(route.Backend); told != nil && route.Server == server.ID {
				for _, program := range told.Programs {
					programs[program] = true
				}
			}
		}
		return err
	})
	if err != nil {
		return wire.Probed{}, 0, err
	}
	l, err := dial(ctx, c.options.Connect, server)
	if err != nil {
		return wire.Probed{}, 0, err
	}
	defer l.close()
	began := time.Now()
	var probed wire.Probed
	if err := l.send(ctx, outgoing{wire.WordProbe, wire.Probe{Programs: sortedKeys(programs)}}); err != nil {
		return probed, 0, unreachable(server, err)
	}
	frame, err := l.next(ctx, wire.SilenceLimit)
	if err != nil {
		return probed, 0, unreachable(server, err)
	}
	latency := time.Since(began)
	if frame.Word != wire.WordProbed {
		return probed, latency, fault.New(fault.Failed, "the server %s answered %s", server.Name, strconv.Quote(string(frame.Word)))
	}
	return probed, latency, frame.Decode(&probed)
}

// Adopt makes a server follow this database: after the database was restored
// from a backup, the server was installed anew, or it followed another panel.
// What this database believes to be there gets dirty marks, so that it is
// converged by whatever reaches the server next; operations that wait for the
// server's proof wait no longer.
func (c *Coordinator) Adopt(ctx context.Context, serverName string, request Request) (*Outcome, error) {
	locks, err := c.locks()
	if err != nil {
		return nil, err
	}
	r := c.newRun(&job{kind: "adopt", request: request})
	r.operation = store.Operation{ID: store.NewOperationID(), Kind: "adopt", Actor: request.Actor, Command: request.Command, Reason: request.Reason}
	if r.set, err = locks.begin(r.operation.ID, request.Command); err != nil || r.set == nil {
		return nil, err
	}
	r.ended = true // nothing of it is ever half done
	r.set.waiting = c.tellWaiting
	defer r.close()
	if err := r.set.take(ctx, c.wait(request), worldAlone); err != nil {
		return nil, interrupted(ctx, err)
	}
	r.plan = newPlan()
	var server Server
	var sequence int64
	err = c.update(ctx, r.store, "adopt", func(tx *store.Tx) error {
		if server, err = c.serverNamed(ctx, tx, serverName, r.plan); err != nil {
			return err
		}
		if r.panel, err = tx.PanelID(ctx); err != nil {
			return err
		}
		sequence, err = tx.NextSequence(ctx, server.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	s := newSession(c, server) // whomever it follows
	r.sessions[server.ID] = s
	if err := s.open(ctx); err != nil {
		return nil, r.observed(err)
	}
	_, err = s.ask(ctx, r.patience(server.ID), question{outgoing{wire.WordAdopt, wire.Adopt{PanelID: r.panel, Sequence: sequence}}, wire.WordAdopted, "adopt"})
	if err != nil {
		return nil, r.observed(err)
	}
	ctx = context.WithoutCancel(ctx)
	err = c.update(ctx, r.store, "adopted", func(tx *store.Tx) error { return r.adopted(ctx, tx, server, sequence) })
	if err != nil {
		return nil, fault.New(fault.Internal, "the server %s was adopted, but the database could not say so", server.Name).
			Because(err).WithHint("orchestra server adopt %s", server.Name)
	}
	r.operation.State = store.Done
	return r.outcome(), nil
}

// adopted writes that a server follows this database now.
func (r *run) adopted(ctx context.Context, tx *store.Tx, server Server, sequence int64) error {
	open, err := tx.OpenOperations(ctx)
	if err != nil {
		return err
	}
	for _, other := range open { // all without a runner: the world is held alone
		err := tx.SetOutcomes(ctx, other.Number, map[int64]store.ServerOutcome{server.ID: store.OutcomeAbandoned})
		if err != nil {
			return err
		}
	}
	debts, err := tx.Debts(ctx, server.ID)
	if err != nil {
		return err
	}
	if err := tx.Settle(ctx, server.ID, debtNumbers(debts)); err != nil {
		return err
	}
	r.operation.Servers = []store.OperationServer{{Server: server.ID, Name: server.Name, Sequence: sequence, Outcome: store.OutcomeKept}}
	r.outcomes[server.ID] = store.OutcomeKept
	if err := tx.BeginOperation(ctx, &r.operation); err != nil {
		return err
	}
	placed, err := tx.PlacedOn(ctx, server.ID)
	if err != nil {
		return err
	}
	var marks []store.Dirty
	for _, placement := range placed {
		row, err := tx.Get(ctx, placement.Noun, placement.Object)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		account, err := tx.Account(ctx, row)
		if err != nil {
			return err
		}
		marks = append(marks, store.Dirty{
			Server: server.ID, Backend: placement.Backend, Noun: placement.Noun, Object: placement.Object,
			Name: row.Text(tx.Noun(placement.Noun).Key), Account: account, Version: r.operation.Number,
		})
	}
	if err := tx.MarkDirty(ctx, marks); err != nil {
		return err
	}
	if err := tx.Confirm(ctx, map[int64]int64{server.ID: sequence}); err != nil {
		return err
	}
	if err := tx.AddPhases(ctx, r.operation.Number, r.collect()); err != nil {
		return err
	}
	if err := tx.MoveOperation(ctx, r.operation.Number, store.Running, store.Committed, ""); err != nil {
		return err
	}
	return tx.MoveOperation(ctx, r.operation.Number, store.Committed, store.Done, "")
}

// observeFault is what a person sees where a question could not be answered.
func (e *refusedError) observeFault() error {
	f := e.failure
	told := fault.New(fault.Failed, "%s on server %s, phase %s: %s", f.Step, e.server.Name, f.Phase, f.Message)
	if f.Output != "" {
		return told.Because(errors.New(limitOutput(f.Output)))
	}
	return told
}

package operation

import (
	"context"
	"strconv"

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

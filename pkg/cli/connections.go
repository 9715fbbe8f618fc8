package cli

import (
	"context"
	"path/filepath"
	"sync"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/operation"
	"orchestra/pkg/remote"
	"orchestra/pkg/store"
)

// longestJump is how many hosts one may have to jump through.
const longestJump = 4

// connections reaches servers as the settings say, one connection for each.
type connections struct {
	app      *app
	topology operation.Topology
	pool     *remote.Pool
	identity *remote.Identity
	binaries *remote.Binaries

	mutex     sync.Mutex
	launchers map[string]*remote.Launcher // by our directory on the servers
}

func (a *app) openConnections(topology operation.Topology) *connections {
	if a.connections != nil {
		return a.connections
	}
	c := &connections{
		app: a, topology: topology, pool: remote.NewPool(),
		identity: &remote.Identity{
			File: a.settings.SSH.Identity, Agent: a.settings.SSH.Agent,
			AgentSocket: a.process.getenv("SSH_AUTH_SOCK"), Passphrase: a.passphrase(),
		},
		binaries: &remote.Binaries{
			Packages: a.settings.Runtime.PackageDirectory,
			Cache:    filepath.Join(filepath.Dir(a.store.Path()), "cache"),
		},
		launchers: map[string]*remote.Launcher{},
	}
	a.connections = c
	a.closers = append(a.closers, c.pool.Close)
	return c
}

// bind returns a transport that starts the runtime on server.
func (c *connections) bind(transport remote.Transport, server string) remote.Transport {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	directory := c.app.settings.Runtime.DirectoryOn(server)
	launcher, ok := c.launchers[directory]
	if !ok {
		launcher = &remote.Launcher{Directory: directory, Binaries: c.binaries}
		c.launchers[directory] = launcher
	}
	return launcher.Bind(transport, server)
}

// passphrase returns what asks for the passphrase of a key, nil where there is
// nobody to ask.
func (a *app) passphrase() func(context.Context, string) ([]byte, error) {
	if a.mayAsk(fault.New(fault.Usage, "there is nobody to ask")) != nil {
		return nil
	}
	return func(ctx context.Context, file string) ([]byte, error) {
		resume := a.pauseProgress()
		defer resume()
		answer, err := a.asker().Secret(ctx, a.say(message.New("Passphrase of %s", file)))
		return []byte(answer), err
	}
}

// connect implements operation.Options.Connect.
func (c *connections) connect(ctx context.Context, server operation.Server) (remote.Transport, error) {
	return c.reach(ctx, server, c.pool.Get)
}

// fresh implements operation.Options.Fresh.
func (c *connections) fresh(ctx context.Context, server operation.Server) (remote.Transport, error) {
	return c.reach(ctx, server, func(ctx context.Context, target remote.Target) (remote.Transport, error) {
		return remote.DialSSH(ctx, target)
	})
}

func (c *connections) reach(ctx context.Context, server operation.Server, dial func(context.Context, remote.Target) (remote.Transport, error)) (remote.Transport, error) {
	if c.app.process.Connect != nil {
		return c.app.process.Connect(ctx, server)
	}
	if server.Transport == "local" {
		return c.bind(remote.NewLocal(server.Name), server.Name), nil
	}
	target, err := c.target(ctx, server, 0)
	if err != nil {
		return nil, err
	}
	transport, err := dial(ctx, target)
	if err != nil {
		return nil, err
	}
	return c.bind(transport, server.Name), nil
}

// target returns where a server is and how it is verified, with the servers
// that are jumped through.
func (c *connections) target(ctx context.Context, server operation.Server, jumps int) (remote.Target, error) {
	settings := c.app.settings
	target := remote.Target{
		Name: server.Name, Address: server.Address, Port: server.Port, Login: server.Login, HostKeys: server.HostKeys,
		KnownHosts: settings.SSH.KnownHosts, Identity: c.identity, ConnectTimeout: settings.SSH.ConnectTimeout,
		Slots: settings.SSH.Slots,
	}
	if server.Jump == 0 {
		return target, nil
	}
	if jumps == longestJump {
		return target, fault.New(fault.Unreachable, "server %s is behind more than %d jump hosts", server.Name, longestJump)
	}
	through, err := c.server(ctx, server.Jump)
	if err != nil {
		return target, err
	}
	jump, err := c.target(ctx, through, jumps+1)
	target.Jump = &jump
	return target, err
}

// server returns a server by id.
func (c *connections) server(ctx context.Context, id int64) (operation.Server, error) {
	var found operation.Server
	err := c.app.view(ctx, func(tx *store.Tx) error {
		all, err := c.topology.Servers(ctx, tx)
		if err != nil {
			return err
		}
		for _, server := range all {
			if server.ID == id {
				found = server
				return nil
			}
		}
		return fault.New(fault.NotFound, "the jump host does not exist any more")
	})
	return found, err
}

package operation

import (
	"context"
	"strconv"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

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
	l, err := c.dial(ctx, c.options.Connect, server)
	c.noteReached(ctx, server.ID, err)
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
	err = frame.Decode(&probed)
	limitProbed(&probed, programs)
	return probed, latency, err
}

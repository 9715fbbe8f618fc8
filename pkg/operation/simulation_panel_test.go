package operation

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"orchestra/pkg/remote"
	"orchestra/pkg/settings"
	"orchestra/pkg/store"
)

// simPanel is one process of the panel.
type simPanel struct {
	*Coordinator
	world *simWorld
	store *store.Store

	mutex   sync.Mutex
	crashed bool
	writes  int
	at      []writeFault
}

// writeFault is asked before and after each write: whether to crash there, or
// what error the write gives.
type writeFault func(number int, name string, after bool) (crash bool, err error)

// errUnwritten is an error of a write of which it is known that nothing was written.
var errUnwritten = errors.New("database or disk is full")

func (w *simWorld) newPanel() *simPanel { return w.panelOver(w.database()) }

// panelOver is a process that works on one database.
func (w *simWorld) panelOver(path string) *simPanel {
	opened, err := store.Open(context.Background(), store.Options{Path: path, Registry: w.registry, Now: w.clock.Now})
	must(err)
	p := &simPanel{world: w, store: opened}
	locks, err := NewLocks(filepath.Join(filepath.Dir(path), "locks"), w.clock.Now)
	must(err)
	s := settings.Default()
	s.Lock.Wait = 3 * time.Minute
	s.Operation.Timeout = 0
	connect := func(_ context.Context, server Server) (remote.Transport, error) {
		return &simTransport{panel: p, machine: w.machine(server.Name)}, nil
	}
	p.Coordinator = New(Options{
		Store: opened, Registry: w.registry, Backends: testBackends{filesBackend}, Settings: s, Topology: simTopology{},
		Connect: connect, Fresh: connect, Locks: locks, faults: p, Free: w.free,
	})
	return p
}

func (w *simWorld) free(string) (uint64, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.cramped {
		return 1 << 20, nil
	}
	return 1 << 40, nil
}

func (p *simPanel) isCrashed() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.crashed
}

// crash is kill -9: the kernel closes what was open, and nothing more is written.
func (p *simPanel) crash() {
	p.mutex.Lock()
	if p.crashed {
		p.mutex.Unlock()
		return
	}
	p.crashed = true
	p.mutex.Unlock()
	p.world.trace("the panel is killed")
	for _, c := range p.world.network.all() {
		if c.panel == p {
			c.down.sever(errCrashed)
			c.up.end(c.delay())
		}
	}
}

func (p *simPanel) before(name string) error { return p.write(name, false) }
func (p *simPanel) after(name string) error  { return p.write(name, true) }

func (p *simPanel) write(name string, after bool) error {
	p.mutex.Lock()
	if p.crashed {
		p.mutex.Unlock()
		return errCrashed
	}
	if !after {
		p.writes++
	}
	number, faults := p.writes, p.at
	p.mutex.Unlock()
	for _, at := range faults {
		crash, err := at(number, name, after)
		if crash {
			p.crash()
			return errCrashed
		}
		if err == nil {
			continue
		}
		p.world.trace("write %d (%s) gives an error, after=%v", number, name, after)
		p.world.blame()
		if errors.Is(err, errUnwritten) {
			return err
		}
		return fmt.Errorf("%w: %w", store.ErrCommit, err)
	}
	return nil
}

func (p *simPanel) close() { p.store.Close() }

package operation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"orchestra/pkg/noun"
	"orchestra/pkg/remote"
	"orchestra/pkg/settings"
	"orchestra/pkg/store"
)

// simWorld is a panel, three servers and what lies between them, with faults
// as one seed wants them. It lives in one bubble of testing/synctest, so that
// its hours take milliseconds.
type simWorld struct {
	t         testing.TB
	random    *rand.Rand
	network   *network
	machines  []*simMachine
	topology  *testTopology
	directory string
	registry  *noun.Registry
	model     *simModel
	tally     *simTally
	alone     bool          // no operation has another one beside it
	interrupt time.Duration // SIGINT after it; 0: none

	mutex sync.Mutex
	began time.Time
	story []string
}

// simDatabase makes an empty database once; every world copies it.
var simDatabase = sync.OnceValues(func() ([]byte, error) {
	directory, err := os.MkdirTemp("", "orchestra-simulation")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(directory)
	path := filepath.Join(directory, "orchestra.db")
	opened, err := store.Create(context.Background(), store.Options{Path: path, Registry: testRegistry(&testing.T{})})
	if err != nil {
		return nil, err
	}
	if err := opened.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// fastDirectory makes a directory whose syncs cost nothing, where there is one.
func fastDirectory() (string, error) {
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = ""
	}
	return os.MkdirTemp(base, "orchestra-simulation")
}

func newWorld(t testing.TB, directory string, seed uint64) *simWorld {
	w := &simWorld{
		t: t, random: rand.New(rand.NewPCG(seed, 7)), topology: threeServers(3), directory: directory,
		registry: testRegistry(t), model: newModel(), began: time.Now(),
	}
	w.network = &network{random: rand.New(rand.NewPCG(seed, 8)), cut: map[int64]bool{}}
	for id := int64(1); id <= 3; id++ {
		w.machines = append(w.machines, newMachine(w, id, seed))
	}
	template, err := simDatabase()
	must(err)
	must(os.WriteFile(filepath.Join(directory, "orchestra.db"), template, 0o600))
	return w
}

// trace adds to the story that a failure prints.
func (w *simWorld) trace(format string, args ...any) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.story = append(w.story, fmt.Sprintf("%10s ", time.Since(w.began).Round(time.Microsecond))+fmt.Sprintf(format, args...))
}

func (w *simWorld) told() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return strings.Join(w.story, "\n")
}

// end stops everything.
func (w *simWorld) end() {
	for _, m := range w.machines {
		m.killAll()
		m.serving.Wait()
	}
}

// simPanel is one process of the panel.
type simPanel struct {
	*Coordinator
	world *simWorld
	store *store.Store

	mutex   sync.Mutex
	crashed bool
	writes  int
	// at is asked before and after each write: whether to crash there, or what
	// error the write gives.
	at func(number int, name string, after bool) (crash bool, err error)
}

func (w *simWorld) newPanel() *simPanel {
	opened, err := store.Open(context.Background(), store.Options{Path: filepath.Join(w.directory, "orchestra.db"), Registry: w.registry})
	must(err)
	p := &simPanel{world: w, store: opened}
	locks, err := NewLocks(filepath.Join(w.directory, "locks"), nil)
	must(err)
	s := settings.Default()
	s.Lock.Wait = 3 * time.Minute
	s.Operation.Timeout = 0
	connect := func(_ context.Context, server Server) (remote.Transport, error) {
		return &simTransport{panel: p, machine: w.machines[server.ID-1]}, nil
	}
	p.Coordinator = New(Options{
		Store: opened, Registry: w.registry, Backends: testBackends{filesBackend}, Settings: s, Topology: w.topology,
		Connect: connect, Fresh: connect, Locks: locks, faults: p,
		Free: func(string) (uint64, error) { return 1 << 40, nil },
	})
	return p
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
	n := p.world.network
	n.mutex.Lock()
	cables := append([]*cable(nil), n.cables...)
	n.mutex.Unlock()
	for _, c := range cables {
		if c.panel == p {
			c.down.sever(errCrashed)
			c.up.end(n.delay())
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
	number, at := p.writes, p.at
	p.mutex.Unlock()
	if at == nil {
		return nil
	}
	crash, err := at(number, name, after)
	if crash {
		p.crash()
		return errCrashed
	}
	if err != nil {
		p.world.trace("write %d (%s) gives an error, after=%v", number, name, after)
		return fmt.Errorf("%w: %w", store.ErrCommit, err)
	}
	return nil
}

func (p *simPanel) close() { p.store.Close() }

// simModel is what the database should hold.
type simModel struct {
	labels map[string]string    // by account
	items  map[string][2]string // by name: account, value
}

func newModel() *simModel {
	return &simModel{labels: map[string]string{}, items: map[string][2]string{}}
}

func (m *simModel) clone() *simModel {
	return &simModel{labels: maps.Clone(m.labels), items: maps.Clone(m.items)}
}

func (m *simModel) equal(other *simModel) bool {
	return maps.Equal(m.labels, other.labels) && maps.Equal(m.items, other.items)
}

// content is what every server should have.
func (m *simModel) content() (files, entries map[string]string) {
	files, entries = map[string]string{}, map[string]string{"neighbour": "stays"}
	for name, item := range m.items {
		files[name] = item[1] + "/" + m.labels[item[0]]
		entries[name] = item[1]
	}
	return files, entries
}

// stored reads the database as a model.
func (w *simWorld) stored(p *simPanel) *simModel {
	m := newModel()
	err := p.store.View(context.Background(), func(tx *store.Tx) error {
		accounts, err := tx.Select(context.Background(), "account")
		if err != nil {
			return err
		}
		names := map[int64]string{}
		for _, row := range accounts {
			m.labels[row.Text("name")] = row.Text("label")
			names[row.ID] = row.Text("name")
		}
		items, err := tx.Select(context.Background(), "item")
		for _, row := range items {
			m.items[row.Text("name")] = [2]string{names[row.Int("account")], row.Text("value")}
		}
		return err
	})
	must(err)
	return m
}

// simOperation is one command: what it does to the database, and to the model.
type simOperation struct {
	command string
	mutate  func(context.Context, noun.Planner) error
	apply   func(*simModel)
}

func simAdd(name, account, value string) simOperation {
	return simOperation{"add " + name + " " + value, addItem(name, account, value), func(m *simModel) { m.items[name] = [2]string{account, value} }}
}

func simSet(name, account, value string) simOperation {
	return simOperation{"set " + name + " " + value, setItem(name, "value", value), func(m *simModel) { m.items[name] = [2]string{account, value} }}
}

func simDelete(name string) simOperation {
	return simOperation{"delete " + name, deleteItem(name), func(m *simModel) { delete(m.items, name) }}
}

func simAccount(name string) simOperation {
	return simOperation{"account " + name, addAccount(name), func(m *simModel) { m.labels[name] = "" }}
}

func simLabel(account, label string) simOperation {
	return simOperation{"label " + account + " " + label, func(ctx context.Context, plan noun.Planner) error {
		row, err := plan.Find(ctx, "account", account)
		if err != nil {
			return err
		}
		_, err = plan.Set(ctx, row, noun.Values{"label": label})
		return err
	}, func(m *simModel) { m.labels[account] = label }}
}

// both does two operations as one.
func both(a, b simOperation) simOperation {
	return simOperation{a.command + "; " + b.command, func(ctx context.Context, plan noun.Planner) error {
		if err := a.mutate(ctx, plan); err != nil {
			return err
		}
		return b.mutate(ctx, plan)
	}, func(m *simModel) { a.apply(m); b.apply(m) }}
}

// some chooses an operation that makes sense in the model.
func (w *simWorld) some(number int) simOperation {
	account := "acme"
	if w.random.IntN(3) == 0 {
		account = "bob"
	}
	value := fmt.Sprintf("v%d", number)
	add := simAdd(fmt.Sprintf("item%d", number), account, value)
	names := sortedKeys(w.model.items)
	if len(names) == 0 {
		return add
	}
	name := names[w.random.IntN(len(names))]
	set := simSet(name, w.model.items[name][0], value)
	switch w.random.IntN(6) {
	case 0:
		return set
	case 1:
		return simDelete(name)
	case 2:
		return simLabel(account, "l"+value)
	case 3:
		return both(add, set)
	}
	return add
}

// beside chooses, at times, what another process does at the same moment: a
// new item, of the same account or another one.
func (w *simWorld) beside(number int) *simOperation {
	if w.alone || w.random.IntN(3) > 0 {
		return nil
	}
	account := []string{"acme", "bob"}[w.random.IntN(2)]
	other := simAdd(fmt.Sprintf("other%d", number), account, fmt.Sprintf("o%d", number))
	return &other
}

var errInputOutput = errors.Join(errors.New("disk I/O error"), io.ErrShortWrite)

package operation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// simWorld is a panel, three servers and what lies between them, with faults
// as a story wants them. It lives in one bubble of testing/synctest, so that
// its hours take milliseconds.
type simWorld struct {
	t         testing.TB
	seed      uint64
	random    *rand.Rand
	network   *network
	machines  []*simMachine
	clock     *simClock // the panel's
	directory string
	registry  *noun.Registry
	model     *simModel
	tally     *simTally
	observer  *store.Store // reads what the panel has written, whatever becomes of the panel
	watch     simWatch

	mutex     sync.Mutex
	interrupt time.Duration // SIGINT after it; 0: none
	cramped   bool          // the panel's disk is nearly full
	blamed    bool          // something of the panel's own broke
	began     time.Time
	story     []string
}

// simDatabase makes an empty database once; every world copies it.
var simDatabase = sync.OnceValues(func() ([]byte, error) {
	directory, err := os.MkdirTemp("", "orchestra-simulation")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(directory)
	path := filepath.Join(directory, "orchestra.db")
	opened, err := store.Create(context.Background(), store.Options{Path: path, Registry: simRegistry(&testing.T{})})
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

func newWorld(t testing.TB, directory string, seed uint64, tally *simTally) *simWorld {
	w := &simWorld{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 9)), directory: directory, clock: &simClock{},
		registry: simRegistry(t), model: newModel(), began: time.Now(), tally: tally,
	}
	w.network = newNetwork(seed)
	for id := int64(1); id <= 3; id++ {
		w.machines = append(w.machines, newMachine(w, id, seed))
	}
	w.emptyDatabase(w.database())
	w.observe()
	return w
}

func (w *simWorld) database() string { return filepath.Join(w.directory, "orchestra.db") }

func (w *simWorld) emptyDatabase(path string) {
	template, err := simDatabase()
	must(err)
	must(os.WriteFile(path, template, 0o600))
}

// observe opens the database for the oracle.
func (w *simWorld) observe() {
	var err error
	w.observer, err = store.Open(context.Background(), store.Options{Path: w.database(), Registry: w.registry})
	must(err)
}

// machine returns a server by its name.
func (w *simWorld) machine(name string) *simMachine {
	for _, m := range w.machines {
		if m.name == name {
			return m
		}
	}
	panic("no machine " + name)
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

// blame notes that the panel's own disk or database broke: then it may end
// with the exit code of that.
func (w *simWorld) blame() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.blamed = true
}

func (w *simWorld) isBlamed() bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.blamed
}

// end stops everything.
func (w *simWorld) end() {
	for _, m := range w.machines {
		m.killAll()
		m.serving.Wait()
	}
	w.observer.Close()
}

var errInputOutput = errors.Join(errors.New("disk I/O error"), io.ErrShortWrite)

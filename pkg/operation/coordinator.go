// Package operation coordinates one change over many servers: it plans,
// journals, stages, publishes, commits or undoes, and recovers what a crash has
// left. docs/protocol.md says the rules; this is the panel's side of them.
//
// It knows no noun by name: what is to be done comes from the nouns'
// declarations, the backends' folders and the routes.
package operation

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/remote"
	"orchestra/pkg/settings"
	"orchestra/pkg/store"
)

// Backends are the installed backends.
type Backends interface {
	// Backend returns one by name, nil where there is none.
	Backend(name string) *backend.Backend
	// ForNoun returns those that are told about objects of a noun: their own
	// noun or a related one.
	ForNoun(noun string) []*backend.Backend
}

// Options are what a coordinator works with.
type Options struct {
	Store    *store.Store
	Registry *noun.Registry
	Backends Backends
	Settings *settings.Settings
	Topology Topology
	// Connect reaches a server; it may give the same connection several times.
	// Start of what it returns runs the runtime, whatever command is given. A
	// fault of kind Unreachable means that nothing was sent.
	Connect func(context.Context, Server) (remote.Transport, error)
	// Fresh is Connect over a new connection with a new login.
	Fresh func(context.Context, Server) (remote.Transport, error)
	// Locks are the panel's; nil: in the settings' directory.
	Locks *Locks
	// Progress is told what happens; it may be nil.
	Progress Progress
	// Free returns the free bytes of a path's file system; nil asks the kernel.
	Free func(path string) (uint64, error)

	// faults, in tests, sees every write of the panel.
	faults faults
}

// faults lets tests crash the panel: before runs before a write with its
// number and name, after once it is durable. An error of either is the write's.
type faults interface {
	before(name string) error
	after(name string) error
}

// Coordinator runs operations. It is safe for concurrent use.
type Coordinator struct {
	options Options
	locks   func() (*Locks, error)
	// whomever says that servers are asked which do not follow this panel.
	whomever bool
}

// New returns a coordinator.
func New(options Options) *Coordinator {
	c := &Coordinator{options: options}
	c.locks = sync.OnceValues(func() (*Locks, error) {
		if options.Locks != nil {
			return options.Locks, nil
		}
		directory := options.Settings.Lock.Directory
		if directory == "" {
			directory = filepath.Join(filepath.Dir(options.Store.Path()), "locks")
		}
		return NewLocks(directory, nil)
	})
	if c.options.Free == nil {
		c.options.Free = freeBytes
	}
	return c
}

// Holders returns the commands that hold locks of this panel now.
func (c *Coordinator) Holders() ([]Holder, error) {
	locks, err := c.locks()
	if err != nil {
		return nil, err
	}
	return locks.Holders(), nil
}

// Interrupted returns the operations that have not ended and that nobody runs any
// more: Recover ends them.
func (c *Coordinator) Interrupted(ctx context.Context) ([]store.Operation, error) {
	before, err := c.open(ctx)
	if err != nil || len(before) == 0 {
		return nil, err
	}
	holders, err := c.Holders()
	if err != nil {
		return nil, err
	}
	// One that was open before and after had its runner in between, if it has one.
	after, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(after, func(operation store.Operation) bool {
		return slices.ContainsFunc(holders, func(holder Holder) bool { return holder.Operation == operation.ID }) ||
			!slices.ContainsFunc(before, func(one store.Operation) bool { return one.ID == operation.ID })
	}), nil
}

func (c *Coordinator) open(ctx context.Context) (open []store.Operation, err error) {
	err = c.view(ctx, c.options.Store, func(tx *store.Tx) error {
		open, err = tx.OpenOperations(ctx)
		return err
	})
	return open, err
}

// view reads in one transaction.
func (c *Coordinator) view(ctx context.Context, from *store.Store, read func(*store.Tx) error) error {
	return from.View(ctx, read)
}

// update writes in one transaction. Its name is for tests.
func (c *Coordinator) update(ctx context.Context, to *store.Store, name string, write func(*store.Tx) error) error {
	if c.options.faults == nil {
		return to.Update(ctx, write)
	}
	if err := c.options.faults.before(name); err != nil {
		return err
	}
	if err := to.Update(ctx, write); err != nil {
		return err
	}
	return c.options.faults.after(name)
}

// wait returns how long a request waits for a lock.
func (c *Coordinator) wait(request Request) time.Duration {
	if request.Wait != 0 {
		return max(request.Wait, 0)
	}
	if c.options.Settings.Lock.Wait > 0 {
		return c.options.Settings.Lock.Wait
	}
	return defaultLockWait
}

const defaultLockWait = time.Minute

// lowSpace is how many bytes the panel must have free before an operation
// begins: enough for its journal and the log of its outputs.
const lowSpace = 16 << 20

// checkSpace refuses to begin what could not be ended for want of space.
func (c *Coordinator) checkSpace() error {
	directory := filepath.Dir(c.options.Store.Path())
	free, err := c.options.Free(directory)
	if err != nil {
		return fault.New(fault.Internal, "the free space of %s is not known", directory).Because(err)
	}
	if free < lowSpace {
		return fault.New(fault.Internal, "only %d KiB are free in %s: nothing was begun", free>>10, directory).
			WithHint("free at least %d MiB there", lowSpace>>20)
	}
	return nil
}

// unknown tells whether err leaves open if a transaction was committed.
func unknown(err error) bool { return errors.Is(err, store.ErrCommit) }

// reopen opens the database once more.
func (c *Coordinator) reopen(ctx context.Context, old *store.Store) (*store.Store, error) {
	if c.options.faults != nil {
		if err := c.options.faults.before("reopen"); err != nil {
			return nil, err
		}
	}
	return old.Reopen(ctx)
}

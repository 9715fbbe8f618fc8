package operation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"orchestra/pkg/fault"
)

// Locks are the lock files of one panel, in one directory on a local file
// system. A lock is flock(2)'s: it ends with its process, however that ends.
// Files are named by id and never removed, but for an operation's own one,
// which its holder removes after the operation's end.
type Locks struct {
	directory string
	now       func() time.Time
}

// NewLocks returns the locks in directory, which is made where it is missing.
func NewLocks(directory string, now func() time.Time) (*Locks, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, fault.New(fault.Internal, "the lock directory %s cannot be made", directory).Because(err)
	}
	if now == nil {
		now = time.Now
	}
	return &Locks{directory: directory, now: now}, nil
}

// lockClass orders the locks: one may be waited for only while every lock that
// is held comes before it.
type lockClass int

const (
	lockGate lockClass = iota // held for an instant while the world is taken, so that who wants it alone is not starved
	lockWorld
	lockAccount
	lockServer
)

type lockKey struct {
	class lockClass
	id    int64
}

func (k lockKey) String() string {
	switch k.class {
	case lockGate:
		return "gate"
	case lockWorld:
		return "world"
	case lockAccount:
		return fmt.Sprintf("account-%d", k.id)
	}
	return fmt.Sprintf("server-%d", k.id)
}

func compareKeys(a, b lockKey) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.id, b.id))
}

// lockWant is a lock that is wanted, alone or shared with others.
type lockWant struct {
	key    lockKey
	shared bool
	label  string // what people call it: "account acme"; "" where that is not known
}

// name is what people are told of a lock.
func (w lockWant) name() string {
	if w.label != "" {
		return w.label
	}
	return w.key.String()
}

var (
	world      = lockWant{key: lockKey{class: lockWorld}, shared: true, label: "world"}
	worldAlone = lockWant{key: lockKey{class: lockWorld}, label: "world"}
)

// heldLock is one lock file that is held.
type heldLock struct {
	file   *os.File
	shared bool
}

// lockSet is what one operation holds, from its own lock on.
type lockSet struct {
	locks  *Locks
	holder Holder
	own    *os.File
	held   map[lockKey]heldLock
	// waiting is told, at times, whom a lock that is waited for is held by.
	waiting func(lockWant, []Holder)
}

// begin takes the lock of a new operation, or of a dead one. It never waits:
// nil where somebody holds it.
func (l *Locks) begin(id, command string) (*lockSet, error) {
	path := filepath.Join(l.directory, operationFile+id)
	file, err := l.try(path, false)
	if err != nil || file == nil {
		return nil, err
	}
	set := &lockSet{
		locks: l, own: file, held: map[lockKey]heldLock{},
		holder: Holder{Operation: id, PID: os.Getpid(), Command: command, Since: l.now().UTC()},
	}
	set.note()
	return set, nil
}

// take takes all that is wanted, in order, waiting up to wait for each that
// others hold. What was held before stays held; on an error nothing new is.
// Every new lock must come after those held: anything else could wait in a ring.
func (s *lockSet) take(ctx context.Context, wait time.Duration, wants ...lockWant) error {
	wants = s.missing(wants)
	var last lockKey
	for key := range s.held {
		if compareKeys(key, last) > 0 {
			last = key
		}
	}
	if len(wants) > 0 && len(s.held) > 0 && compareKeys(wants[0].key, last) <= 0 {
		return fmt.Errorf("lock %s is wanted while %s is held", wants[0].key, last)
	}
	for i, want := range wants {
		if err := s.wait(ctx, wait, want); err != nil {
			s.release(wants[:i]...)
			return err
		}
	}
	if len(wants) > 0 {
		s.note()
	}
	return nil
}

// try takes all that is wanted, or nothing. It never waits, so the order does
// not matter.
func (s *lockSet) try(wants ...lockWant) (bool, error) {
	wants = s.missing(wants)
	for i, want := range wants {
		took, err := s.tryOne(want)
		if err != nil || !took {
			s.release(wants[:i]...)
			return false, err
		}
	}
	if len(wants) > 0 {
		s.note()
	}
	return true, nil
}

// missing returns what of wants is not held, in order, each once. A lock that
// is held shared and wanted alone is released first.
func (s *lockSet) missing(wants []lockWant) []lockWant {
	strongest := map[lockKey]lockWant{}
	for _, want := range wants {
		if other, known := strongest[want.key]; !known || other.shared {
			strongest[want.key] = want
		}
	}
	var missing []lockWant
	for key, want := range strongest {
		have, is := s.held[key]
		if is && (want.shared || !have.shared) {
			continue
		}
		if is {
			s.release(want)
		}
		missing = append(missing, want)
	}
	slices.SortFunc(missing, func(a, b lockWant) int { return compareKeys(a.key, b.key) })
	return missing
}

func (s *lockSet) path(key lockKey) string {
	return filepath.Join(s.locks.directory, key.String())
}

func (s *lockSet) tryOne(want lockWant) (bool, error) {
	if want.key.class == lockWorld {
		gate, err := s.locks.try(filepath.Join(s.locks.directory, lockKey{class: lockGate}.String()), want.shared)
		if err != nil || gate == nil {
			return false, err
		}
		defer gate.Close()
	}
	file, err := s.locks.try(s.path(want.key), want.shared)
	if err != nil || file == nil {
		return false, err
	}
	s.held[want.key] = heldLock{file: file, shared: want.shared}
	return true, nil
}

// The times of waiting: how often a lock is tried, and how often whoever waits is told.
const (
	firstPoll   = 2 * time.Millisecond
	longestPoll = 50 * time.Millisecond
	tellFirst   = 500 * time.Millisecond
	tellAgain   = 5 * time.Second
)

func (s *lockSet) wait(ctx context.Context, limit time.Duration, want lockWant) error {
	if want.key.class == lockWorld {
		// The gate is kept while the world is waited for alone: who comes later waits behind.
		gate, err := s.poll(ctx, limit, lockWant{key: lockKey{class: lockGate}, shared: want.shared}, want)
		if err != nil {
			return err
		}
		defer gate.Close()
	}
	file, err := s.poll(ctx, limit, want, want)
	if err != nil {
		return err
	}
	s.held[want.key] = heldLock{file: file, shared: want.shared}
	return nil
}

// poll takes one lock file, waiting for it; about is the lock that is told of.
func (s *lockSet) poll(ctx context.Context, limit time.Duration, want, about lockWant) (*os.File, error) {
	pause, waited, told := firstPoll, time.Duration(0), tellFirst
	for {
		file, err := s.locks.try(s.path(want.key), want.shared)
		if err != nil || file != nil {
			return file, err
		}
		if waited >= limit {
			return nil, s.lockedFault(about, limit)
		}
		if waited >= told && s.waiting != nil {
			told = waited + tellAgain
			s.waiting(about, s.locks.holding(about, s.holder.Operation))
		}
		timer := time.NewTimer(min(pause, limit-waited))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
		waited += min(pause, limit-waited)
		pause = min(2*pause, longestPoll)
	}
}

func (s *lockSet) lockedFault(want lockWant, limit time.Duration) error {
	holders := s.locks.holding(want, s.holder.Operation)
	switch {
	case len(holders) == 0 && limit == 0:
		return fault.New(fault.Locked, "the lock of %s is not free", want.name()).WithHint("orchestra lock")
	case limit == 0:
		return fault.New(fault.Locked, "the lock of %s is not free: held by process %d (%s) since %s",
			want.name(), holders[0].PID, holders[0].Command, holders[0].Since.Format(time.RFC3339)).WithHint("orchestra lock")
	case len(holders) == 0:
		return fault.New(fault.Locked, "the lock of %s was not obtained in %s", want.name(), limit).WithHint("orchestra lock")
	}
	return fault.New(fault.Locked, "the lock of %s was not obtained in %s: held by process %d (%s) since %s",
		want.name(), limit, holders[0].PID, holders[0].Command, holders[0].Since.Format(time.RFC3339)).WithHint("orchestra lock")
}

// release gives locks back.
func (s *lockSet) release(wants ...lockWant) {
	for _, want := range wants {
		if held, is := s.held[want.key]; is {
			held.file.Close()
			delete(s.held, want.key)
		}
	}
}

// releaseClass gives all locks of a class back.
func (s *lockSet) releaseClass(class lockClass) {
	for key := range s.held {
		if key.class == class {
			s.release(lockWant{key: key})
		}
	}
}

// close gives everything back. ended says that the operation has ended, or was
// never journaled: then nobody will ask for its lock again and the file goes.
func (s *lockSet) close(ended bool) {
	if s == nil {
		return
	}
	for key := range s.held {
		s.release(lockWant{key: key})
	}
	if s.own == nil {
		return
	}
	if ended {
		os.Remove(s.own.Name())
	} else {
		s.own.Truncate(0) //nolint:errcheck // it only names the holder, which this is no more
	}
	s.own.Close()
	s.own = nil
}

// try opens a lock file and locks it; nil where somebody else holds it.
func (l *Locks) try(path string, shared bool) (*os.File, error) {
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	for {
		// Go opens close-on-exec: no child inherits a lock.
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fault.New(fault.Internal, "the lock file %s cannot be opened", path).Because(err)
		}
		err = flock(file, how|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, nil
		}
		if err != nil {
			file.Close()
			return nil, fault.New(fault.Internal, "the file %s cannot be locked", path).Because(err)
		}
		// Its holder may have removed it between our opening and locking: then
		// what we hold is a name's past.
		if same(file, path) {
			return file, nil
		}
		file.Close()
	}
}

func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func same(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(opened, named)
}

// alone tells whether nobody else runs an operation.
func (s *lockSet) alone() bool {
	held, is := s.held[worldAlone.key]
	return is && !held.shared
}

// dead tells whether an operation that has not ended has no runner any more.
func (l *Locks) dead(id string) (bool, error) {
	path := filepath.Join(l.directory, operationFile+id)
	file, err := l.try(path, false)
	if file != nil {
		file.Close()
	}
	return file != nil, err
}

package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"orchestra/pkg/wire"
)

// ProtocolVersion is that of the frames and of the files that sessions of
// different binaries share on a server.
const ProtocolVersion = 1

// DefaultDirectory is the runtime's own directory on a server.
const DefaultDirectory = "/var/lib/orchestra"

// recoveryWait is how long a session that takes an operation over waits for the
// former runner to be dead and for its lock.
const recoveryWait = 10 * time.Second

// Options are what a session works with. All but Directory must be given.
type Options struct {
	Disk   Disk
	Clock  Clock
	Runner Runner
	// Directory is the runtime's own, within the disk; default DefaultDirectory.
	Directory string
	// Input carries the panel's frames. Where it is an io.Closer, it is closed at the end.
	Input  io.Reader
	Output io.Writer
	// StandIns announces what would be done by root or to daemons, and does not do it.
	StandIns bool
}

// session is one connection of a panel.
type session struct {
	machine *machine
	conn    *wire.Conn

	operation *operation // the one that this session has staged
	failed    bool       // a word about it failed: only UNDO may follow
	lock      Unlocker   // the server's own
	// refused are operations whose STAGE was refused in this session before
	// anything was made: there is nothing to undo, and none can arrive late.
	refused map[string]bool

	mutex     sync.Mutex
	beat      wire.Heartbeat
	reader    sync.WaitGroup
	interrupt context.CancelFunc // ends the word that is being done, where it may be ended
}

// Serve runs one session: it ends when the panel does, or is silent for too
// long, or ctx ends. What it then does with an operation that has not ended
// depends on the operation's state; see docs/protocol.md. An error means that
// the session broke, not that an operation failed.
func Serve(ctx context.Context, options Options) error {
	if options.Directory == "" {
		options.Directory = DefaultDirectory
	}
	s := &session{conn: wire.NewConn(options.Input, options.Output), refused: map[string]bool{}}
	// It may lie behind a link of the administrator's, as /var does on some servers.
	own, err := newResolver(options.Disk).directory(options.Directory, 0)
	if err != nil {
		return err
	}
	s.machine = &machine{
		records: &records{disk: options.Disk, clock: options.Clock, dir: own.Path},
		runner:  options.Runner, standIns: options.StandIns, progress: s.progress,
	}
	if err := s.hello(); err != nil {
		return err
	}

	alive, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	frames := make(chan wire.Frame)
	var received error
	background.Go(func() {
		defer cancel() // whatever is being done: the panel is gone
		received = s.receive(alive, frames, options.Clock)
	})
	background.Go(func() { s.heartbeats(alive, cancel, options.Clock) })

	err = s.work(alive, frames)
	cancel()
	closer, closes := options.Input.(io.Closer)
	if closes {
		_ = closer.Close() // the reader may be waiting in it
	}
	background.Wait()
	if closes {
		s.reader.Wait()
	}
	err = errors.Join(err, s.leave(context.WithoutCancel(ctx)))
	if errors.Is(received, io.EOF) || errors.Is(received, context.Canceled) || errors.Is(received, errSilence) {
		received = nil
	}
	return errors.Join(err, received)
}

var errSilence = errors.New("the panel has been silent for too long")

// receive hands the panel's words on, until there are no more.
func (s *session) receive(ctx context.Context, frames chan<- wire.Frame, clock Clock) error {
	type arrival struct {
		frame wire.Frame
		err   error
	}
	arrivals := make(chan arrival)
	s.reader.Go(func() {
		for {
			frame, err := s.conn.Receive()
			select {
			case arrivals <- arrival{frame, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	var waiting []wire.Frame // words that came while another is being done
	silence := clock.After(wire.SilenceLimit)
	for {
		var out chan<- wire.Frame
		var next wire.Frame
		if len(waiting) > 0 {
			out, next = frames, waiting[0]
		}
		select {
		case arrived := <-arrivals:
			if arrived.err != nil {
				return arrived.err
			}
			silence = clock.After(wire.SilenceLimit)
			if arrived.frame.Word == wire.WordHeartbeat {
				continue
			}
			if arrived.frame.Word == wire.WordUndo {
				s.stop() // what is being done need not be finished
			}
			if len(waiting) == maxWaiting {
				return errors.New("the panel says more than can be done")
			}
			waiting = append(waiting, arrived.frame)
		case out <- next:
			waiting = waiting[1:]
		case <-silence:
			return errSilence
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const maxWaiting = 16

// heartbeats tells the panel that we live, and what we are doing.
func (s *session) heartbeats(ctx context.Context, cancel context.CancelFunc, clock Clock) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-clock.After(wire.HeartbeatInterval):
		}
		s.mutex.Lock()
		beat := s.beat
		s.mutex.Unlock()
		if err := s.conn.Send(wire.WordHeartbeat, beat); err != nil {
			cancel()
			return
		}
	}
}

func (s *session) progress(doing string, done, total int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.beat = wire.Heartbeat{Doing: doing, Done: done, Total: total}
}

// hello introduces the server. It makes nothing.
func (s *session) hello() error {
	m := s.machine
	who := m.runner.Machine()
	hello := wire.Hello{Version: ProtocolVersion, BootID: who.BootID, Hostname: who.Hostname, Architecture: who.Architecture}
	panel, _, err := m.panel()
	if err != nil {
		return err
	}
	hello.PanelID, hello.Sequence = panel.PanelID, panel.Sequence
	ids, err := m.open()
	if err != nil {
		return err
	}
	for _, id := range ids {
		h, err := m.history(id)
		if errors.Is(err, fs.ErrNotExist) {
			if _, err := m.tombstone(id); err == nil {
				continue // it has ended; its directory is being removed
			}
			h.State = wire.StateStaging
		} else if err != nil {
			return err
		}
		hello.Open = append(hello.Open, wire.OpenOperation{Operation: id, State: h.State})
	}
	return s.conn.Send(wire.WordHello, hello)
}

// work does what the panel says, word for word.
func (s *session) work(ctx context.Context, frames <-chan wire.Frame) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case frame := <-frames:
			if err := s.handleOne(ctx, frame); err != nil {
				return err
			}
		}
	}
}

// handleOne does one word, which an UNDO that arrives meanwhile interrupts.
func (s *session) handleOne(ctx context.Context, frame wire.Frame) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mutex.Lock()
	s.interrupt = cancel
	s.mutex.Unlock()
	defer func() {
		s.mutex.Lock()
		s.beat, s.interrupt = wire.Heartbeat{}, nil
		s.mutex.Unlock()
	}()
	return s.handle(ctx, frame)
}

func (s *session) stop() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.interrupt != nil {
		s.interrupt()
	}
}

// handle does one word. An error ends the session; an operation that fails is an
// answer, not an error.
func (s *session) handle(ctx context.Context, frame wire.Frame) error {
	switch frame.Word {
	case wire.WordStage:
		return handle(s, frame, func(stage wire.Stage) error { return s.stage(ctx, stage) })
	case wire.WordPublish:
		return handle(s, frame, func(publish wire.Publish) error { return s.publish(ctx, publish) })
	case wire.WordReload:
		return handle(s, frame, func(reload wire.Reload) error { return s.reload(ctx, reload) })
	case wire.WordPivot:
		return handle(s, frame, func(pivot wire.Pivot) error { return s.pivot(ctx, pivot) })
	case wire.WordKeep:
		return handle(s, frame, func(keep wire.Keep) error { return s.keep(ctx, keep) })
	case wire.WordUndo:
		return handle(s, frame, func(undo wire.Undo) error { return s.undo(ctx, undo) })
	case wire.WordObserve:
		return handle(s, frame, func(observe wire.Observe) error { return s.observe(ctx, observe) })
	case wire.WordAdopt:
		return handle(s, frame, func(adopt wire.Adopt) error { return s.adopt(ctx, adopt) })
	case wire.WordProbe:
		return handle(s, frame, func(probe wire.Probe) error { return s.probe(ctx, probe) })
	}
	return fmt.Errorf("%q is no word of a panel", printable(string(frame.Word)))
}

func handle[T any](s *session, frame wire.Frame, f func(T) error) error {
	var content T
	if err := frame.Decode(&content); err != nil {
		return err
	}
	return f(content)
}

// answer says how a word ended. done is the word for success, phase names what
// was being done for a failure.
func (s *session) answer(done wire.Word, phase string, o *operation, started time.Time, err error) error {
	report := wire.Report{Duration: s.machine.clock.Now().Sub(started)}
	if o != nil {
		report.Operation, report.State = o.id, o.state
		for _, step := range o.steps {
			report.Steps = append(report.Steps, step.report())
		}
	}
	if err == nil {
		return s.conn.Send(done, report)
	}
	if errors.Is(err, ErrDead) {
		return err
	}
	if errors.Is(err, errFailedBefore) {
		return nil // it was answered once: the panel has sent this word before it knew
	}
	if o != nil && o == s.operation {
		s.failed = true
	}
	report.Failure = failureOf(err, phase)
	if report.Failure.Code == wire.CodePivot && report.State == wire.StateUndone {
		return s.conn.Send(done, report) // it has ended; what stays is named
	}
	if isConflict(err) {
		return s.conn.Send(wire.WordConflict, report)
	}
	return s.conn.Send(wire.WordFailed, report)
}

var errFailedBefore = errors.New("the operation has failed: it can only be undone")

// current returns the operation that this session has staged, for a word that
// wants one of states.
func (s *session) current(id string, states ...wire.State) (*operation, error) {
	o := s.operation
	if o == nil || o.id != id {
		return nil, fail(wire.CodeOrder, "", "operation %s was not staged in this session", printable(id))
	}
	if s.failed {
		return o, errFailedBefore
	}
	if !slices.Contains(states, o.state) {
		return o, fail(wire.CodeOrder, "", "the operation is %s, not %v", o.state, states)
	}
	return o, nil
}

// takeLock takes the server's own lock, once for the session.
func (s *session) takeLock(ctx context.Context, wait time.Duration) error {
	if s.lock != nil {
		return nil
	}
	lock, err := s.machine.lock(ctx, s.machine.path(fileLock), false, wait)
	if err == nil {
		s.lock = lock
	}
	return err
}

func (s *session) dropLock() {
	if s.lock != nil {
		_ = s.lock.Unlock()
		s.lock = nil
	}
}

// leave is what a session does when its panel is gone: what is not live goes,
// what may be live is put back; after the first reload it decides nothing.
func (s *session) leave(ctx context.Context) error {
	defer s.dropLock()
	o := s.operation
	if o == nil {
		return nil
	}
	switch o.state {
	case wire.StateStaging, wire.StateStaged, wire.StatePublishing:
		return s.undoAll(ctx, o)
	case wire.StateKept, wire.StateUndone:
		s.dropLock() // nobody is to wait for what follows
		s.machine.purge()
		s.machine.purgeTrash()
		s.machine.purgeParked(ctx)
	}
	return nil
}

package remote

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"orchestra/pkg/fault"
)

// connection is one SSH connection to one server, and the processes on it.
type connection struct {
	target Target
	client *ssh.Client
	slots  slots
	owns   *connection // the connection to the jump host, where it is ours alone

	done   chan struct{} // closed when the connection is gone
	silent chan struct{} // closed when it was given up because the server is silent
	broken atomic.Bool   // known sooner than by done

	workers   sync.WaitGroup
	mutex     sync.Mutex
	closed    bool // by us
	processes map[*sshProcess]bool
}

func newConnection(target Target, client *ssh.Client) *connection {
	c := &connection{
		target: target, client: client, slots: newSlots(target.Slots),
		done: make(chan struct{}), silent: make(chan struct{}), processes: map[*sshProcess]bool{},
	}
	c.spawn(func() {
		client.Wait()
		close(c.done)
	})
	c.spawn(c.keepAlive)
	return c
}

// spawn runs work in a goroutine that Close waits for.
func (c *connection) spawn(work func()) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed { // there is little left to do, and nobody to wait for it
		go work()
		return
	}
	c.workers.Go(work)
}

// Start begins a process. Where all slots are taken it waits for one. ctx
// bounds the starting, not the process. It does not wait for the server to say
// that the process runs: the first byte of its output, or Wait, tells.
func (c *connection) Start(ctx context.Context, command Command) (Process, error) {
	line, err := commandLine(command, c.target.Login != DefaultLogin)
	if err != nil {
		return nil, fault.New(fault.Internal, "a command for server %s cannot be written", c.target.Name).Because(err)
	}
	release, err := c.slots.acquire(ctx)
	if err != nil {
		return nil, c.notStarted(err)
	}
	channel, requests, err := c.open(ctx)
	if err != nil {
		release()
		return nil, c.notStarted(err)
	}
	p := newProcess(c, channel, requests, line, release)
	if !c.adopt(p) {
		p.Kill()
		return nil, c.notStarted(ErrLost)
	}
	return p, nil
}

// adopt notes p as running, so that Close ends its streams; it refuses where
// Close was quicker.
func (c *connection) adopt(p *sshProcess) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if !c.closed {
		c.processes[p] = true
	}
	return !c.closed
}

func (c *connection) forget(p *sshProcess) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.processes, p)
}

// open opens a channel for one process. A server that has no room for another
// (MaxSessions) is asked again until ctx ends, but no longer than connecting
// may take.
func (c *connection) open(ctx context.Context) (ssh.Channel, <-chan *ssh.Request, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.target.ConnectTimeout, errConnectTimeout)
	defer cancel()
	for wait := backoff(20 * time.Millisecond); ; {
		channel, requests, err := c.openOnce(ctx)
		refused, full := errors.AsType[*ssh.OpenChannelError](err)
		full = full && (refused.Reason == ssh.ConnectionFailed || refused.Reason == ssh.ResourceShortage)
		if err == nil || !full {
			return channel, requests, err
		}
		if !pause(ctx, wait()) {
			return nil, nil, err
		}
	}
}

func (c *connection) openOnce(ctx context.Context) (ssh.Channel, <-chan *ssh.Request, error) {
	type result struct {
		channel  ssh.Channel
		requests <-chan *ssh.Request
		err      error
	}
	results := make(chan result, 1)
	c.spawn(func() {
		channel, requests, err := c.client.OpenChannel("session", nil)
		if _, refused := errors.AsType[*ssh.OpenChannelError](err); err != nil && !refused {
			err = errors.Join(ErrLost, err) // nothing else ends the wait for an answer
			c.broken.Store(true)
		}
		results <- result{channel, requests, err}
	})
	select {
	case r := <-results:
		return r.channel, r.requests, r.err
	case <-c.silent:
		return nil, nil, ErrLost
	case <-ctx.Done():
		c.spawn(func() {
			if r := <-results; r.err == nil {
				go ssh.DiscardRequests(r.requests)
				r.channel.Close()
			}
		})
		return nil, nil, context.Cause(ctx)
	}
}

// notStarted explains why a process was not started.
func (c *connection) notStarted(err error) error {
	name, where := c.target.Name, c.target.where()
	if refused, ok := errors.AsType[*ssh.OpenChannelError](err); ok {
		return fault.New(fault.Unreachable, "server %s (%s) refuses another session: %s", name, where, printable(refused.Message)).
			WithHint("MaxSessions in sshd_config of %s, or a smaller ssh.slots", name)
	}
	if !c.alive() || errors.Is(err, ErrLost) {
		return c.lost()
	}
	if errors.Is(err, errConnectTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Unreachable, "server %s (%s) did not answer within %s", name, where, c.target.ConnectTimeout).
			WithHint("orchestra server check %s", name)
	}
	if errors.Is(err, context.Canceled) {
		return fault.New(fault.Interrupted, "connecting to server %s was interrupted", name).Because(err)
	}
	return fault.New(fault.Unreachable, "no process could be started on server %s (%s)", name, where).
		Because(foreignError{err}).WithHint("orchestra server check %s", name)
}

// ErrLost is in the chain of every error that says that a connection broke
// while it was in use.
var ErrLost = errors.New("connection lost")

// lostError is a fault that is also ErrLost, which would tell people nothing.
type lostError struct{ fault *fault.Error }

func (e *lostError) Error() string        { return e.fault.Error() }
func (e *lostError) Unwrap() error        { return e.fault }
func (e *lostError) Is(target error) bool { return target == ErrLost }

// lost says that the connection is gone.
func (c *connection) lost() error {
	name, where := c.target.Name, c.target.where()
	hint := func(e *fault.Error) error {
		return &lostError{e.WithHint("orchestra server check %s", name)}
	}
	select {
	case <-c.silent:
		return hint(fault.New(fault.Unreachable, "server %s (%s) stopped answering", name, where))
	default:
	}
	if c.isClosed() {
		return &lostError{fault.New(fault.Unreachable, "the connection to server %s was closed", name)}
	}
	return hint(fault.New(fault.Unreachable, "the connection to server %s (%s) broke", name, where))
}

func (c *connection) isClosed() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.closed
}

// alive tells whether the connection still stands, as far as is known.
func (c *connection) alive() bool {
	select {
	case <-c.done:
		return false
	case <-c.silent:
		return false
	default:
		return !c.isClosed() && !c.broken.Load()
	}
}

// keepAlive asks the server now and then whether it lives, and gives the
// connection up where it does not say so: a cut cable ends nothing by itself.
func (c *connection) keepAlive() {
	ticker := time.NewTicker(c.target.Keepalive)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			giveUp := time.AfterFunc(c.target.Keepalive, func() {
				// Below a jump host that is silent too, closing takes its time.
				close(c.silent)
				c.cutProcesses()
				c.client.Close()
			})
			_, _, err := c.client.SendRequest("keepalive@openssh.com", true, nil)
			if err != nil || !giveUp.Stop() {
				return
			}
		case <-c.done:
			return
		}
	}
}

// Close ends the connection, and waits until nothing of it runs here.
func (c *connection) Close() error {
	c.shut()
	if c.owns != nil {
		c.owns.shut()
	}
	c.workers.Wait()
	if c.owns != nil {
		c.owns.workers.Wait()
	}
	return nil
}

// shut ends the connection without waiting.
func (c *connection) shut() {
	c.mutex.Lock()
	c.closed = true
	c.mutex.Unlock()
	c.cutProcesses()
	c.client.Close()
}

// cutProcesses ends the streams of all that runs.
func (c *connection) cutProcesses() {
	c.mutex.Lock()
	running := slices.Collect(maps.Keys(c.processes))
	c.mutex.Unlock()
	for _, p := range running {
		p.cut(c.lost())
	}
}

package remote

import (
	"context"
	"errors"
	"sync"
)

// Pool holds one connection for each server, for the life of a process. It is
// safe for concurrent use.
//
// It makes connections by dial alone, so that one that stands already, such as
// a ControlMaster's (ssh.NewControlClientConn), can take the place of a new one.
type Pool struct {
	dial func(ctx context.Context, target Target, via *connection) (*connection, error)

	mutex   sync.Mutex
	entries map[string]*poolEntry // by Target.key
	closed  bool
}

// poolEntry is the place of one connection.
type poolEntry struct {
	turn    chan struct{} // held while connecting
	current *connection   // guarded by Pool.mutex; nil, or perhaps dead
}

// NewPool returns a Pool without connections.
func NewPool() *Pool {
	return &Pool{dial: dial, entries: map[string]*poolEntry{}}
}

// Get returns the Transport of target, connected. Those who ask for the same
// server at once share one endeavour to connect. Closing the Transport does
// nothing: Close of the Pool ends the connections.
func (p *Pool) Get(ctx context.Context, target Target) (Transport, error) {
	target = target.withDefaults()
	if err := unlock(ctx, target); err != nil {
		return nil, err
	}
	if _, err := p.connection(ctx, target); err != nil {
		return nil, err
	}
	return &pooled{pool: p, target: target}, nil
}

var errPoolClosed = errors.New("the pool of connections is closed")

// connection returns a connection to target that is alive as far as is known,
// connecting where there is none.
func (p *Pool) connection(ctx context.Context, target Target) (*connection, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, target.ConnectTimeout, errConnectTimeout)
	defer cancel()
	entry, err := p.entry(target.key())
	if err != nil {
		return nil, err
	}
	select {
	case entry.turn <- struct{}{}:
		defer func() { <-entry.turn }()
	case <-ctx.Done():
		return nil, (&login{target: target, keys: &hostKeys{}}).explain(ctx, context.Cause(ctx))
	}
	if current := p.current(entry); current != nil {
		return current, nil
	}
	var via *connection
	if target.Jump != nil {
		if via, err = p.connection(ctx, target.Jump.withDefaults()); err != nil {
			return nil, err
		}
	}
	fresh, err := p.dial(ctx, target, via)
	if err != nil {
		return nil, err
	}
	return fresh, p.keep(entry, fresh)
}

func (p *Pool) entry(key string) (*poolEntry, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.closed {
		return nil, errPoolClosed
	}
	entry := p.entries[key]
	if entry == nil {
		entry = &poolEntry{turn: make(chan struct{}, 1)}
		p.entries[key] = entry
	}
	return entry, nil
}

// current returns the entry's connection if it is alive.
func (p *Pool) current(entry *poolEntry) *connection {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if entry.current != nil && entry.current.alive() {
		return entry.current
	}
	return nil
}

// keep puts fresh in the place of a dead connection.
func (p *Pool) keep(entry *poolEntry, fresh *connection) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.closed {
		fresh.shut()
		return errPoolClosed
	}
	if entry.current != nil {
		entry.current.shut()
	}
	entry.current = fresh
	return nil
}

// Close ends all connections.
func (p *Pool) Close() error {
	p.mutex.Lock()
	p.closed = true
	var open []*connection
	for _, entry := range p.entries {
		if entry.current != nil {
			open = append(open, entry.current)
		}
	}
	p.mutex.Unlock()
	for _, conn := range open {
		conn.shut()
	}
	for _, conn := range open {
		conn.Close()
	}
	return nil
}

// pooled is a Transport over whatever connection the pool holds.
type pooled struct {
	pool   *Pool
	target Target
}

// Start begins a process over the pooled connection. One that turns out to
// have broken meanwhile is made again, once: nothing was started on it.
func (t *pooled) Start(ctx context.Context, command Command) (Process, error) {
	conn, err := t.pool.connection(ctx, t.target)
	if err != nil {
		return nil, err
	}
	process, err := conn.Start(ctx, command)
	if err == nil || !errors.Is(err, ErrLost) || ctx.Err() != nil {
		return process, err
	}
	if conn, err = t.pool.connection(ctx, t.target); err != nil {
		return nil, err
	}
	return conn.Start(ctx, command)
}

func (t *pooled) Close() error { return nil }

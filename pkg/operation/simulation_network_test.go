package operation

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/remote"
)

// stream is one direction of a simulated connection: what is written arrives
// after a delay, in order. Writing never waits.
type stream struct {
	mutex   sync.Mutex
	packets []packet
	ended   error // what the reader sees after the last packet
	endsAt  time.Time
	broken  error // what the reader sees at once
	stalled bool  // the cable is cut: what was sent arrives when it heals
	lost    bool  // what is sent never arrives, and nobody is told
	wake    chan struct{}
	last    time.Time
}

type packet struct {
	data []byte
	at   time.Time
}

func newStream() *stream { return &stream{wake: make(chan struct{}, 1)} }

func (s *stream) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// send puts data on its way.
func (s *stream) send(data []byte, delay time.Duration) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if gone := s.ended != nil || s.broken != nil; gone && (s.stalled || s.lost) {
		return nil // nobody can tell the sender
	} else if gone {
		return io.ErrClosedPipe
	}
	at := time.Now().Add(delay)
	if at.Before(s.last) {
		at = s.last
	}
	s.last = at
	s.packets = append(s.packets, packet{append([]byte(nil), data...), at})
	s.poke()
	return nil
}

// end ends the stream behind all that was sent.
func (s *stream) end(delay time.Duration) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.ended == nil {
		s.ended, s.endsAt = io.EOF, time.Now().Add(delay)
		s.poke()
	}
}

// sever ends it at once, losing what is on its way.
func (s *stream) sever(err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.broken == nil {
		s.broken = err
		s.poke()
	}
}

func (s *stream) stall(stalled bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.stalled = stalled
	s.poke()
}

// lose has nothing of what is sent arrive, for ever.
func (s *stream) lose() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.lost = true
	s.poke()
}

func (s *stream) Read(p []byte) (int, error) {
	for {
		s.mutex.Lock()
		now := time.Now()
		var wait <-chan time.Time
		switch {
		case s.broken != nil:
			s.mutex.Unlock()
			return 0, s.broken
		case s.stalled, s.lost:
		case len(s.packets) > 0:
			first := &s.packets[0]
			if !now.Before(first.at) {
				n := copy(p, first.data)
				if first.data = first.data[n:]; len(first.data) == 0 {
					s.packets = s.packets[1:]
				}
				s.mutex.Unlock()
				return n, nil
			}
			wait = time.After(first.at.Sub(now))
		case s.ended != nil:
			if !now.Before(s.endsAt) {
				s.mutex.Unlock()
				return 0, s.ended
			}
			wait = time.After(s.endsAt.Sub(now))
		}
		s.mutex.Unlock()
		select {
		case <-s.wake:
		case <-wait:
		}
	}
}

// cable is one connection between the panel and a machine.
type cable struct {
	network *network
	machine *simMachine
	up      *stream // to the machine
	down    *stream // to the panel
	errors  *stream
	process *simProcess
	panel   *simPanel

	mutex  sync.Mutex
	random *rand.Rand
}

// delay is how long something takes over the cable.
func (c *cable) delay() time.Duration {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return 200*time.Microsecond + time.Duration(c.random.IntN(2_000_000))
}

// network delays, cuts and loses, as a story wants it.
type network struct {
	mutex    sync.Mutex
	seed     uint64
	cables   []*cable
	begun    map[int64]uint64 // connections, by machine
	cut      map[int64]bool   // machines whose cable is cut
	refusals map[int64]int    // how many connections a machine still refuses
	frames   int              // writes of either side so far
	// strikes are asked at each write: they may break something.
	strikes []strike
}

// strike is told of a write, and says whether it is lost.
type strike func(n int, c *cable, fromPanel bool) (drop bool)

func newNetwork(seed uint64) *network {
	return &network{seed: seed, begun: map[int64]uint64{}, cut: map[int64]bool{}, refusals: map[int64]int{}}
}

var errReset = errors.New("connection reset by peer")

// connect returns a new cable to a machine, which is not laid yet. Each has
// chances of its own, so that one does not change another's.
func (n *network) connect(m *simMachine, p *simPanel) *cable {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.begun[m.id]++
	c := &cable{
		network: n, machine: m, panel: p, up: newStream(), down: newStream(), errors: newStream(),
		random: rand.New(rand.NewPCG(n.seed, uint64(m.id)<<32+n.begun[m.id])),
	}
	c.errors.end(0)
	return c
}

func (n *network) lay(c *cable) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.cables = append(n.cables, c)
}

// all returns the cables that were ever laid.
func (n *network) all() []*cable {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return append([]*cable(nil), n.cables...)
}

// count numbers a write and asks whether something strikes there.
func (n *network) count(c *cable, fromPanel bool) (drop bool) {
	n.mutex.Lock()
	n.frames++
	number, strikes := n.frames, n.strikes
	n.mutex.Unlock()
	for _, one := range strikes {
		drop = one(number, c, fromPanel) || drop
	}
	return drop
}

// sent returns how many frames were written so far.
func (n *network) sent() int {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.frames
}

// quiet ends all strikes, and counts the frames anew.
func (n *network) quiet() {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.strikes, n.frames = nil, 0
	clear(n.refusals)
}

// strike adds something that breaks at a write.
func (n *network) strike(s strike) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.strikes = append(n.strikes, s)
}

// refuse has a machine refuse its next connections.
func (n *network) refuse(machine int64, times int) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.refusals[machine] = times
}

// refuses tells whether a machine refuses the connection that is being made.
func (n *network) refuses(machine int64) bool {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.refusals[machine] == 0 {
		return false
	}
	n.refusals[machine]--
	return true
}

func (n *network) isCut(machine int64) bool {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.cut[machine]
}

// healLate heals every cable: new connections at once, while what the old ones
// still carry arrives later, as a kernel's retransmission does.
func (n *network) healLate(w *simWorld) {
	n.mutex.Lock()
	n.cut = map[int64]bool{}
	n.mutex.Unlock()
	for _, c := range n.all() {
		later := time.Duration(w.random.IntN(int(40 * time.Second)))
		time.AfterFunc(later, func() {
			c.up.stall(false)
			c.down.stall(false)
		})
	}
}

// setCut cuts the cable of a machine, or heals it: what was on its way then
// arrives, however late.
func (n *network) setCut(machine int64, cut bool) {
	n.mutex.Lock()
	n.cut[machine] = cut
	n.mutex.Unlock()
	for _, c := range n.all() {
		if c.machine.id == machine {
			c.up.stall(cut)
			c.down.stall(cut)
		}
	}
}

// reset breaks all connections with a machine.
func (n *network) reset(machine int64) {
	for _, c := range n.all() {
		if c.machine.id == machine {
			c.up.sever(errReset)
			c.down.sever(errReset)
		}
	}
}

// simTransport is the panel's way to one machine.
type simTransport struct {
	panel   *simPanel
	machine *simMachine
}

func (t *simTransport) Close() error { return nil }

// connectTime is how long the panel waits for a machine that does not answer.
const connectTime = 10 * time.Second

// refusalPause is how long it waits after the first refusal.
const refusalPause = 50 * time.Millisecond

func (t *simTransport) Start(ctx context.Context, _ remote.Command) (remote.Process, error) {
	if t.panel.isCrashed() {
		return nil, errCrashed
	}
	n := t.machine.world.network
	c := n.connect(t.machine, t.panel)
	if err := pause(ctx, c.delay()); err != nil {
		return nil, err
	}
	// As pkg/remote does: what is refused before the login is tried again.
	began := time.Now()
	for wait := refusalPause; n.refuses(t.machine.id); wait *= 2 {
		if time.Since(began)+wait > connectTime {
			return nil, fault.New(fault.Unreachable, "%s refuses all connections", t.machine.name)
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
	if n.isCut(t.machine.id) || !t.machine.isUp() {
		if err := pause(ctx, connectTime); err != nil {
			return nil, err
		}
		return nil, fault.New(fault.Unreachable, "%s does not answer", t.machine.name)
	}
	if t.panel.isCrashed() || !t.machine.start(c) {
		return nil, fault.New(fault.Unreachable, "%s does not answer", t.machine.name)
	}
	n.lay(c)
	return c, nil
}

// The panel's side of a cable.

func (c *cable) Input() io.WriteCloser { return panelEnd{c} }
func (c *cable) Output() io.Reader     { return c.down }
func (c *cable) Errors() io.Reader     { return c.errors }
func (c *cable) Wait() error           { return nil }

func (c *cable) Kill() error {
	c.down.sever(io.ErrClosedPipe)
	c.up.end(c.delay())
	return nil
}

type panelEnd struct{ c *cable }

func (e panelEnd) Write(p []byte) (int, error) {
	if e.c.panel.isCrashed() {
		return 0, errCrashed
	}
	if e.c.network.count(e.c, true) {
		return 0, errReset
	}
	if e.c.panel.isCrashed() {
		// It died while it was sending: a part of it may be out.
		e.c.up.send(p[:len(p)/2], e.c.delay())
		return 0, errCrashed
	}
	return len(p), e.c.up.send(p, e.c.delay())
}

func (e panelEnd) Close() error {
	e.c.up.end(e.c.delay())
	return nil
}

// The machine's side.

type machineInput struct{ c *cable }

func (e machineInput) Read(p []byte) (int, error) { return e.c.up.Read(p) }

func (e machineInput) Close() error {
	e.c.up.sever(io.ErrClosedPipe)
	return nil
}

type machineOutput struct{ c *cable }

func (e machineOutput) Write(p []byte) (int, error) {
	if e.c.process.isDead() {
		return 0, errCrashed
	}
	if e.c.network.count(e.c, false) {
		return 0, errReset
	}
	if e.c.process.isDead() {
		e.c.down.send(p[:len(p)/2], e.c.delay())
		return 0, errCrashed
	}
	return len(p), e.c.down.send(p, e.c.delay())
}

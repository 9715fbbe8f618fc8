package operation

import (
	"sync"
	"time"
)

// simClock is the clock of one machine: somebody may set it while time goes on.
type simClock struct {
	mutex  sync.Mutex
	offset time.Duration
	ahead  bool // it was ahead once
}

// Now implements runtime.Clock.
func (c *simClock) Now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return time.Now().Add(c.offset)
}

// After implements runtime.Clock: to wait, a machine counts, whatever day it is.
func (c *simClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// jump sets the clock forward, or backward.
func (c *simClock) jump(d time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.offset += d
	c.ahead = c.ahead || c.offset > 0
}

func (c *simClock) wasAhead() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.ahead
}

// correct sets the clock right.
func (c *simClock) correct() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.offset = 0
}

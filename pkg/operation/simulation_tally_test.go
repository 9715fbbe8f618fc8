package operation

import (
	"fmt"
	"sync"

	"orchestra/pkg/fault"
)

// simTally counts what happened in a simulation, so that one sees that its
// faults do strike.
type simTally struct {
	mutex                   sync.Mutex
	operations, crashes     int
	kinds                   map[string]int
	writes, frames, changes int // the most that one operation needed
}

func (s *simTally) count(w *simWorld, p *simPanel, one said) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.kinds == nil {
		s.kinds = map[string]int{}
	}
	s.operations++
	switch {
	case one.crashed:
		s.crashes++
	case one.err == nil:
		s.kinds["done"]++
	default:
		s.kinds[fault.KindOf(one.err).String()]++
	}
	for _, m := range w.machines {
		s.changes = max(s.changes, m.memory.Changes()-m.changesBefore)
	}
	s.writes = max(s.writes, p.writes)
	s.frames = max(s.frames, w.network.sent())
}

func (s *simTally) add(other *simTally) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.kinds == nil {
		s.kinds = map[string]int{}
	}
	s.operations += other.operations
	s.crashes += other.crashes
	for kind, n := range other.kinds {
		s.kinds[kind] += n
	}
	s.writes, s.frames, s.changes = max(s.writes, other.writes), max(s.frames, other.frames), max(s.changes, other.changes)
}

func (s *simTally) String() string {
	return fmt.Sprintf("%d operations: %d crashes of the panel, %v; up to %d writes, %d frames and %d changes of one disk an operation",
		s.operations, s.crashes, s.kinds, s.writes, s.frames, s.changes)
}

package operation

import (
	"time"

	"orchestra/pkg/runtime"
)

// What each kind of fault does.

func (p *simPanel) fault(at writeFault) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.at = append(p.at, at)
}

func crashAtWrite(number int, after bool) faultsOf {
	return func(_ *simWorld, p *simPanel) {
		p.fault(func(at int, _ string, is bool) (bool, error) { return at == number && is == after, nil })
	}
}

// errorAtWrite has a commit say that it failed, whether it did or not.
func errorAtWrite(number int, after bool) faultsOf {
	return func(_ *simWorld, p *simPanel) {
		done := false
		p.fault(func(at int, name string, is bool) (bool, error) {
			if at == number && is == after && !done && name != "reopen" {
				done = true
				return false, errInputOutput
			}
			return false, nil
		})
	}
}

// unreadable has a commit fail, and nothing be read or written any more: nobody
// knows what was decided.
func unreadable(number int, after bool) faultsOf {
	return func(_ *simWorld, p *simPanel) {
		broken := false
		p.fault(func(at int, _ string, is bool) (bool, error) {
			broken = broken || at == number && is == after
			if broken {
				return false, errInputOutput
			}
			return false, nil
		})
	}
}

func panelFull(number int) faultsOf {
	return func(_ *simWorld, p *simPanel) {
		p.fault(func(at int, name string, after bool) (bool, error) {
			if at >= number && !after && name != "reopen" {
				return false, errUnwritten
			}
			return false, nil
		})
	}
}

func panelCramped(w *simWorld, _ *simPanel) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.cramped, w.blamed = true, true
}

func panelSlow(takes time.Duration) faultsOf {
	return func(_ *simWorld, p *simPanel) {
		p.fault(func(_ int, _ string, after bool) (bool, error) {
			if !after {
				time.Sleep(takes)
			}
			return false, nil
		})
	}
}

// atFrame strikes at the n-th frame.
func atFrame(number int, what func(*simWorld, *simPanel, *cable) (drop bool)) faultsOf {
	return func(w *simWorld, p *simPanel) {
		w.network.strike(func(n int, c *cable, _ bool) bool { return n == number && what(w, p, c) })
	}
}

func crashAtFrame(number int) faultsOf {
	return atFrame(number, func(_ *simWorld, p *simPanel, _ *cable) bool {
		p.crash()
		return false
	})
}

func resetAtFrame(number int) faultsOf {
	return atFrame(number, func(w *simWorld, _ *simPanel, c *cable) bool {
		w.trace("the connection with %s is reset", c.machine.name)
		c.up.sever(errReset)
		c.down.sever(errReset)
		return true
	})
}

func cutAtFrame(number int, heal time.Duration) faultsOf {
	return atFrame(number, func(w *simWorld, _ *simPanel, c *cable) bool {
		w.trace("the cable of %s is cut", c.machine.name)
		w.network.setCut(c.machine.id, true)
		if heal > 0 {
			time.AfterFunc(heal, func() {
				if c.machine.isUp() {
					w.network.setCut(c.machine.id, false)
				}
			})
		}
		return false
	})
}

// halfOpen leaves a connection standing of which one side knows nothing any more.
func halfOpen(number int, up, down bool) faultsOf {
	return atFrame(number, func(w *simWorld, _ *simPanel, c *cable) bool {
		w.trace("the connection with %s is half open: up lost %v, down lost %v", c.machine.name, up, down)
		if up {
			c.up.lose()
		}
		if down {
			c.down.lose()
		}
		return false
	})
}

func refuses(server, times int) faultsOf {
	return func(w *simWorld, _ *simPanel) { w.network.refuse(int64(server), times) }
}

// atChange strikes before the disk of a machine is changed for the n-th time from now.
func atChange(server, number int, what func(*simWorld, *simMachine, runtime.MemoryOperation)) faultsOf {
	return func(w *simWorld, _ *simPanel) {
		m := w.machines[server-1]
		from, struck := m.memory.Changes(), false
		m.onDisk(func(o runtime.MemoryOperation) error {
			if struck || o.Number < from+number {
				return nil
			}
			struck = true
			what(w, m, o)
			return runtime.ErrDead
		})
	}
}

func killedAtChange(server, number int) faultsOf {
	return atChange(server, number, func(w *simWorld, m *simMachine, o runtime.MemoryOperation) {
		w.trace("a runtime on %s is killed before %s %s", m.name, o.Name, o.Path)
		m.killAll()
	})
}

func powerAtChange(server, number int, back time.Duration) faultsOf {
	return atChange(server, number, func(w *simWorld, m *simMachine, o runtime.MemoryOperation) {
		w.trace("%s loses power before %s %s", m.name, o.Name, o.Path)
		m.powerCut()
		if back > 0 {
			time.AfterFunc(back, func() {
				if !m.isUp() {
					m.powerOn()
				}
			})
		}
	})
}

// isChild tells whether a child is of a kind, and calls a function, "" for any.
func isChild(child runtime.Child, kind runtime.ChildKind, function string) bool {
	return child.Kind == kind && (function == "" || child.Function == function)
}

func childFails(server int, kind runtime.ChildKind, function string, times int) faultsOf {
	return func(w *simWorld, _ *simPanel) {
		failed := 0
		w.machines[server-1].breaks(func(p *simProcess, child runtime.Child) (*runtime.Result, bool) {
			if !isChild(child, kind, function) || failed >= times {
				return nil, false
			}
			failed++
			w.trace("a %s child %s fails on %s", kind, function, p.machine.name)
			return &runtime.Result{ExitCode: 3, Output: "it fails"}, false
		})
	}
}

func childHangs(server int, kind runtime.ChildKind, function string) faultsOf {
	return func(w *simWorld, _ *simPanel) {
		w.machines[server-1].breaks(func(_ *simProcess, child runtime.Child) (*runtime.Result, bool) {
			return nil, isChild(child, kind, function)
		})
	}
}

// atPivot kills the panel or the runtime just before, or just after, the act
// without a way back.
func atPivot(panel func(*simPanel), process func(*simProcess), after bool) faultsOf {
	return func(w *simWorld, p *simPanel) {
		w.machine(pivotServer).breaks(func(on *simProcess, child runtime.Child) (*runtime.Result, bool) {
			if !isChild(child, runtime.ChildAct, setList) {
				return nil, false
			}
			var result *runtime.Result
			if after {
				if done, err := on.act(child); err == nil {
					result = &done
				}
			}
			if panel != nil {
				panel(p)
			}
			if process != nil {
				process(on)
			}
			return result, false
		})
	}
}

func diskFull(server int, left int64) faultsOf {
	return func(w *simWorld, _ *simPanel) {
		m := w.machines[server-1].memory
		m.SetCapacity(m.Used() + left)
	}
}

func diskSlow(server int, takes time.Duration) faultsOf {
	return func(w *simWorld, _ *simPanel) {
		w.machines[server-1].onDisk(func(o runtime.MemoryOperation) error {
			if o.Number > 0 {
				time.Sleep(takes)
			}
			return nil
		})
	}
}

// clockJumps sets the clock of a server, or of the panel (0), after some milliseconds.
func clockJumps(server int, by time.Duration, after int) faultsOf {
	return func(w *simWorld, _ *simPanel) {
		clock := w.clock
		if server > 0 {
			clock = w.machines[server-1].clock
		}
		time.AfterFunc(time.Duration(after)*time.Millisecond, func() {
			w.trace("a clock jumps by %s", by)
			clock.jump(by)
		})
	}
}

func interruptAfter(d time.Duration) faultsOf {
	return func(w *simWorld, _ *simPanel) { w.interrupt = d }
}

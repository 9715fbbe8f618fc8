package operation

import (
	"fmt"
	"math/rand/v2"
	"time"

	"orchestra/pkg/runtime"
)

// faultsOf breaks things in a world while operations run on a panel.
type faultsOf func(*simWorld, *simPanel)

func crashAtWrite(number int, after bool) faultsOf {
	return func(_ *simWorld, p *simPanel) {
		p.at = func(at int, name string, is bool) (bool, error) { return at == number && is == after, nil }
	}
}

func errorAtWrite(number int, after bool) faultsOf {
	return func(_ *simWorld, p *simPanel) {
		done := false
		p.at = func(at int, name string, is bool) (bool, error) {
			if at == number && is == after && !done && name != "reopen" {
				done = true
				return false, errInputOutput
			}
			return false, nil
		}
	}
}

func crashAtFrame(number int) faultsOf {
	return func(w *simWorld, p *simPanel) {
		w.network.strikeWith(func(n int, _ *cable, _ bool) bool {
			if n == number {
				p.crash()
			}
			return false
		})
	}
}

func resetAtFrame(number int) faultsOf {
	return func(w *simWorld, _ *simPanel) {
		w.network.strikeWith(func(n int, c *cable, _ bool) bool {
			if n == number {
				w.trace("the connection with %s is reset", c.machine.name)
				c.up.sever(errReset)
				c.down.sever(errReset)
			}
			return n == number
		})
	}
}

func cutAtFrame(number int, heal time.Duration) faultsOf {
	return func(w *simWorld, _ *simPanel) {
		w.network.strikeWith(func(n int, c *cable, _ bool) bool {
			if n == number {
				w.trace("the cable of %s is cut", c.machine.name)
				w.network.setCut(c.machine.id, true)
				if heal > 0 {
					time.AfterFunc(heal, func() {
						if c.machine.isUp() {
							w.network.setCut(c.machine.id, false)
						}
					})
				}
			}
			return false
		})
	}
}

// machineAtChange kills the runtime, or the whole machine, before its disk is
// changed for the n-th time from now.
func machineAtChange(machine, number int, power bool, back time.Duration) faultsOf {
	return func(w *simWorld, _ *simPanel) {
		m := w.machines[machine]
		from := m.memory.Changes()
		struck := false
		m.memory.SetHook(func(o runtime.MemoryOperation) error {
			if struck || o.Number == 0 || o.Number <= from+number-1 {
				return nil
			}
			struck = true
			if !power {
				w.trace("a runtime on %s is killed before %s %s", m.name, o.Name, o.Path)
				m.killAll()
				return runtime.ErrDead
			}
			w.trace("%s loses power before %s %s", m.name, o.Name, o.Path)
			m.powerCut()
			if back > 0 {
				time.AfterFunc(back, func() {
					if !m.isUp() {
						m.powerOn()
					}
				})
			}
			return runtime.ErrDead
		})
	}
}

func childFails(machine int, kind runtime.ChildKind) faultsOf {
	return func(w *simWorld, _ *simPanel) {
		w.machines[machine].set(func(child runtime.Child) *runtime.Result {
			if child.Kind != kind {
				return nil
			}
			w.trace("a %s child fails on %s", kind, w.machines[machine].name)
			return &runtime.Result{ExitCode: 3, Output: "it fails"}
		}, nil)
	}
}

func childHangs(machine int, kind runtime.ChildKind) faultsOf {
	return func(w *simWorld, _ *simPanel) {
		w.machines[machine].set(nil, func(child runtime.Child) bool { return child.Kind == kind })
	}
}

func diskFull(machine int, left int64) faultsOf {
	return func(w *simWorld, _ *simPanel) {
		m := w.machines[machine].memory
		m.SetCapacity(m.Used() + left)
	}
}

func interruptAfter(d time.Duration) faultsOf {
	return func(w *simWorld, _ *simPanel) { w.interrupt = d }
}

// randomFault is one fault, or none, or two, as chance wants.
func randomFault(w *simWorld, p *simPanel) {
	chance := rand.New(rand.NewPCG(w.random.Uint64(), 3))
	faults := 1
	if chance.IntN(4) == 0 {
		faults = 2
	}
	for range faults {
		machine := chance.IntN(3)
		var f faultsOf
		var what string
		switch kind := chance.IntN(12); kind {
		case 0:
			n, after := 1+chance.IntN(5), chance.IntN(2) == 0
			f, what = crashAtWrite(n, after), fmt.Sprintf("crash at write %d after=%v", n, after)
		case 1:
			n, after := 1+chance.IntN(5), chance.IntN(2) == 0
			f, what = errorAtWrite(n, after), fmt.Sprintf("error at write %d after=%v", n, after)
		case 2:
			n := 1 + chance.IntN(36)
			f, what = crashAtFrame(n), fmt.Sprintf("crash at frame %d", n)
		case 3:
			n := 1 + chance.IntN(36)
			f, what = resetAtFrame(n), fmt.Sprintf("reset at frame %d", n)
		case 4, 5:
			n, heal := 1+chance.IntN(36), time.Duration(chance.IntN(int(3*time.Minute)))
			f, what = cutAtFrame(n, heal), fmt.Sprintf("cut at frame %d, healed after %s", n, heal)
		case 6:
			n := 1 + chance.IntN(60)
			f, what = machineAtChange(machine, n, false, 0), fmt.Sprintf("runtime on %d killed at change %d", machine+1, n)
		case 7, 8:
			n, back := 1+chance.IntN(60), time.Duration(chance.IntN(int(2*time.Minute)))
			f, what = machineAtChange(machine, n, true, back), fmt.Sprintf("power of %d cut at change %d, back after %s", machine+1, n, back)
		case 9:
			kinds := []runtime.ChildKind{runtime.ChildDeclare, runtime.ChildProgram}
			child := kinds[chance.IntN(2)]
			if chance.IntN(2) == 0 {
				f, what = childFails(machine, child), fmt.Sprintf("%s fails on %d", child, machine+1)
			} else {
				f, what = childHangs(machine, child), fmt.Sprintf("%s hangs on %d", child, machine+1)
			}
		case 10:
			left := int64(chance.IntN(200 << 10))
			f, what = diskFull(machine, left), fmt.Sprintf("disk of %d is full but for %d bytes", machine+1, left)
		default:
			after := time.Duration(chance.IntN(int(60 * time.Millisecond)))
			f, what = interruptAfter(after), fmt.Sprintf("SIGINT after %s", after)
		}
		w.trace("fault: %s", what)
		f(w, p)
	}
}

package operation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"orchestra/pkg/runtime"
)

// simMachine is a server: the real runtime over a disk in memory.
type simMachine struct {
	world  *simWorld
	id     int64
	name   string
	memory *runtime.Memory

	mutex     sync.Mutex
	up        bool
	boot      int
	pids      int
	processes map[int]*simProcess
	random    *rand.Rand
	serving   sync.WaitGroup

	clock  *simClock
	broken []childFault
	hooks  []func(runtime.MemoryOperation) error

	// What acts have made lasts at once, whatever happens to the machine.
	data map[string]bool
	list map[string]string
	// units counts the reloads, done the acts.
	units, done int
	// stale says that it follows another state of the database, or none of it.
	stale bool
	// backedUp is whom it followed when the database was backed up.
	backedUp string
	// excused are things that the database knows nothing of any more, parked
	// what the trash holds for those who want it back.
	excused, parked map[string]bool
	// changesBefore is where the disk's count stood as an operation began.
	changesBefore int
}

// childFault decides what becomes of a child process: it fails with a result,
// or hangs; neither: it runs.
type childFault func(*simProcess, runtime.Child) (result *runtime.Result, hangs bool)

// simProcess is a runtime on a machine.
type simProcess struct {
	machine *simMachine
	pid     int
	boot    int
	disk    *runtime.MemoryProcess
	cable   *cable
	cancel  context.CancelFunc
	gone    chan struct{} // closed when it is killed

	mutex sync.Mutex
	dead  bool
}

const (
	dataDirectory    = "/srv/data"
	secretsDirectory = "/srv/secrets"
	homesDirectory   = "/srv/homes"
)

func newMachine(w *simWorld, id int64, seed uint64) *simMachine {
	m := &simMachine{
		world: w, id: id, name: fmt.Sprintf("h1%d", id), up: true, boot: 1, pids: 100, processes: map[int]*simProcess{},
		random: rand.New(rand.NewPCG(seed, uint64(id))),
		memory: runtime.NewMemory(runtime.MemoryOptions{Seed: seed + uint64(id)}), clock: &simClock{},
		data: map[string]bool{}, list: map[string]string{}, excused: map[string]bool{}, parked: map[string]bool{},
	}
	root := runtime.Attributes{Mode: 0o755}
	for _, directory := range []string{"/etc", "/srv", dataDirectory, secretsDirectory, homesDirectory, "/var", "/var/lib"} {
		m.memory.PutDirectory(directory, root)
	}
	m.memory.SetHook(m.hook)
	m.memory.Put("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n", runtime.Attributes{Mode: 0o644})
	m.memory.Put("/etc/group", "root:x:0:\n", runtime.Attributes{Mode: 0o644})
	m.memory.Put("/etc/shadow", "root:*:1::::::\n", runtime.Attributes{Mode: 0o640})
	m.memory.Put("/etc/gshadow", "root:*::\n", runtime.Attributes{Mode: 0o640})
	m.memory.Put("/etc/map", "neighbour: stays\n", runtime.Attributes{Mode: 0o644})
	return m
}

func (m *simMachine) isUp() bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.up
}

// start runs a runtime at the other end of c.
func (m *simMachine) start(c *cable) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if !m.up {
		return false
	}
	m.pids++
	ctx, cancel := context.WithCancel(context.Background())
	p := &simProcess{machine: m, pid: m.pids, boot: m.boot, cable: c, cancel: cancel, gone: make(chan struct{})}
	p.disk = m.memory.Process(fmt.Sprint(p.pid))
	c.process = p
	m.processes[p.pid] = p
	m.serving.Go(func() {
		defer cancel()
		err := runtime.Serve(ctx, runtime.Options{
			Disk: p.disk, Clock: m.clock, Runner: p, Input: machineInput{c}, Output: machineOutput{c},
		})
		m.world.trace("%s[%d] ended: %v", m.name, p.pid, err)
		m.mutex.Lock()
		delete(m.processes, p.pid)
		m.mutex.Unlock()
		p.disk.Kill() // its locks
		c.down.end(c.delay())
	})
	return true
}

func (p *simProcess) isDead() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.dead
}

// kill is kill -9: nothing that the process does has any effect any more.
func (p *simProcess) kill() {
	p.mutex.Lock()
	if p.dead {
		p.mutex.Unlock()
		return
	}
	p.dead = true
	close(p.gone)
	p.mutex.Unlock()
	p.disk.Kill()
	p.cable.up.sever(errCrashed)
	p.cable.down.end(p.cable.delay())
	p.cancel()
	p.machine.mutex.Lock()
	delete(p.machine.processes, p.pid)
	p.machine.mutex.Unlock()
}

// killAll ends every runtime on the machine, as the out-of-memory killer would.
func (m *simMachine) killAll() {
	m.mutex.Lock()
	var all []*simProcess
	for _, p := range m.processes {
		all = append(all, p)
	}
	m.mutex.Unlock()
	for _, p := range all {
		p.kill()
	}
}

// hook asks all that strikes at the disk.
func (m *simMachine) hook(o runtime.MemoryOperation) error {
	if id, is := strings.CutPrefix(o.Path, "/var/lib/orchestra/open/"); is && o.Number > 0 && o.Name == "rename" {
		m.world.watch.takesUp(m, id)
	}
	m.mutex.Lock()
	hooks := m.hooks
	m.mutex.Unlock()
	for _, hook := range hooks {
		if err := hook(o); err != nil {
			return err
		}
	}
	return nil
}

// onDisk adds something that strikes at the disk.
func (m *simMachine) onDisk(hook func(runtime.MemoryOperation) error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.hooks = append(m.hooks, hook)
}

// breaks adds something that befalls child processes.
func (m *simMachine) breaks(fault childFault) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.broken = append(m.broken, fault)
}

// mend ends all that strikes at the machine.
func (m *simMachine) mend() {
	m.mutex.Lock()
	m.hooks, m.broken = nil, nil
	m.mutex.Unlock()
	m.memory.SetCapacity(0)
}

// powerCut stops the machine. Nobody hears of it, or the connections are reset
// when it is up again.
func (m *simMachine) powerCut() {
	m.mutex.Lock()
	m.up = false
	m.mutex.Unlock()
	m.world.network.setCut(m.id, true)
	m.killAll()
	m.memory.PowerCut()
}

// powerOn boots the machine.
func (m *simMachine) powerOn() {
	m.mutex.Lock()
	m.up, m.boot = true, m.boot+1
	m.mutex.Unlock()
	m.world.network.reset(m.id) // what the old boot had is not known any more
	m.world.network.setCut(m.id, false)
}

// The runner of one runtime.

// Run implements runtime.Runner.
func (p *simProcess) Run(ctx context.Context, child runtime.Child) (runtime.Result, error) {
	m := p.machine
	m.mutex.Lock()
	wait, broken := time.Duration(m.random.IntN(3_000_000)), m.broken
	m.mutex.Unlock()
	var failed *runtime.Result
	for _, fault := range broken {
		result, hangs := fault(p, child)
		if hangs {
			wait = time.Hour
		}
		if failed = result; failed != nil {
			break // it is over
		}
	}
	timeout := child.Timeout
	if timeout == 0 {
		timeout = runtime.DefaultTimeout
	}
	select {
	case <-p.gone:
		return runtime.Result{}, errCrashed
	case <-ctx.Done():
		return runtime.Result{ExitCode: -1}, nil
	case <-time.After(min(wait, timeout)):
		if wait > timeout {
			return runtime.Result{ExitCode: -1, TimedOut: true}, nil
		}
	}
	if failed != nil {
		return *failed, nil
	}
	switch child.Kind {
	case runtime.ChildDeclare:
		return m.declare(child)
	case runtime.ChildAct:
		return p.act(child)
	case runtime.ChildProgram:
		m.mutex.Lock()
		m.units++
		m.mutex.Unlock()
		return runtime.Result{Output: strings.Join(child.Arguments, " ")}, nil
	}
	return runtime.Result{}, nil
}

// Self implements runtime.Runner.
func (p *simProcess) Self() runtime.Identity {
	return runtime.Identity{PID: p.pid, Start: uint64(p.pid), BootID: fmt.Sprint(p.boot)}
}

// Kill implements runtime.Runner.
func (p *simProcess) Kill(_ context.Context, who runtime.Identity) error {
	p.machine.mutex.Lock()
	other := p.machine.processes[who.PID]
	p.machine.mutex.Unlock()
	if other != nil && who.BootID == fmt.Sprint(p.boot) {
		p.machine.world.trace("%s[%d] kills %d", p.machine.name, p.pid, who.PID)
		other.kill()
	}
	return nil
}

// Lives implements runtime.Runner.
func (p *simProcess) Lives(who runtime.Identity) bool {
	p.machine.mutex.Lock()
	defer p.machine.mutex.Unlock()
	return p.machine.processes[who.PID] != nil && (who.BootID == "" || who.BootID == fmt.Sprint(p.boot))
}

// Machine implements runtime.Runner.
func (p *simProcess) Machine() runtime.Machine {
	return runtime.Machine{BootID: fmt.Sprint(p.boot), Hostname: p.machine.name, Architecture: "amd64"}
}

// Find implements runtime.Runner.
func (p *simProcess) Find(string) bool { return true }

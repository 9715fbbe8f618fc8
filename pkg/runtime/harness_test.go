package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"orchestra/pkg/wire"
)

// panel speaks to one session as a panel does.
type panel struct {
	t     testing.TB
	conn  *wire.Conn
	out   io.Closer
	raw   io.Writer // under conn, for what is no whole word
	done  chan error
	hello wire.Hello
	wait  func() error // for a program
	pid   int          // see above
	kill  func() error
}

// connect starts a session and hears its HELLO.
func connect(t testing.TB, options Options) *panel {
	t.Helper()
	toServer, fromPanel := io.Pipe()
	toPanel, fromServer := io.Pipe()
	options.Input, options.Output = toServer, fromServer
	p := &panel{t: t, conn: wire.NewPanelConn(toPanel, fromPanel), out: fromPanel, raw: fromPanel, done: make(chan error, 1)}
	go func() {
		err := Serve(context.Background(), options)
		fromServer.CloseWithError(io.EOF)
		p.done <- err
	}()
	frame, err := p.conn.Receive()
	if err != nil {
		t.Fatal(errors.Join(err, <-p.done))
	}
	if err := frame.Decode(&p.hello); err != nil || frame.Word != wire.WordHello {
		t.Fatal(frame.Word, err)
	}
	return p
}

// say says a word and returns the answer.
func (p *panel) say(word wire.Word, content any) (wire.Word, wire.Report) {
	p.t.Helper()
	answer, report, err := p.try(word, content)
	if err != nil {
		p.t.Fatal(word, err)
	}
	return answer, report
}

func (p *panel) try(word wire.Word, content any) (wire.Word, wire.Report, error) {
	var report wire.Report
	if err := p.conn.Send(word, content); err != nil {
		return "", report, err
	}
	for {
		frame, err := p.conn.Receive()
		if err != nil {
			return "", report, err
		}
		if frame.Word != wire.WordHeartbeat {
			return frame.Word, report, frame.Decode(&report)
		}
	}
}

// want says a word and fails the test unless it is answered so.
func (p *panel) want(want wire.Word, word wire.Word, content any) wire.Report {
	p.t.Helper()
	answer, report := p.say(word, content)
	if answer != want {
		p.t.Fatalf("%s was answered with %s, not %s: %s", word, answer, want, describe(report))
	}
	return report
}

// close ends the panel's side and waits for the session.
func (p *panel) close() error {
	_ = p.out.Close()
	if p.wait != nil {
		return p.wait()
	}
	return <-p.done
}

func describe(report wire.Report) string {
	text := fmt.Sprintf("state %q", report.State)
	if f := report.Failure; f != nil {
		text += fmt.Sprintf(", %s %s %q: %s\n%s\nunrestored: %q", f.Code, f.Phase, f.Resource, f.Message, f.Output, f.Unrestored)
	}
	for _, step := range report.Steps {
		text += fmt.Sprintf("\nstep %s: %d changed, %q %v\n%s", step.Name, step.Changed, step.Actions, step.Differences, step.Output)
	}
	return text
}

const testPanel = "panel-1"

// number makes an operation's id of a small number.
func number(n int) string { return fmt.Sprintf("%032x", n) }

// aStep is a step whose backend makes declarations of one invented object.
func aStep(name string, declarations ...[]string) wire.Step {
	return wire.Step{Name: name, Script: wire.Script{Declare: scriptOf(declarations)}, Timeout: 10 * time.Second}
}

// scriptOf writes a declaring part: in tests the data may be in the code.
func scriptOf(declarations [][]string) string {
	var out strings.Builder
	for _, words := range declarations {
		for i, word := range words {
			if i > 0 {
				out.WriteByte(' ')
				word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
			}
			out.WriteString(word)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// d is a declaration.
func d(words ...string) []string { return words }

func contents(texts ...string) []wire.ContentItem {
	var items []wire.ContentItem
	for i, text := range texts {
		items = append(items, wire.ContentItem{Reference: Reference(i + 1), Data: []byte(text)})
	}
	return items
}

func stageOf(n int, steps ...wire.Step) wire.Stage {
	return wire.Stage{Operation: number(n), PanelID: testPanel, Sequence: int64(n), Steps: steps, LockWait: time.Second}
}

func names(steps ...wire.Step) []string {
	var all []string
	for _, step := range steps {
		all = append(all, step.Name)
	}
	return all
}

// fakeRunner runs scripts of scriptOf without bash, and acts as Go functions.
type fakeRunner struct {
	disk     *MemoryProcess // killed with the process
	identity Identity
	others   *fakeMachine
	act      func(child Child) (Result, error)
}

// fakeMachine are the processes of a simulated machine.
type fakeMachine struct {
	mutex sync.Mutex
	alive map[int]*MemoryProcess
	next  int
	boot  int
}

func newFakeMachine() *fakeMachine { return &fakeMachine{alive: map[int]*MemoryProcess{}} }

// start begins a process on the machine.
func (m *fakeMachine) start(disk *Memory) *fakeRunner {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.next++
	process := disk.Process(fmt.Sprint("runtime ", m.next))
	m.alive[m.next] = process
	return &fakeRunner{
		disk: process, others: m,
		identity: Identity{PID: m.next, Start: uint64(m.next), BootID: fmt.Sprint("boot ", m.boot)},
	}
}

// restart is what a power cut does to processes.
func (m *fakeMachine) restart() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.boot++
	m.alive = map[int]*MemoryProcess{}
}

func (r *fakeRunner) Self() Identity { return r.identity }

func (r *fakeRunner) Machine() Machine {
	return Machine{BootID: r.identity.BootID, Hostname: "simulated", Architecture: "amd64"}
}

func (r *fakeRunner) Find(program string) bool { return program != "missing" }

func (r *fakeRunner) Lives(who Identity) bool {
	r.others.mutex.Lock()
	defer r.others.mutex.Unlock()
	return (who.BootID == "" || who.BootID == r.identity.BootID) && r.others.alive[who.PID] != nil
}

func (r *fakeRunner) Kill(_ context.Context, who Identity) error {
	r.others.mutex.Lock()
	defer r.others.mutex.Unlock()
	if process := r.others.alive[who.PID]; process != nil && who.BootID == r.identity.BootID {
		process.Kill()
		delete(r.others.alive, who.PID)
	}
	return nil
}

func (r *fakeRunner) Run(ctx context.Context, child Child) (Result, error) {
	if child.Kind != ChildDeclare {
		if r.act == nil {
			return Result{}, nil
		}
		return r.act(child)
	}
	var answer []byte
	for line := range strings.Lines(child.Script) {
		words := splitQuoted(strings.TrimSuffix(line, "\n"))
		switch {
		case words[0] == "fail":
			return Result{ExitCode: 1, Output: strings.Join(words[1:], " ")}, nil
		case words[0] == "wait":
			<-ctx.Done()
			return Result{ExitCode: -1}, nil
		case words[0] == "drop":
			words = append([]string{"drop-" + words[1]}, words[2:]...)
		case words[0] == "park" && len(words) == 3:
			words[0] = "park-kind"
		}
		answer = AppendDeclaration(answer, 0, words[0], words[1:]...)
	}
	return Result{Answer: EndDeclarations(answer)}, nil
}

// splitQuoted reads a line of scriptOf.
func splitQuoted(line string) []string {
	first, rest, _ := strings.Cut(line, " ")
	words := []string{first}
	rest = strings.TrimSuffix(strings.TrimPrefix(rest, "'"), "'")
	if rest == "" && !strings.Contains(line, " ") {
		return words
	}
	rest = strings.ReplaceAll(rest, `'\''`, "\x00")
	for _, word := range strings.Split(rest, "' '") {
		words = append(words, strings.ReplaceAll(word, "\x00", "'"))
	}
	return words
}

// realServer is a temporary root directory on the machine's disk.
func realServer(t testing.TB) (root string, options Options) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("LEFT OUT: it needs root")
	}
	root = t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etc", "home", "var", "var/lib"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range accountsOfTest {
		mode := os.FileMode(0o644)
		if strings.Contains(name, "shadow") {
			mode = 0o640
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	disk, closer, err := NewRealDisk(root)
	if err != nil {
		t.Fatal(err)
	}
	runner, err := NewRealRunner(root, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(closer.Close(), runner.Close()); err != nil {
			t.Error(err)
		}
	})
	return root, Options{Disk: disk, Clock: SystemClock{}, Runner: runner}
}

var accountsOfTest = map[string]string{
	pathPasswd:  "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\nanna:x:1000:1000:Anna:/home/anna:/bin/bash\n",
	pathShadow:  "root:*:19000:0:99999:7:::\nwww-data:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\nanna:$y$j9T$x:19000:0:99999:7:::\n",
	pathGroup:   "root:x:0:\nadm:x:4:anna\nwww-data:x:33:\nnogroup:x:65534:\nanna:x:1000:\nstaff:x:50:\n",
	pathGshadow: "root:*::\nadm:*::anna\nwww-data:*::\nnogroup:*::\nanna:!::\nstaff:*::\n",
}

// memoryServer is a machine in memory with the same files.
func memoryServer(options MemoryOptions) (*Memory, *fakeMachine) {
	disk := NewMemory(options)
	for name, content := range accountsOfTest {
		disk.Put(name, content, Attributes{Mode: 0o644})
	}
	disk.PutDirectory("/home", Attributes{Mode: 0o755})
	disk.PutDirectory("/var/lib", Attributes{Mode: 0o755})
	return disk, newFakeMachine()
}

// session starts a session of a new process on a machine in memory.
func memorySession(t testing.TB, disk *Memory, machine *fakeMachine) *panel {
	t.Helper()
	runner := machine.start(disk)
	return connect(t, Options{Disk: runner.disk, Clock: SystemClock{}, Runner: runner})
}

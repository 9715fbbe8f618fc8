package runtime

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

// aBit of everything: made by the first operation, changed or removed by the second.
func firstOperation() wire.Stage {
	users := aStep("users",
		d("group", "acme", "70000"),
		d("user", "acme", "70000", "70000", "/home/acme", "/bin/bash", "Acme", Reference(1), "0"),
		d("group", "bob", "70001"),
		d("user", "bob", "70001", "70001", "/home/bob", "/bin/bash", "Bob", Reference(1), "0"),
		d("member", "acme", "bob"), d("member", "staff", "bob"), d("member", "staff", "acme"), d("member", "adm", "acme"),
		d("dir", "/home/acme", "70000", "70000", "0750"),
		d("dir", "/home/bob", "70001", "70001", "0750"),
		d("dir", "/home/bob/mail", "70001", "70001", "0700"),
		d("dir", "/etc/keys", "root", "root", "0755"),
		d("file", "/etc/keys/acme", "root", "root", "0644", Reference(2)),
		d("file", "/etc/keys/bob", "root", "root", "0644", Reference(2)),
		d("link", "/etc/keys/main", "acme"),
		d("entry", "/etc/aliases", "acme", "acme@example.org"),
		d("entry", "/etc/aliases", "bob", "bob@example.org"),
		d("dir", "/etc/maps", "root", "33", "0750"),
		d("entry", "/etc/maps/addresses", "acme@example.org", "acme", "sqlite"),
		d("entry", "/etc/maps/addresses", "bob@example.org", "bob", "sqlite"),
		d("act", "quota", "acme", "probe_quota", "set_quota", "unset_quota", "reversible"),
		d("check", "check_all"), d("reload", "cron"),
	)
	users.Contents = contents("$y$j9T$one", "ssh-ed25519 AAAA one\n")
	return stageOf(1, users)
}

func secondOperation() wire.Stage {
	users := aStep("users",
		d("group", "carol", "70002"),
		d("user", "carol", "70002", "70002", "/home/carol", "/bin/sh", "Carol", Reference(1), "0"),
		d("member", "carol", "acme"), d("member", "staff", "carol"),
		d("user", "acme", "70000", "70000", "/home/acme", "/bin/sh", "Acme & Co", Reference(1), "1"),
		d("drop", "user", "bob", "70001"), d("drop", "group", "bob", "70001"), d("drop", "member", "acme", "bob"),
		d("park", "/home/bob"),
		d("dir", "/home/carol", "70002", "70002", "0750"),
		d("dir", "/home/acme", "70000", "70000", "0700"),
		d("file", "/etc/keys/acme", "root", "root", "0600", Reference(2)),
		d("file", "/home/carol/.profile", "70002", "70002", "0644", Reference(2)),
		d("absent", "/etc/keys/bob"),
		d("link", "/etc/keys/main", "carol"),
		d("link", "/home/carol/keys", "/etc/keys"),
		d("entry", "/etc/aliases", "acme", "postmaster@example.org"),
		d("entry", "/etc/aliases", "carol", "carol@example.org"),
		d("entry", "/etc/newmap", "carol", "1"),
		d("drop", "entry", "/etc/aliases", "bob"),
		d("act", "quota", "acme", "probe_quota", "set_quota", "unset_quota", "reversible"),
		d("entry", "/etc/maps/addresses", "acme@example.org", "acme, carol", "sqlite"),
		d("entry", "/etc/maps/addresses", "carol@example.org", "carol", "sqlite"),
		d("entry", "/etc/maps/new", "carol", "1", "sqlite"),
		d("drop", "entry", "/etc/maps/addresses", "bob@example.org", "sqlite"),
		d("park", "database", "bob_shop"), d("park", "database", "bob_wiki"), d("park", "database", "none"),
		d("act", "quota", "carol", "probe_quota", "set_quota", "unset_quota", "reversible"),
		d("check", "check_all"), d("reload", "cron"),
	)
	users.Contents = contents("$y$j9T$two", "ssh-ed25519 BBBB two\n")
	users.Script.Acts = databaseActs
	web := aStep("web", d("file", "/etc/web.conf", "root", "root", "0644", Reference(1)), d("reload", "apache2"))
	web.Contents = contents("<VirtualHost>\n")
	return stageOf(2, users, web)
}

// databaseActs has the functions that parking a database needs, as a runtime looks for
// them; here they are Go.
const databaseActs = `
probe_database() { :; }
park_database() { :; }
restore_database() { :; }
purge_database() { :; }
`

// quota are acts whose state is in memory, and survives everything.
type quota struct {
	mutex     sync.Mutex
	set       map[string]bool
	databases map[string]string // what is in them, by name
}

func (q *quota) act(child Child) (Result, error) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	var answer []byte
	for _, key := range child.Arguments {
		switch child.Function {
		case "probe_quota":
			answer = fmt.Appendf(answer, "%s\x00%v\x00true\x00", key, q.set[key])
		case "set_quota":
			q.set[key] = true
		case "unset_quota":
			q.set[key] = false
		case "probe_database":
			now := "absent"
			if _, there := q.databases[key]; there {
				now = "present"
			}
			answer = fmt.Appendf(answer, "%s\x00%s\x00absent\x00", key, now)
		case "park_database":
			q.rename(key, trashOf(child, key))
		case "restore_database":
			q.rename(trashOf(child, key), key)
		case "purge_database":
			delete(q.databases, trashOf(child, key))
		}
	}
	return Result{Answer: answer}, nil
}

func (q *quota) rename(from, to string) {
	if rows, there := q.databases[from]; there {
		delete(q.databases, from)
		q.databases[to] = rows
	}
}

// trashOf returns the name in the trash that an act is given beside its key.
func trashOf(child Child, key string) string {
	fields := strings.Split(string(child.Input), "\x00")
	return fields[4*slices.Index(child.Arguments, key)+3]
}

// crashMachine is a machine on which the first operation was kept.
type crashMachine struct {
	t       testing.TB
	disk    *Memory
	runners *fakeMachine
	quota   *quota
	clock   Clock
}

func newCrashMachine(t testing.TB, seed uint64) *crashMachine {
	t.Helper()
	m := &crashMachine{t: t, clock: SystemClock{}, quota: &quota{set: map[string]bool{}, databases: map[string]string{"bob_shop": "rows of the shop", "bob_wiki": "rows of the wiki", "else": "others"}}}
	m.disk, m.runners = memoryServer(MemoryOptions{Seed: seed})
	m.disk.Put("/etc/aliases", "# of the system\nroot: anna\nnews\tanna", Attributes{Mode: 0o644})
	p := m.connect()
	for _, word := range wordsOf(firstOperation()) {
		p.want(word.answer, word.word, word.content)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *crashMachine) connect() *panel {
	m.t.Helper()
	runner := m.runners.start(m.disk)
	runner.act = func(child Child) (Result, error) {
		// An act of a process that is dead does nothing.
		if _, err := runner.disk.Stat("/"); err != nil {
			return Result{}, err
		}
		return m.quota.act(child)
	}
	return connect(m.t, Options{Disk: runner.disk, Clock: m.clock, Runner: runner})
}

// everything is all that an administrator could see of the machine.
func (m *crashMachine) everything() map[string]string {
	all := m.disk.Dump(DefaultDirectory)
	m.quota.mutex.Lock()
	defer m.quota.mutex.Unlock()
	for key, value := range m.quota.set {
		if value {
			all["quota of "+key] = "set"
		}
	}
	for name, rows := range m.quota.databases {
		all["database "+name] = rows
	}
	return all
}

// nothingLeft fails the test where the runtime has left something of an operation.
func (m *crashMachine) nothingLeft() {
	m.t.Helper()
	for name := range m.disk.Dump() {
		if strings.Contains(name, "/.orchestra") || strings.HasSuffix(name, "-journal") {
			m.t.Errorf("%s is left", name)
		}
		if strings.HasPrefix(name, DefaultDirectory+"/open/") || strings.HasPrefix(name, DefaultDirectory+"/new/") {
			m.t.Errorf("%s is left", name)
		}
	}
}

type saidWord struct {
	word, answer wire.Word
	content      any
}

func wordsOf(stage wire.Stage) []saidWord {
	return []saidWord{
		{wire.WordStage, wire.WordStaged, stage},
		{wire.WordPublish, wire.WordPublished, wire.Publish{Operation: stage.Operation, Steps: names(stage.Steps...)}},
		{wire.WordReload, wire.WordActive, wire.Reload{Operation: stage.Operation}},
		{wire.WordKeep, wire.WordKept, wire.Keep{Operation: stage.Operation}},
	}
}

// fault is what happens at the n-th change of the disk.
type fault int

const (
	killed   fault = iota // kill -9 of the runtime
	powerCut              // of the machine
	full                  // no space, once
	faults
)

func (f fault) String() string { return []string{"kill", "power cut", "disk full"}[f] }

// arm makes a fault happen at the n-th change of the disk from now on.
func (m *crashMachine) arm(f fault, n int) {
	before := m.disk.Changes()
	happened := false
	m.disk.SetHook(func(operation MemoryOperation) error {
		if happened || operation.Number != before+n {
			return nil
		}
		happened = true
		switch f {
		case killed:
			m.runners.mutex.Lock()
			for pid, process := range m.runners.alive {
				process.Kill()
				delete(m.runners.alive, pid)
			}
			m.runners.mutex.Unlock()
		case powerCut:
			m.disk.PowerCut()
			m.runners.restart()
		case full:
			if operation.Name == "create" || operation.Name == "append" || operation.Name == "mkdir" || operation.Name == "allocate" {
				return errNoSpace
			}
		}
		return nil
	})
}

// perform says the words of an operation and returns whether the panel would
// have committed it: all were ready before the last word.
func (m *crashMachine) perform(stage wire.Stage) (committed, kept bool) {
	p := m.connect()
	defer p.close()
	for _, word := range wordsOf(stage) {
		answer, report, err := p.try(word.word, word.content)
		if err != nil {
			return committed, false // the server is gone
		}
		if answer != word.answer {
			if committed {
				m.t.Errorf("after the commit %s was answered with %s", word.word, describe(report))
			}
			return committed, false
		}
		committed = committed || word.answer == wire.WordActive
		kept = word.answer == wire.WordKept
	}
	return true, kept
}

// recover does what a panel does with an operation whose session is gone.
func (m *crashMachine) recover(stage wire.Stage, committed bool) bool {
	p := m.connect()
	defer p.close()
	word, want, content := wire.WordUndo, wire.WordUndone, any(wire.Undo{Operation: stage.Operation, Last: true, PanelID: testPanel, Sequence: stage.Sequence})
	if committed {
		word, want, content = wire.WordKeep, wire.WordKept, wire.Keep{Operation: stage.Operation}
	}
	answer, report, err := p.try(word, content)
	if err != nil {
		return false
	}
	if answer != want {
		m.t.Logf("%s was answered with %s: %s", word, answer, describe(report))
	}
	return answer == want
}

func TestACrashAtEveryChangeLeavesOldOrNew(t *testing.T) {
	m := newCrashMachine(t, 0)
	old := m.everything()
	before := m.disk.Changes()
	if committed, kept := m.perform(secondOperation()); !committed || !kept {
		t.Fatal("the operation fails without any fault")
	}
	fresh := m.everything()
	m.nothingLeft()
	changes := m.disk.Changes() - before
	t.Logf("the operation changes the disk %d times", changes)
	if cmp.Equal(old, fresh) {
		t.Fatal("the operation changes nothing")
	}

	seeds := 2
	if testing.Short() {
		seeds = 1
	}
	for f := range faults {
		for n := 1; n <= changes+1; n++ {
			for seed := range seeds {
				t.Run(fmt.Sprintf("%v at %d seed %d", f, n, seed), func(t *testing.T) {
					random := rand.New(rand.NewPCG(uint64(n), uint64(seed)))
					m := newCrashMachine(t, uint64(n*10+seed))
					m.arm(f, n)
					committed, _ := m.perform(secondOperation())
					// A second fault, in the recovery.
					if random.IntN(2) == 0 {
						m.arm(fault(random.IntN(2)), 1+random.IntN(60))
						m.recover(secondOperation(), committed)
					}
					m.disk.SetHook(nil)
					for attempt := range 2 { // twice is once
						if !m.recover(secondOperation(), committed) {
							t.Fatalf("the recovery fails at attempt %d", attempt)
						}
						want := old
						if committed {
							want = fresh
						}
						if difference := cmp.Diff(want, m.everything()); difference != "" {
							t.Fatalf("committed: %v, after recovery (-want +got):\n%s", committed, difference)
						}
						m.nothingLeft()
					}
				})
			}
		}
	}
}

// TestAPurgeIsTriedAgain kills, or fills the disk, while what was parked is purged.
func TestAPurgeIsTriedAgain(t *testing.T) {
	small := func(n int) wire.Stage {
		return stageOf(n, aStep("x", d("dir", fmt.Sprint("/srv/", n), "root", "root", "0755")))
	}
	trash := func(m *crashMachine) (found []string) {
		for name := range m.everything() {
			if strings.HasPrefix(name, "database orchestra_") {
				found = append(found, name)
			}
		}
		for name := range m.disk.Dump() {
			if strings.Contains(name, "/trash/parked/") {
				found = append(found, name)
			}
		}
		return found
	}
	for f := range faults {
		for n := 1; ; n++ {
			m := newCrashMachine(t, uint64(n))
			m.disk.PutDirectory("/srv", Attributes{Mode: 0o755})
			if _, kept := m.perform(secondOperation()); !kept || len(trash(m)) != 3 {
				t.Fatalf("parked: %q", trash(m))
			}
			clock := &testClock{now: time.Now().Add(32 * 24 * time.Hour)}
			m.clock = clock
			third, fourth := small(3), small(4) // the panel's clock agrees
			third.Sequence, fourth.Sequence = clock.now.UnixMicro(), clock.now.UnixMicro()+1
			before := m.disk.Changes()
			m.arm(f, n)
			committed, kept := m.perform(third)
			done := m.disk.Changes() - before
			m.disk.SetHook(nil)
			if !kept {
				m.recover(third, committed)
			}
			if _, kept := m.perform(fourth); !kept {
				t.Fatalf("%v at %d: a purge keeps operations from ending", f, n)
			}
			if left := trash(m); len(left) > 0 {
				t.Fatalf("%v at %d: %q is left", f, n, left)
			}
			if n > done {
				break
			}
		}
	}
}

func TestALateStageIsRefused(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	undo := wire.Undo{Operation: number(1), Last: true, PanelID: testPanel, Sequence: 1}
	p := memorySession(t, disk, machine)
	for range 2 {
		if report := p.want(wire.WordUndone, wire.WordUndo, undo); report.State != wire.StateUndone {
			t.Error(describe(report))
		}
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	late := memorySession(t, disk, machine)
	report := late.want(wire.WordConflict, wire.WordStage, firstOperation())
	if report.Failure.Code != wire.CodeExists {
		t.Error(describe(report))
	}
	if err := late.close(); err != nil {
		t.Fatal(err)
	}
}

var errNoSpace = func() error {
	disk := NewMemory(MemoryOptions{Capacity: 1})
	return errors.Unwrap(disk.Process("").Create("/full", []byte("xx"), Attributes{}))
}()

func keysOf(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

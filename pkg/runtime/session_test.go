package runtime

import (
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"orchestra/pkg/runtime/sqlitemap"
	"orchestra/pkg/wire"
)

// tree describes all that is below root, but the runtime's own directory.
func tree(t testing.TB, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	disk, closer, err := NewRealDisk(root)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		name = "/" + strings.Trim(strings.TrimPrefix(name, root), "/")
		if err != nil || name == "/" {
			return err
		}
		if name == DefaultDirectory {
			return fs.SkipDir
		}
		info, err := disk.Stat(name)
		if err != nil {
			return err
		}
		text := ""
		if info.Type == TypeFile {
			data, _, err := disk.Read(name, 1<<20)
			if err != nil {
				return err
			}
			text = string(data)
			if sqlitemap.Check(data) == nil {
				text = allEntries(t, root+name)
			}
		}
		all[name] = describeEntry(info, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// allEntries reads a map with a program that shares no code with ours.
func allEntries(t testing.TB, name string) string {
	t.Helper()
	output, err := exec.Command("sqlite3", "-readonly", name, "PRAGMA integrity_check; SELECT quote(key), quote(value) FROM map ORDER BY key").CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, output)
	}
	return string(output)
}

func describeEntry(info Info, text string) string {
	state := &state{Type: info.Type, Attributes: info.Attributes}
	return string(info.Type) + " " + directoryKind{}.show(nil, state) + " " + info.Target + text
}

// perform says all words of an operation, up to KEEP.
func (p *panel) perform(stage wire.Stage) wire.Report {
	p.t.Helper()
	var report wire.Report
	for _, word := range wordsOf(stage) {
		report = p.want(word.answer, word.word, word.content)
	}
	return report
}

func undoOf(stage wire.Stage) wire.Undo {
	return wire.Undo{Operation: stage.Operation, Last: true, PanelID: stage.PanelID, Sequence: stage.Sequence}
}

// withoutUnits takes out what needs systemd and acts.
func withoutUnits(stage wire.Stage) wire.Stage {
	for i := range stage.Steps {
		var kept []string
		for line := range strings.Lines(stage.Steps[i].Script.Declare) {
			if !strings.HasPrefix(line, "reload") && !strings.HasPrefix(line, "act") && !strings.HasPrefix(line, "park 'database'") && !strings.HasPrefix(line, "check") {
				kept = append(kept, line)
			}
		}
		stage.Steps[i].Script.Declare = strings.Join(kept, "")
	}
	return stage
}

func TestAnOperationIsUndoneExactlyInEachPhase(t *testing.T) {
	root, options := realServer(t)
	p := connect(t, options)
	p.perform(withoutUnits(firstOperation()))
	before := tree(t, root)
	for phase, words := range []int{1, 2, 3} {
		stage := withoutUnits(secondOperation())
		stage.Operation, stage.Sequence = number(10+phase), int64(10+phase)
		for _, word := range wordsOf(stage)[:words] {
			p.want(word.answer, word.word, word.content)
		}
		if words == 1 {
			for name := range tree(t, root) {
				if _, there := before[name]; !there && !strings.Contains(name, "/.orchestra.") {
					t.Errorf("%s is there before PUBLISH", name)
				}
			}
		} else if cmp.Equal(before, tree(t, root)) {
			t.Error("nothing was published")
		}
		for range 2 {
			if report := p.want(wire.WordUndone, wire.WordUndo, undoOf(stage)); report.State != wire.StateUndone {
				t.Error(describe(report))
			}
			if difference := cmp.Diff(before, tree(t, root)); difference != "" {
				t.Errorf("undone after %d words (-before +after):\n%s", words, difference)
			}
		}
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
}

func TestASecondRunChangesNothing(t *testing.T) {
	root, options := realServer(t)
	p := connect(t, options)
	p.perform(withoutUnits(firstOperation()))
	before := tree(t, root)
	again := withoutUnits(firstOperation())
	again.Operation, again.Sequence = number(2), 2
	report := p.perform(again)
	if report.Steps[0].Changed != 0 {
		t.Error(describe(report))
	}
	if difference := cmp.Diff(before, tree(t, root)); difference != "" {
		t.Error(difference)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
}

func TestEndOfInputUndoesWhatIsNotDecided(t *testing.T) {
	for words, want := range map[int]wire.State{1: wire.StateUndone, 2: wire.StateUndone, 3: wire.StateActivating} {
		m := newCrashMachine(t, 1)
		old := m.everything()
		p := m.connect()
		stage := secondOperation()
		for _, word := range wordsOf(stage)[:words] {
			p.want(word.answer, word.word, word.content)
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		if undone := cmp.Equal(old, m.everything()); undone != (want == wire.StateUndone) {
			t.Errorf("after %d words and the end of input: undone %v", words, undone)
		}
		next := m.connect()
		open := []wire.OpenOperation{{Operation: stage.Operation, State: want}}
		if want == wire.StateUndone {
			open = nil
		}
		if difference := cmp.Diff(open, next.hello.Open); difference != "" {
			t.Errorf("HELLO after %d words: %s", words, difference)
		}
		// The lock is free again.
		if report := next.want(wire.WordUndone, wire.WordUndo, undoOf(stage)); report.State != wire.StateUndone {
			t.Error(describe(report))
		}
		if err := next.close(); err != nil {
			t.Fatal(err)
		}
		if difference := cmp.Diff(old, m.everything()); difference != "" {
			t.Error(difference)
		}
	}
}

func TestSilenceIsAnEndOfInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newCrashMachine(t, 1)
		old := m.everything()
		p := m.connect()
		for _, word := range wordsOf(secondOperation())[:2] {
			p.want(word.answer, word.word, word.content)
		}
		var beats atomic.Int32
		hearing := make(chan struct{})
		go func() {
			defer close(hearing)
			for {
				frame, err := p.conn.Receive()
				if err != nil {
					return
				}
				if frame.Word == wire.WordHeartbeat {
					beats.Add(1)
				}
			}
		}()
		// As long as the panel lives, nothing happens.
		for range 30 {
			time.Sleep(wire.HeartbeatInterval)
			if err := p.conn.Send(wire.WordHeartbeat, wire.Heartbeat{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if cmp.Equal(old, m.everything()) {
			t.Fatal("it was undone although the panel lives")
		}
		if beats.Load() < 29 {
			t.Errorf("%d heartbeats in 150 s", beats.Load())
		}
		time.Sleep(wire.SilenceLimit + time.Second)
		synctest.Wait()
		if difference := cmp.Diff(old, m.everything()); difference != "" {
			t.Errorf("not undone after %v of silence: %s", wire.SilenceLimit, difference)
		}
		<-hearing
		if err := <-p.done; err != nil {
			t.Error(err)
		}
	})
}

func TestWordsInTheWrongOrderDoNothing(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	p := memorySession(t, disk, machine)
	before := disk.Dump()
	stage := withoutUnits(firstOperation())
	for _, word := range wordsOf(stage)[1:] {
		report := p.want(wire.WordFailed, word.word, word.content)
		if report.Failure.Code != wire.CodeOrder {
			t.Error(describe(report))
		}
	}
	if difference := cmp.Diff(before, disk.Dump()); difference != "" {
		t.Error(difference)
	}
	p.want(wire.WordStaged, wire.WordStage, stage)
	p.want(wire.WordFailed, wire.WordKeep, wire.Keep{Operation: stage.Operation})
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	p.want(wire.WordConflict, wire.WordStage, stage) // its id is used up
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
}

func TestTheEndHasTheSameAnswerForEver(t *testing.T) {
	m := newCrashMachine(t, 1)
	stage := secondOperation()
	p := m.connect()
	p.perform(stage)
	for range 2 {
		p.want(wire.WordKept, wire.WordUndo, undoOf(stage))
		p.want(wire.WordKept, wire.WordKeep, wire.Keep{Operation: stage.Operation})
	}
	undone := firstOperation()
	undone.Operation = number(7)
	p.want(wire.WordUndone, wire.WordUndo, undoOf(undone))
	p.want(wire.WordUndone, wire.WordKeep, wire.Keep{Operation: undone.Operation})
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
}

func TestAFailureAfterAPipelinedWordIsAnsweredOnce(t *testing.T) {
	m := newCrashMachine(t, 1)
	old := m.everything()
	stage := secondOperation()
	p := m.connect()
	words := wordsOf(stage)
	p.want(words[0].answer, words[0].word, words[0].content)
	m.disk.Put("/etc/keys/acme", "somebody was here\n", Attributes{Mode: 0o644})
	old["/etc/keys/acme"] = m.disk.Dump()["/etc/keys/acme"]
	for _, word := range words[1:3] { // PUBLISH and RELOAD at once
		if err := p.conn.Send(word.word, word.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.conn.Send(wire.WordUndo, undoOf(stage)); err != nil {
		t.Fatal(err)
	}
	var answers []wire.Word
	for len(answers) < 2 {
		frame, err := p.conn.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if frame.Word != wire.WordHeartbeat {
			answers = append(answers, frame.Word)
		}
	}
	if answers[1] != wire.WordUndone {
		t.Errorf("answered with %v", answers)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(old, m.everything()); difference != "" {
		t.Error(difference)
	}
}

func TestWhatSomebodyElseChangedIsAConflict(t *testing.T) {
	for _, name := range []string{"/etc/keys/acme", "/etc/passwd", "/etc/shadow", "/home/carol", "/home/acme", "/etc/keys/main", "/etc/aliases", "/etc/maps/addresses", "/etc/maps/new"} {
		t.Run(name, func(t *testing.T) {
			m := newCrashMachine(t, 1)
			stage := secondOperation()
			p := m.connect()
			words := wordsOf(stage)
			p.want(words[0].answer, words[0].word, words[0].content)
			meddle(m.disk, name)
			old := m.everything()
			report := p.want(wire.WordConflict, wire.WordPublish, words[1].content)
			if report.Failure.Code != wire.CodeChanged && report.Failure.Code != wire.CodeTaken {
				t.Error(describe(report))
			}
			p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
			after := m.everything()
			for key := range old {
				if strings.Contains(key, "/.orchestra.") {
					delete(old, key)
				}
			}
			if difference := cmp.Diff(old, after); difference != "" {
				t.Errorf("what somebody else made is gone: %s", difference)
			}
			if err := p.close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// meddle changes one of the things that the second operation changes.
func meddle(disk *Memory, name string) {
	process := disk.Process("admin")
	switch name {
	case "/home/carol":
		_ = process.MakeDirectory(name, Attributes{Mode: 0o755})
	case "/home/acme":
		_ = process.Change(name, Attributes{Owner: Owner{70000, 70000}, Mode: 0o755})
	case "/etc/keys/main":
		_ = process.Remove(name)
		_ = process.MakeLink(name, "elsewhere", Owner{})
	case "/etc/maps/new":
		_ = process.CreateMap(name, map[string]string{"carol": "theirs"}, Attributes{Mode: 0o640})
	default:
		data, info, _ := process.Read(name, 1<<20)
		text := strings.ReplaceAll(string(data), " acme@example.org", " meddled@example.org")
		text = strings.ReplaceAll(text, `"acme"`, `"meddled"`)
		text = strings.ReplaceAll(text, ":Acme:", ":Meddled:")
		text = strings.ReplaceAll(text, "acme:$y$j9T$one", "acme:$y$j9T$meddled")
		text = strings.ReplaceAll(text, "AAAA", "meddled")
		disk.Put(name, text, info.Attributes)
	}
}

func TestWhatCannotBeUndoneIsNamed(t *testing.T) {
	m := newCrashMachine(t, 1)
	old := m.everything()
	stage := secondOperation()
	p := m.connect()
	for _, word := range wordsOf(stage)[:2] {
		p.want(word.answer, word.word, word.content)
	}
	admin := m.disk.Process("admin")
	m.disk.Put("/etc/keys/acme", "somebody was here\n", Attributes{Mode: 0o644})
	report := p.want(wire.WordConflict, wire.WordUndo, undoOf(stage))
	if len(report.Failure.Unrestored) != 1 || !strings.Contains(report.Failure.Unrestored[0], "/etc/keys/acme") {
		t.Error(describe(report))
	}
	if report.State != wire.StatePublishing {
		t.Error("it counts as ended: ", describe(report))
	}
	if err := p.close(); err != nil {
		t.Log(err)
	}
	// Once the administrator has put it right, the recovery ends it.
	if err := admin.Overwrite("/etc/keys/acme", []byte("ssh-ed25519 AAAA one\n")); err != nil {
		t.Fatal(err)
	}
	next := m.connect()
	if len(next.hello.Open) != 1 {
		t.Errorf("open: %v", next.hello.Open)
	}
	next.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	if difference := cmp.Diff(old, m.everything()); difference != "" {
		t.Error(difference)
	}
	m.nothingLeft()
	if err := next.close(); err != nil {
		t.Fatal(err)
	}
}

// testClock stands still.
type testClock struct{ now time.Time }

func (c *testClock) Now() time.Time                         { return c.now }
func (c *testClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// holdLock holds the lock of lckpwdf(3) until it is killed.
func holdLock(name string) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
	}
	if err != nil {
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString("held\n")
	time.Sleep(time.Minute)
	os.Exit(0)
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "runtime" {
		os.Exit(Main(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "hold" {
		holdLock(os.Args[2])
	}
	goleak.VerifyTestMain(m)
}

package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

// treeDatabase is a little backend whose databases are folders, which nobody but its
// functions knows of. A fault of its own is asked for by a file.
const treeDatabase = `
databases=%s

probe_database() {
  local name
  for name in "$@"; do
    if [[ -d $databases/$name ]]; then state "$name" "present $(stat -c %%i "$databases/$name")" absent; else state "$name" absent absent; fi
  done
}
park_database() {
  local name
  for name in "$@"; do
    printf 'park %%s\n' "$name" >>"$databases/log"
    [[ ! -e $databases/half ]] || fail 'the server went away'
    mv -- "$databases/$name" "$databases/${trash[$name]}"
  done
}
restore_database() {
  local name
  for name in "$@"; do
    printf 'restore %%s\n' "$name" >>"$databases/log"
    [[ -d $databases/$name ]] || mv -- "$databases/${trash[$name]}" "$databases/$name"
  done
}
purge_database() {
  local name
  for name in "$@"; do
    printf 'purge %%s\n' "$name" >>"$databases/log"
    [[ ! -e $databases/stuck ]] || fail "a client is connected to $name"
    rm -rf -- "${databases:?}/${trash[$name]}"
  done
}
`

// parkMachine is a real machine with two databases.
type parkMachine struct {
	t       *testing.T
	root    string
	where   string // the databases
	options Options
	clock   *testClock
}

func newParkMachine(t *testing.T) *parkMachine {
	root, options := realServer(t)
	m := &parkMachine{t: t, root: root, where: filepath.Join(root, "databases"), clock: &testClock{now: time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC)}}
	m.options = options
	m.options.Clock = m.clock
	for _, name := range []string{"shop", "wiki", "else"} {
		must(t, os.MkdirAll(m.where+"/"+name, 0o700), os.WriteFile(m.where+"/"+name+"/rows", []byte("rows of "+name), 0o600))
	}
	return m
}

func (m *parkMachine) step(names ...string) wire.Step {
	var declarations [][]string
	for _, name := range names {
		declarations = append(declarations, d("park", "database", name))
	}
	step := aStep("databases", declarations...)
	step.Script.Acts = fmt.Sprintf(treeDatabase, "'"+m.where+"'")
	return step
}

// rows returns what is in each database, by its name, or "trash" where it is parked.
func (m *parkMachine) rows() map[string]string {
	m.t.Helper()
	all := map[string]string{}
	names, err := filepath.Glob(m.where + "/*/rows")
	must(m.t, err)
	for _, name := range names {
		data, err := os.ReadFile(name)
		must(m.t, err)
		database := filepath.Base(filepath.Dir(name))
		if _, ok := dayOfPark(database); ok {
			database = "trash: " + string(data)
		}
		all[database] = string(data)
	}
	return all
}

func (m *parkMachine) log() string {
	data, _ := os.ReadFile(m.where + "/log")
	return string(data)
}

func (m *parkMachine) parked() []string {
	names, _ := os.ReadDir(m.root + DefaultDirectory + "/trash/parked")
	var all []string
	for _, name := range names {
		all = append(all, name.Name())
	}
	return all
}

// session runs a session of its own to its end: only then is anything purged.
func (m *parkMachine) session(n int, steps ...wire.Step) wire.Report {
	m.t.Helper()
	p := connect(m.t, m.options)
	stage := stageOf(n, steps...)
	stage.Sequence = m.clock.now.UnixMicro() // the panel's clock agrees
	report := p.perform(stage)
	must(m.t, p.close())
	return report
}

var parkedRows = map[string]string{"trash: rows of shop": "rows of shop", "trash: rows of wiki": "rows of wiki", "else": "rows of else"}

func TestADatabaseIsParkedAndComesBack(t *testing.T) {
	m := newParkMachine(t)
	before := m.rows()
	p := connect(t, m.options)
	stage := stageOf(1, m.step("shop", "wiki", "none"))
	for i, want := range []map[string]string{before, parkedRows, parkedRows} {
		word := wordsOf(stage)[i]
		p.want(word.answer, word.word, word.content)
		if difference := cmp.Diff(want, m.rows()); difference != "" {
			t.Errorf("after %s: %s", word.word, difference)
		}
	}
	for range 2 {
		p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
		if difference := cmp.Diff(before, m.rows()); difference != "" {
			t.Error(difference)
		}
	}
	if m.log() != "park shop\npark wiki\nrestore wiki\nrestore shop\n" {
		t.Errorf("%q", m.log())
	}
	if names := m.parked(); len(names) != 0 {
		t.Errorf("%q is to be purged", names)
	}
	must(t, p.close())
}

func TestWhatIsParkedIsPurgedAfterItsTime(t *testing.T) {
	m := newParkMachine(t)
	report := m.session(1, m.step("shop", "wiki", "none"))
	if report.Steps[0].Changed != 2 {
		t.Error(describe(report))
	}
	record := m.root + DefaultDirectory + "/trash/parked"
	info, err := os.Stat(record)
	must(t, err)
	if names := m.parked(); len(names) != 1 || info.Mode().Perm() != 0o700 {
		t.Errorf("%q, %v", names, info.Mode())
	}
	log, err := os.ReadFile(m.root + DefaultDirectory + "/" + fileTrash)
	if err != nil || strings.Count(string(log), `"kind":"database"`) != 2 || !strings.Contains(string(log), `"name":"shop"`) {
		t.Errorf("%s %v", log, err)
	}
	// Again, and looked at: nothing is to be done.
	if report := m.session(2, m.step("shop", "wiki")); report.Steps[0].Changed != 0 {
		t.Error(describe(report))
	}
	p := connect(t, m.options)
	seen := p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: []wire.Step{m.step("shop", "wiki"), aStep("x")}, Drift: true, Leftovers: true})
	if len(reasons(seen)) != 0 {
		t.Error(describe(seen))
	}
	must(t, p.close())
	other := aStep("x", d("dir", "/srv", "root", "root", "0755")) // of a backend that knows nothing of databases
	n := 3
	for _, after := range []struct {
		days  int
		stuck bool
		want  map[string]string
	}{
		{30, false, parkedRows}, {1, true, parkedRows}, {0, true, parkedRows}, {1, false, map[string]string{"else": "rows of else"}},
	} {
		if after.stuck {
			must(t, os.WriteFile(m.where+"/stuck", nil, 0o600))
		} else {
			_ = os.Remove(m.where + "/stuck")
		}
		m.clock.now = m.clock.now.Add(time.Duration(after.days) * 24 * time.Hour)
		m.session(n, other)
		n++
		if difference := cmp.Diff(after.want, m.rows()); difference != "" {
			t.Errorf("%v: %s", after, difference)
		}
		failed := slices.ContainsFunc(m.parked(), func(name string) bool { return strings.HasSuffix(name, failedPurge) })
		if failed != after.stuck {
			t.Errorf("%+v: %q", after, m.parked())
		}
	}
	if names := m.parked(); len(names) != 0 {
		t.Errorf("%q is left", names)
	}
}

func TestNoOperationWaitsForAPurge(t *testing.T) {
	m := newCrashMachine(t, 0)
	if committed, kept := m.perform(secondOperation()); !committed || !kept { // it parks two databases
		t.Fatal("the operation fails")
	}
	clock := &testClock{now: time.Now().Add(32 * 24 * time.Hour)}
	began, release := make(chan struct{}), make(chan struct{})
	session := func(act func(Child) (Result, error)) *panel {
		runner := m.runners.start(m.disk)
		runner.act = act
		return connect(t, Options{Disk: runner.disk, Clock: clock, Runner: runner})
	}
	operation := func(n int, name string) wire.Stage {
		stage := stageOf(n, aStep("x", d("file", "/etc/"+name, "root", "root", "0644", "")))
		stage.Sequence = clock.now.UnixMicro()
		return stage
	}
	slow := session(func(child Child) (Result, error) {
		if child.Function == "purge_database" {
			close(began)
			<-release
		}
		return m.quota.act(child)
	})
	slow.perform(operation(3, "one"))
	ended := make(chan error, 1)
	go func() { ended <- slow.close() }()
	<-began
	// Meanwhile another one is served, to its end: and leaves the purge to the first.
	other := session(func(child Child) (Result, error) {
		t.Errorf("%s is called by the other session", child.Function)
		return m.quota.act(child)
	})
	other.perform(operation(4, "two"))
	must(t, other.close())
	close(release)
	must(t, <-ended)
	if names := m.disk.Dump(DefaultDirectory); names["/etc/two"] == "" {
		t.Error("the operation has done nothing")
	}
	if difference := cmp.Diff(map[string]string{"else": "others"}, m.quota.databases); difference != "" {
		t.Error(difference)
	}
}

func TestAParkThatFailsHalfWayIsUndone(t *testing.T) {
	m := newParkMachine(t)
	before := m.rows()
	must(t, os.WriteFile(m.where+"/half", nil, 0o600))
	p := connect(t, m.options)
	stage := stageOf(1, m.step("shop", "wiki"))
	words := wordsOf(stage)
	p.want(words[0].answer, words[0].word, words[0].content)
	report := p.want(wire.WordFailed, words[1].word, words[1].content)
	if !strings.Contains(describe(report), "the server went away") {
		t.Error(describe(report))
	}
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	if difference := cmp.Diff(before, m.rows()); difference != "" {
		t.Error(difference)
	}
	must(t, p.close())
}

func TestWhatOneObjectWantsIsNotParkedForAnother(t *testing.T) {
	m := newParkMachine(t)
	step := m.step("shop")
	step.Script.Acts += "probe() { state \"$1\" made made; }\nmake() { :; }\nunmake() { :; }\n"
	step.Script.Declare += "act database shop probe make unmake reversible\n"
	if report := m.session(1, step); report.Steps[0].Changed != 0 {
		t.Error(describe(report))
	}
	if m.log() != "" {
		t.Error(m.log())
	}
}

func TestAKindWithoutItsFunctionsIsRefusedAtStaging(t *testing.T) {
	m := newParkMachine(t)
	p := connect(t, m.options)
	for n, missing := range ParkFunctions("database") {
		step := m.step("shop")
		step.Script.Acts = strings.Replace(step.Script.Acts, missing+"() {", "other_"+missing+"() {", 1)
		stage := stageOf(n+1, step)
		report := p.want(wire.WordFailed, wire.WordStage, stage)
		if !strings.Contains(report.Failure.Message, missing) {
			t.Error(describe(report))
		}
		p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	}
	must(t, p.close())
}

func TestFunctionsAreFoundAsBashFindsThem(t *testing.T) {
	for script, want := range map[string]bool{
		"f() { :; }": true, "f () {\n:\n}": true, "function f { :; }": true, "x=1\n  f() (:)\n": true, "function f() { :; }": true,
		"# f() { :; }": false, "ff() { :; }": false, "f2() { :; }": false, "f": false, "function ff { :; }": false, "echo 'f'": false,
	} {
		if DefinesFunction(script, "f") != want {
			t.Errorf("%q: %v", script, !want)
		}
	}
}

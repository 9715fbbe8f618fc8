package runtime

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

// actMachine is a machine in memory whose acts are Go functions.
type actMachine struct {
	t       *testing.T
	disk    *Memory
	runners *fakeMachine
	done    map[string]bool // keys
	fails   map[string]bool // functions
	calls   []string
	units   map[string]string // unit: active, inactive, no-reload
}

func newActMachine(t *testing.T) *actMachine {
	m := &actMachine{t: t, done: map[string]bool{}, fails: map[string]bool{}, units: map[string]string{"cron": "active"}}
	m.disk, m.runners = memoryServer(MemoryOptions{})
	return m
}

func (m *actMachine) connect() *panel {
	runner := m.runners.start(m.disk)
	runner.act = m.run
	return connect(m.t, Options{Disk: runner.disk, Clock: SystemClock{}, Runner: runner})
}

func (m *actMachine) run(child Child) (Result, error) {
	call := child.Function + " " + strings.Join(child.Arguments, " ")
	m.calls = append(m.calls, strings.TrimSpace(call))
	if child.Kind == ChildProgram {
		return m.systemctl(child.Arguments[1], child.Arguments[len(child.Arguments)-1]), nil
	}
	if m.fails[child.Function] {
		return Result{ExitCode: 3, Output: "it went wrong: " + string(child.Input)}, nil
	}
	var answer []byte
	for _, key := range child.Arguments {
		switch child.Function {
		case "probe":
			answer = fmt.Appendf(answer, "%s\x00%v\x00true\x00", key, m.done[key])
		case "do":
			m.done[key] = true
		case "undo":
			m.done[key] = false
		}
	}
	return Result{Answer: answer}, nil
}

func (m *actMachine) systemctl(verb, unit string) Result {
	switch state := m.units[unit]; {
	case verb == "is-active" && state == "inactive":
		return Result{ExitCode: 3, Output: "inactive\n"}
	case verb == "is-active":
		return Result{Output: "active\n"}
	case verb == "show" && state == "no-reload":
		return Result{Output: "no\n"}
	case verb == "show":
		return Result{Output: "yes\n"}
	case verb == "reload" && state != "active":
		return Result{ExitCode: 1, Output: "Job type reload is not applicable for unit.\n"}
	}
	return Result{}
}

// did returns the calls that are of interest.
func (m *actMachine) did(words ...string) []string {
	return slices.DeleteFunc(slices.Clone(m.calls), func(call string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(call, word) })
	})
}

func actStep(class string, keys ...string) wire.Step {
	var declarations [][]string
	for _, key := range keys {
		declarations = append(declarations, d("act", "thing", key, "probe", "do", "undo", class))
	}
	return aStep("acts", declarations...)
}

func TestActsAreDoneOnceAndUndone(t *testing.T) {
	m := newActMachine(t)
	m.done["there"] = true
	p := m.connect()
	stage := stageOf(1, actStep(classReversible, "a", "there", "b"))
	words := wordsOf(stage)
	p.want(words[0].answer, words[0].word, words[0].content)
	p.want(words[1].answer, words[1].word, words[1].content)
	if difference := cmp.Diff([]string{"do a b"}, m.did("do")); difference != "" {
		t.Error(difference)
	}
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	if difference := cmp.Diff(map[string]bool{"a": false, "there": true, "b": false}, m.done); difference != "" {
		t.Error(difference)
	}
	must(t, p.close())
}

func TestAnActThatFailsIsNamedWithoutItsSecret(t *testing.T) {
	m := newActMachine(t)
	m.fails["do"] = true
	p := m.connect()
	step := aStep("acts", d("act", "thing", "a", "probe", "do", "undo", classReversible, Reference(1)))
	step.Contents = []wire.ContentItem{{Reference: Reference(1), Data: []byte("hunter2"), Secret: true}}
	stage := stageOf(1, step)
	words := wordsOf(stage)
	p.want(words[0].answer, words[0].word, words[0].content)
	report := p.want(wire.WordFailed, words[1].word, words[1].content)
	text := describe(report)
	if !strings.Contains(text, "it went wrong") || !strings.Contains(text, "exit code 3") || strings.Contains(text, "hunter2") {
		t.Error(text)
	}
	m.fails["do"] = false
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	must(t, p.close())
}

func TestAPivotIsDoneLastAndItsUndoNamesIt(t *testing.T) {
	m := newActMachine(t)
	p := m.connect()
	stage := stageOf(1, actStep(classPivot, "vps"), aStep("files", d("file", "/etc/x", "root", "root", "0644", "x")))
	report := p.want(wire.WordStaged, wire.WordStage, stage)
	if !report.Steps[0].Pivot || report.Steps[1].Pivot {
		t.Error(describe(report))
	}
	p.want(wire.WordPublished, wire.WordPublish, wire.Publish{Operation: stage.Operation, Steps: names(stage.Steps...)})
	p.want(wire.WordActive, wire.WordReload, wire.Reload{Operation: stage.Operation})
	if len(m.did("do")) != 0 {
		t.Error("the pivot was done before its word")
	}
	p.want(wire.WordPivoted, wire.WordPivot, wire.Pivot{Operation: stage.Operation})
	if difference := cmp.Diff([]string{"do vps"}, m.did("do")); difference != "" {
		t.Error(difference)
	}
	report = p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	if report.Failure == nil || report.Failure.Code != wire.CodePivot || len(report.Failure.Unrestored) != 1 {
		t.Error(describe(report))
	}
	if _, there := m.disk.Dump()["/etc/x"]; there {
		t.Error("the rest is not undone")
	}
	two := stageOf(2, actStep(classPivot, "a", "b"))
	p.want(wire.WordFailed, wire.WordStage, two)
	p.want(wire.WordUndone, wire.WordUndo, undoOf(two))
	must(t, p.close())
}

func TestLaterActsAreDoneAfterTheCommitUntilTheySucceed(t *testing.T) {
	m := newActMachine(t)
	m.fails["do"] = true
	p := m.connect()
	stage := stageOf(1, actStep(classLater, "sessions"))
	words := wordsOf(stage)
	for _, word := range words[:3] {
		p.want(word.answer, word.word, word.content)
	}
	if len(m.did("do", "probe")) != 0 {
		t.Errorf("before the commit: %q", m.calls)
	}
	report := p.want(wire.WordFailed, wire.WordKeep, words[3].content)
	if report.State != wire.StateKept {
		t.Error(describe(report))
	}
	must(t, p.close())
	next := m.connect()
	if difference := cmp.Diff([]wire.OpenOperation{{Operation: stage.Operation, State: wire.StateKept}}, next.hello.Open); difference != "" {
		t.Error(difference)
	}
	m.fails["do"] = false
	next.want(wire.WordKept, wire.WordKeep, words[3].content)
	if !m.done["sessions"] {
		t.Error("it is not done")
	}
	must(t, next.close())
}

func TestADaemonIsReloadedOnceAndOnlyWhereSomethingChanged(t *testing.T) {
	m := newActMachine(t)
	p := m.connect()
	steps := []wire.Step{
		aStep("one", d("file", "/etc/one", "root", "root", "0644", "1"), d("reload", "cron")),
		aStep("two", d("file", "/etc/two", "root", "root", "0644", "2"), d("reload", "cron"), d("reload", "cron")),
		aStep("three", d("dir", "/etc", "root", "root", "0755"), d("reload", "apache2")),
	}
	p.perform(stageOf(1, steps...))
	if difference := cmp.Diff([]string{"systemctl reload -- cron"}, m.did("systemctl reload")); difference != "" {
		t.Error(difference)
	}
	m.calls = nil
	p.perform(stageOf(2, steps...))
	if len(m.calls) != 0 {
		t.Errorf("the second time: %q", m.calls)
	}
	must(t, p.close())
}

func TestADaemonThatIsStoppedIsNotStarted(t *testing.T) {
	m := newActMachine(t)
	p := m.connect()
	for n, state := range []string{"inactive", "no-reload"} {
		m.calls, m.units["cron"] = nil, state
		stage := stageOf(n+1, aStep("one", d("file", "/etc/one", "root", "root", "0644", fmt.Sprint(n)), d("reload", "cron")))
		words := wordsOf(stage)
		p.want(words[0].answer, words[0].word, words[0].content)
		p.want(words[1].answer, words[1].word, words[1].content)
		if state == "no-reload" { // it is restarted instead
			p.want(wire.WordActive, wire.WordReload, words[2].content)
			if len(m.did("systemctl try-restart")) != 1 {
				t.Errorf("%q", m.calls)
			}
			p.want(wire.WordKept, wire.WordKeep, words[3].content)
			continue
		}
		report := p.want(wire.WordFailed, wire.WordReload, words[2].content)
		if !strings.Contains(report.Failure.Message, "inactive") || report.Failure.Phase != "reload" {
			t.Error(describe(report))
		}
		if len(m.did("systemctl try-restart", "systemctl start", "systemctl restart")) != 0 {
			t.Errorf("%q", m.calls)
		}
		m.units["cron"] = "active"
		p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
		if len(m.did("systemctl reload-or-restart")) != 1 {
			t.Errorf("undone without a reload: %q", m.calls)
		}
	}
	must(t, p.close())
}

func TestAFailingCheckerFailsThePublishing(t *testing.T) {
	m := newActMachine(t)
	m.fails["check_x"] = true
	p := m.connect()
	stage := stageOf(1, aStep("one", d("file", "/etc/one", "root", "root", "0644", "1"), d("check", "check_x")))
	words := wordsOf(stage)
	p.want(words[0].answer, words[0].word, words[0].content)
	report := p.want(wire.WordFailed, words[1].word, words[1].content)
	if report.Failure.Phase != "check" || report.Failure.Step != "one" {
		t.Error(describe(report))
	}
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	if _, there := m.disk.Dump()["/etc/one"]; there {
		t.Error("it is live")
	}
	must(t, p.close())
}

func TestWhatBackendsMayNotDeclareFailsAtStaging(t *testing.T) {
	m := newActMachine(t)
	p := m.connect()
	before := m.disk.Dump(DefaultDirectory)
	for n, declaration := range [][]string{
		d("fail", "no"), d("nonsense"), d("file", "/etc/x"), d("file", "/etc/x", "root", "root", "9999", "x"),
		d("file", "/etc/x", "root", "root", "0644", "x", "old"), d("file", "/etc/x", "ghost", "root", "0644", "x"),
		d("file", "/etc/x", "root", "root", "0644", Reference(7)), d("dir", "/missing/x", "root", "root", "0755"),
		d("user", "root", "0", "0", "/root", "/bin/sh", "", "", "0"), d("user", "a", "999", "999", "/a", "/bin/sh", "", "", "0"),
		d("user", "a:b", "70000", "70000", "/a", "/bin/sh", "", "", "0"), d("user", "acme", "70000", "70000", "/a", "/bin/sh", "x:0", "", "0"),
		d("user", "acme", "70000", "70000", "/a", "/bin/sh", "x\ny", "", "0"), d("user", "acme", "70000", "70001", "/a", "/bin/sh", "", "", "0"),
		d("user", "-a", "70000", "70000", "/a", "/bin/sh", "", "", "0"), d("user", "acme", "65534", "70000", "/a", "/bin/sh", "", "", "0"),
		d("user", "acme", "4294967295", "70000", "/a", "/bin/sh", "", "", "0"), d("user", "acme", "+70000", "70000", "/a", "/bin/sh", "", "", "0"),
		d("group", "acme", "0"), d("group", "a b", "70000"), d("group", "acme", "1000"), d("group", "adm", "70000"),
		d("member", "ghosts", "anna"), d("member", "adm", "a,b"), d("drop", "user", "anna", "1001"),
		d("entry", "/etc/x", "a b", "c"), d("entry", "/etc/x", "a", "b\nc"), d("entry", "/etc/x", "#a", "b"), d("entry", "/etc/x", "a:b", "c", "colon"),
		d("entry", "/etc/x", "a", "b", "csv"), d("entry", "/etc/x", "", "b", "sqlite"), d("entry", "/etc/x", strings.Repeat("a", 5000), "b", "sqlite"),
		d("park", "Database", "x"), d("park", "database", "-x"), d("park", "database", ""), d("park", "database", "x"), d("park", "/etc/x", "y"),
		d("link", "/etc/x", ""), d("act", "k", "key", "probe", "do", "", "reversible"), d("act", "k", "key", "rm -rf", "do", "undo", "reversible"),
		d("act", "k", "-key", "probe", "do", "undo", "reversible"), d("act", "k", "key", "probe", "do", "undo", "sometimes"),
		d("check", "a b"), d("check", "PATH=x"), d("reload", "-x"), d("reload", "a b"), d("need", "missing"), d("need", "/bin/sh"),
		d("own", "everything", "/"), d("own", "user", "1000"), d("own", "member", "a b"), d("own", "file", "etc"),
		d("own", "file", "/etc", "some"), d("own", "entry", "/etc/x", "all", "json"), d("own", "file"), d("park", "/etc/."),
	} {
		stage := stageOf(n+1, aStep("x", declaration))
		answer, report := p.say(wire.WordStage, stage)
		if answer == wire.WordStaged {
			t.Errorf("%q was staged", declaration)
		} else if report.Failure.Message == "" {
			t.Errorf("%q: nothing is said", declaration)
		}
		p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	}
	if difference := cmp.Diff(before, m.disk.Dump(DefaultDirectory)); difference != "" {
		t.Error(difference)
	}
	must(t, p.close())
}

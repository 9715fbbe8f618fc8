package runtime

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

func TestASecondPanelIsRefusedUntilItAdopts(t *testing.T) {
	m := newCrashMachine(t, 1)
	old := m.everything()
	p := m.connect()
	for _, word := range wordsOf(secondOperation())[:3] { // the first panel is lost here
		p.want(word.answer, word.word, word.content)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	second := m.connect()
	if second.hello.PanelID != testPanel || second.hello.Sequence != 2 {
		t.Errorf("HELLO says %+v", second.hello)
	}
	stage := stageOf(3, aStep("x", d("dir", "/srv", "root", "root", "0755")))
	stage.PanelID = "another"
	report := second.want(wire.WordConflict, wire.WordStage, stage)
	if report.Failure.Code != wire.CodePanel || report.Failure.Phase != "adopt" {
		t.Error(describe(report))
	}
	unknown := undoOf(stage)
	unknown.Operation = number(99)
	second.want(wire.WordConflict, wire.WordUndo, unknown)
	second.want(wire.WordAdopted, wire.WordAdopt, wire.Adopt{PanelID: "another", Sequence: 100})
	if difference := cmp.Diff(old, m.everything()); difference != "" {
		t.Errorf("what the lost panel had not decided stays: %s", difference)
	}
	second.perform(stage)
	if err := second.close(); err != nil {
		t.Fatal(err)
	}
	third := m.connect()
	if third.hello.PanelID != "another" || third.hello.Sequence != 100 || len(third.hello.Open) != 0 {
		t.Errorf("HELLO says %+v", third.hello)
	}
	if err := third.close(); err != nil {
		t.Fatal(err)
	}
}

func TestTwoOperationsStageAtOnceAndPublishOneAfterTheOther(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	one, two := memorySession(t, disk, machine), memorySession(t, disk, machine)
	first := stageOf(1, aStep("one", d("dir", "/srv", "root", "root", "0755")))
	second := stageOf(2, aStep("two", d("dir", "/opt", "root", "root", "0755")))
	first.LockWait, second.LockWait = 30*time.Second, 50*time.Millisecond
	two.want(wire.WordStaged, wire.WordStage, second)
	one.want(wire.WordStaged, wire.WordStage, first) // an older number, later: both are taken
	one.want(wire.WordPublished, wire.WordPublish, wire.Publish{Operation: first.Operation, Steps: []string{"one"}})
	report := two.want(wire.WordConflict, wire.WordPublish, wire.Publish{Operation: second.Operation, Steps: []string{"two"}})
	if report.Failure.Code != wire.CodeBusy || report.Failure.Phase != "lock" || report.State != wire.StateStaged {
		t.Error(describe(report))
	}
	two.want(wire.WordUndone, wire.WordUndo, undoOf(second))
	one.want(wire.WordActive, wire.WordReload, wire.Reload{Operation: first.Operation})
	one.want(wire.WordKept, wire.WordKeep, wire.Keep{Operation: first.Operation})
	third := stageOf(3, second.Steps...)
	two.perform(third)
	for _, p := range []*panel{one, two} {
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARecoveryKillsTheFormerRunnerFirst(t *testing.T) {
	m := newCrashMachine(t, 1)
	old := m.everything()
	stage := secondOperation()
	lost := m.connect() // its panel is partitioned away, and it lives
	for _, word := range wordsOf(stage)[:2] {
		lost.want(word.answer, word.word, word.content)
	}
	if !m.recover(stage, false) {
		t.Fatal("the recovery fails")
	}
	if difference := cmp.Diff(old, m.everything()); difference != "" {
		t.Error(difference)
	}
	if _, _, err := lost.try(wire.WordReload, wire.Reload{Operation: stage.Operation}); err == nil {
		t.Error("the former runner still answers")
	}
	_ = lost.out.Close()
	<-lost.done
	if difference := cmp.Diff(old, m.everything()); difference != "" {
		t.Error(difference)
	}
}

func TestStepsAreUndoneInWaves(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	before := disk.Dump(DefaultDirectory)
	p := memorySession(t, disk, machine)
	stage := stageOf(1, aStep("first", d("dir", "/srv", "root", "root", "0755")), aStep("then", d("dir", "/srv/www", "root", "root", "0755")))
	p.want(wire.WordStaged, wire.WordStage, stage)
	for _, name := range []string{"first", "then"} {
		p.want(wire.WordPublished, wire.WordPublish, wire.Publish{Operation: stage.Operation, Steps: []string{name}})
	}
	report := p.want(wire.WordUndone, wire.WordUndo, wire.Undo{Operation: stage.Operation, Steps: []string{"then"}})
	if report.State != wire.StatePublishing {
		t.Error(describe(report))
	}
	if all := disk.Dump(); all["/srv"] == "" || all["/srv/www"] != "" {
		t.Error("the wrong step was undone")
	}
	p.want(wire.WordUndone, wire.WordUndo, wire.Undo{Operation: stage.Operation, Steps: []string{"first"}, Last: true})
	if difference := cmp.Diff(before, disk.Dump(DefaultDirectory)); difference != "" {
		t.Error(difference)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
}

func TestTombstonesArePurgedWhenNothingCanArriveAnyMore(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	clock := &testClock{now: time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC)}
	panel := clock.now
	perform := func(n int) {
		runner := machine.start(disk)
		p := connect(t, Options{Disk: runner.disk, Clock: clock, Runner: runner})
		stage := stageOf(n, aStep("x", d("dir", "/srv", "root", "root", "0755")))
		stage.Sequence = panel.UnixMicro()
		p.perform(stage)
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
	}
	perform(1)
	clock.now = clock.now.Add(85 * 24 * time.Hour)
	perform(2)
	if _, there := disk.Dump()[DefaultDirectory+"/ended/2026-01/"+number(1)]; !there {
		t.Error("a tombstone is gone after 85 days")
	}
	clock.now = clock.now.Add(100 * 24 * time.Hour)
	perform(3)
	if _, there := disk.Dump()[DefaultDirectory+"/ended/2026-01/"+number(1)]; !there {
		t.Error("a tombstone is gone after 185 days of a clock that the panel's does not agree with")
	}
	panel = clock.now
	perform(4)
	names := keysOf(disk.Dump())
	if slices.Contains(names, DefaultDirectory+"/ended/2026-01/"+number(1)) || slices.Contains(names, DefaultDirectory+"/ended/2026-01") {
		t.Error("a tombstone is there after 185 days")
	}
}

// A former runner ends the operation at the very moment at which a recovery
// looks at it, or waits for its lock.
func TestARecoveryFindsThatTheFormerRunnerHasEnded(t *testing.T) {
	for _, moment := range []string{"read", "stat", "lock", "mkdir"} {
		for _, word := range []wire.Word{wire.WordKeep, wire.WordUndo} {
			m := newCrashMachine(t, 1)
			stage := secondOperation()
			first := m.connect()
			words := wordsOf(stage)
			for _, word := range words[:3] {
				first.want(word.answer, word.word, word.content)
			}
			second := m.connect()
			done := false
			m.disk.SetHook(func(operation MemoryOperation) error {
				ours := operation.Process == "runtime 3" && strings.Contains(operation.Path, stage.Operation) || operation.Name == "lock"
				if done || operation.Name != moment || !ours {
					return nil
				}
				done = true
				_, _, _ = first.try(wire.WordKeep, words[3].content) // unless it is dead already
				return nil
			})
			content := any(wire.Keep{Operation: stage.Operation})
			if word == wire.WordUndo {
				content = undoOf(stage)
			}
			answer, report := second.say(word, content)
			m.disk.SetHook(nil)
			again, _ := second.say(word, content)
			if answer != again || answer != wire.WordKept && answer != wire.WordUndone {
				t.Errorf("%s while the former runner ends at %s: %s, then %s: %s", word, moment, answer, again, describe(report))
			}
			m.nothingLeft()
			_ = second.close()
			_ = first.out.Close()
			<-first.done
		}
	}
}

// A server whose clock jumps knows the operations that have ended all the same.
func TestATombstoneIsFoundWhateverTheClockSays(t *testing.T) {
	for _, jump := range []time.Duration{-400 * 24 * time.Hour, -24 * time.Hour, 400 * 24 * time.Hour} {
		disk, machine := memoryServer(MemoryOptions{})
		clock := &testClock{now: time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC)}
		session := func() *panel {
			runner := machine.start(disk)
			return connect(t, Options{Disk: runner.disk, Clock: clock, Runner: runner})
		}
		stage := stageOf(1, aStep("x", d("dir", "/srv", "root", "root", "0755")))
		stage.Sequence = clock.now.UnixMicro()
		p := session()
		p.perform(stage)
		must(t, p.close())
		clock.now = clock.now.Add(jump)
		p = session()
		p.want(wire.WordKept, wire.WordKeep, wire.Keep{Operation: stage.Operation})
		p.want(wire.WordConflict, wire.WordStage, stage)
		must(t, p.close())
	}
}

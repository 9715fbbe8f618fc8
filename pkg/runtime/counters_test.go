package runtime

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

func TestTheLargestNumbersAreKeptAndTold(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	p := memorySession(t, disk, machine)
	stage := func(n int, counters map[string]int64) wire.Stage {
		stage := stageOf(n, aStep("x", d("dir", fmt.Sprintf("/srv%d", n), "root", "root", "0755")))
		stage.Counters = counters
		return stage
	}
	p.perform(stage(1, map[string]int64{"id.user": 5, "unix_id": 70005}))
	p.perform(stage(2, map[string]int64{"id.user": 9, "serial.example.org": 2026112601}))
	undone := stage(3, map[string]int64{"id.user": 12})
	p.want(wire.WordStaged, wire.WordStage, undone)
	p.want(wire.WordUndone, wire.WordUndo, undoOf(undone))
	p.perform(stage(4, map[string]int64{"id.user": 7})) // begun before, and later
	disk.PowerCut()
	machine.restart()
	_ = p.close() // its disk is gone
	next := memorySession(t, disk, machine)
	report := next.want(wire.WordAdopted, wire.WordAdopt, wire.Adopt{PanelID: "another", Sequence: 100})
	if diff := cmp.Diff(map[string]int64{"id.user": 12, "unix_id": 70005, "serial.example.org": 2026112601}, report.Counters); diff != "" {
		t.Error(diff)
	}
	again := next.want(wire.WordAdopted, wire.WordAdopt, wire.Adopt{PanelID: testPanel, Sequence: 101})
	if diff := cmp.Diff(report.Counters, again.Counters); diff != "" {
		t.Error("adopting forgets them:", diff)
	}
	if err := next.close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatCantBeACounterIsRefused(t *testing.T) {
	for name, counters := range map[string]map[string]int64{
		"no name":       {"": 1},
		"a space":       {"a b": 1},
		"a line":        {"a\nb": 1},
		"below nothing": {"a": -1},
		"out of reason": {"a": wire.MaxNumber + 1},
		"too long":      {strings.Repeat("x", 1000): 1},
	} {
		disk, machine := memoryServer(MemoryOptions{})
		before := disk.Dump()
		p := memorySession(t, disk, machine)
		stage := stageOf(1, aStep("x", d("dir", "/srv", "root", "root", "0755")))
		stage.Counters = counters
		if report := p.want(wire.WordFailed, wire.WordStage, stage); report.Failure.Code != wire.CodeOrder {
			t.Errorf("%s: %s", name, describe(report))
		}
		if diff := cmp.Diff(before, disk.Dump()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The log of counters is written anew when it is long, and torn lines are passed over.
func TestTheLogOfCountersStaysShort(t *testing.T) {
	disk, processes := memoryServer(MemoryOptions{})
	runner := processes.start(disk)
	m := &machine{
		records: &records{disk: runner.disk, clock: SystemClock{}, dir: DefaultDirectory}, runner: runner,
		progress: func(string, int, int) {},
	}
	if err := m.prepare(); err != nil {
		t.Fatal(err)
	}
	name := m.path(fileCounters)
	keep := func(counters map[string]int64) {
		t.Helper()
		unsynced, err := m.keepCounters(t.Context(), counters)
		if err == nil {
			err = m.disk.Sync(unsynced...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	keep(map[string]int64{"a": 1, "b": 70})
	data, _, err := m.disk.Read(name, ownLimit)
	if err != nil {
		t.Fatal(err)
	}
	disk.Put(name, strings.Repeat(string(data), countersLimit/len(data)+1)+string(data[:len(data)/2]), rootFile)
	keep(map[string]int64{"a": 2})
	if data, _, err = m.disk.Read(name, ownLimit); err != nil || len(data) > 200 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	disk.Put(name, string(data)+`{"a":99} 0123`, rootFile) // a line that a power cut has torn
	keep(map[string]int64{"c": 3})
	counters, err := m.counters()
	if diff := cmp.Diff(map[string]int64{"a": 2, "b": 70, "c": 3}, counters); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// FuzzCounters has a log that a power cut, or a hand, has damaged be read.
func FuzzCounters(f *testing.F) {
	line, _ := encodeLine(map[string]int64{"id.user": 5})
	f.Add(string(line))
	f.Add("\n" + string(line) + string(line[:9]))
	f.Fuzz(func(t *testing.T, log string) {
		disk, _ := memoryServer(MemoryOptions{})
		disk.PutDirectory(DefaultDirectory, rootOnly)
		r := &records{disk: disk.Process("test"), clock: SystemClock{}, dir: DefaultDirectory}
		disk.Put(r.path(fileCounters), log, rootFile)
		counters, err := r.counters()
		for name := range counters {
			if !strings.Contains(log, strings.Trim(fmt.Sprintf("%q", name), `"`)) && err == nil {
				t.Errorf("a counter %q that nobody wrote", name)
			}
		}
	})
}

package runtime

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orchestra/pkg/wire"
)

const zoneMark = "; serial"

// aZone is a file that grows, as an operation declares it.
func aZone(n int, serial uint64, body string) wire.Stage {
	text := fmt.Sprintf("SOA (\n\t%d %s\n) %s\n", serial, zoneMark, body)
	step := aStep("zone", d("file", "/etc/zone", "root", "root", "0644", Reference(1), "grows", zoneMark), d("refresh", "load", "example.org"))
	step.Contents = contents(text)
	return stageOf(n, step)
}

// zoneOn returns the serial and the body of the live zone.
func zoneOn(t *testing.T, disk *Memory) (serial uint64, body string) {
	t.Helper()
	data, _, err := disk.Process("look").Read("/etc/zone", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	found := readGrowing(data, zoneMark)
	if found == nil {
		t.Fatalf("no serial in %q", data)
	}
	_, body, _ = strings.Cut(strings.TrimSuffix(string(data), "\n"), ") ")
	return found.number, body
}

func wantZone(t *testing.T, disk *Memory, serial uint64, body string) {
	t.Helper()
	if is, text := zoneOn(t, disk); is != serial || text != body {
		t.Errorf("the zone is %d %q, want %d %q", is, text, serial, body)
	}
}

func TestWhatOnlyGrowsNeverGoesBack(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	p := memorySession(t, disk, machine)
	p.perform(aZone(1, 10, "old"))
	wantZone(t, disk, 10, "old")
	// Undone after it was live: the old content, with a newer number than anybody saw.
	stage := aZone(2, 12, "new")
	words := wordsOf(stage)
	for _, word := range words[:3] {
		p.want(word.answer, word.word, word.content)
	}
	wantZone(t, disk, 12, "new")
	for range 2 { // twice is once
		p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
		wantZone(t, disk, 13, "old")
	}
	// The next number of the panel is larger; one that is not is raised.
	p.perform(aZone(3, 14, "newer"))
	wantZone(t, disk, 14, "newer")
	p.perform(aZone(4, 5, "newest"))
	wantZone(t, disk, 15, "newest")
	// Where others count it on as well, it goes further.
	stage = aZone(7, 16, "signed")
	declared := d("file", "/etc/zone", "root", "root", "0644", Reference(1), "grows", zoneMark, "1000")
	stage.Steps[0] = aStep("zone", declared, d("refresh", "load", "example.org"))
	stage.Steps[0].Contents = contents("SOA (\n\t16 ; serial\n) signed\n")
	for _, word := range wordsOf(stage)[:3] {
		p.want(word.answer, word.word, word.content)
	}
	wantZone(t, disk, 1015, "signed")
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	wantZone(t, disk, 2015, "newest")
	must(t, p.close())
}

func TestTheSameContentWithNoLargerNumberIsNoChange(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	p := memorySession(t, disk, machine)
	p.perform(aZone(1, 10, "old"))
	report := p.perform(aZone(2, 9, "old"))
	if report.Steps[0].Changed != 0 {
		t.Error(describe(report))
	}
	wantZone(t, disk, 10, "old")
	// A larger one was given away, and others wait for it.
	report = p.perform(aZone(6, 20, "old"))
	if report.Steps[0].Changed != 1 {
		t.Error(describe(report))
	}
	wantZone(t, disk, 20, "old")
	// Nor is what undo went on to a hand edit, or a difference at all.
	stage := aZone(3, 21, "new")
	for _, word := range wordsOf(stage)[:2] {
		p.want(word.answer, word.word, word.content)
	}
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	report = p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: aZone(4, 10, "old").Steps, Drift: true})
	if len(report.Steps[0].Differences) != 0 {
		t.Error(describe(report))
	}
	report = p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: aZone(5, 10, "other").Steps, Drift: true})
	if differences := report.Steps[0].Differences; len(differences) != 1 || differences[0].Reason != "stale" {
		t.Errorf("what undo left is taken for a hand edit: %s", describe(report))
	}
	must(t, p.close())
}

func TestWhatUndoOfASetupWentOnToIsTheSetups(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	p := memorySession(t, disk, machine)
	setup := func(n int, serial uint64, body string) wire.Stage {
		stage := aZone(n, serial, body)
		stage.Steps[0].Setup = true
		return stage
	}
	p.perform(setup(1, 10, "old"))
	stage := setup(2, 12, "new")
	for _, word := range wordsOf(stage)[:2] {
		p.want(word.answer, word.word, word.content)
	}
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	wantZone(t, disk, 13, "old")
	// The objects of the same backend leave nothing of it over.
	report := p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: []wire.Step{aStep("zone", d("own", "file", "/etc/zone"))}, Drift: true, Leftovers: true})
	if len(reasons(report)) != 0 {
		t.Error(describe(report))
	}
	must(t, p.close())
}

func TestACrashNeverTakesANumberBack(t *testing.T) {
	const changes = 60
	for f := range faults {
		for n := 1; n <= changes; n++ {
			m := newCrashMachine(t, uint64(n))
			if committed, kept := m.perform(aZone(5, 10, "old")); !committed || !kept {
				t.Fatal("the first operation fails")
			}
			m.arm(f, n)
			stage := aZone(6, 12, "new")
			committed, _ := m.perform(stage)
			m.disk.SetHook(nil)
			seen, _ := zoneOn(t, m.disk)
			for range 2 {
				if !m.recover(stage, committed) {
					t.Fatalf("%v at %d: the recovery fails", f, n)
				}
			}
			serial, body := zoneOn(t, m.disk)
			switch {
			case serial < seen:
				t.Errorf("%v at %d: the serial went from %d back to %d", f, n, seen, serial)
			case committed && (body != "new" || serial != 12), !committed && body != "old":
				t.Errorf("%v at %d: committed: %v, the zone is %d %q", f, n, committed, serial, body)
			case !committed && seen == 12 && serial != 13:
				t.Errorf("%v at %d: the old zone came back as %d", f, n, serial)
			}
			m.nothingLeft()
		}
	}
}

func TestDaemonsAreToldOfWhatChangedAndOfWhatCameBack(t *testing.T) {
	m := newActMachine(t)
	p := m.connect()
	p.perform(aZone(1, 10, "old"))
	p.perform(aZone(2, 9, "old")) // nothing to tell
	stage := aZone(3, 12, "new")
	for _, word := range wordsOf(stage)[:2] {
		p.want(word.answer, word.word, word.content)
	}
	if told := m.did("load"); len(told) != 1 {
		t.Errorf("told %q before RELOAD", told)
	}
	m.fails["load"] = true
	report := p.want(wire.WordFailed, wire.WordReload, wire.Reload{Operation: stage.Operation})
	if !strings.Contains(describe(report), "it went wrong") {
		t.Error(describe(report))
	}
	m.fails["load"] = false
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	if told := m.did("load"); len(told) != 3 || told[2] != "load example.org" {
		t.Errorf("told %q", told)
	}
	wantZone(t, m.disk, 13, "old")
	// A daemon that started before RELOAD has read the new content by itself.
	stage = aZone(4, 20, "newer")
	for _, word := range wordsOf(stage)[:2] {
		p.want(word.answer, word.word, word.content)
	}
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	if told := m.did("load"); len(told) != 4 {
		t.Errorf("told %q", told)
	}
	must(t, p.close())
}

func TestEachRELOADTellsTheDaemonsOfItsSteps(t *testing.T) {
	m := newActMachine(t)
	p := m.connect()
	step := func(name string) wire.Step {
		return aStep(name, d("file", "/etc/"+name, "root", "root", "0644", name), d("refresh", "load", name), d("reload", "cron"))
	}
	stage := stageOf(1, step("masters"), step("slaves"))
	for _, word := range wordsOf(stage)[:2] {
		p.want(word.answer, word.word, word.content)
	}
	told := func(want ...string) {
		t.Helper()
		if difference := cmp.Diff(want, m.did("load", "systemctl reload")); difference != "" {
			t.Error(difference)
		}
	}
	p.want(wire.WordActive, wire.WordReload, wire.Reload{Operation: stage.Operation, Steps: []string{"masters"}})
	told("systemctl reload -- cron", "load masters")
	// Once for all: what the second step publishes was live when the first was told.
	p.want(wire.WordActive, wire.WordReload, wire.Reload{Operation: stage.Operation, Steps: []string{"slaves"}})
	told("systemctl reload -- cron", "load masters", "load slaves")
	report := p.want(wire.WordFailed, wire.WordReload, wire.Reload{Operation: stage.Operation, Steps: []string{"none"}})
	if report.Failure.Code != wire.CodeOrder {
		t.Error(describe(report))
	}
	m.calls = nil
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage)) // back, all are told, whatever wave it was
	told("systemctl reload-or-restart -- cron", "load slaves", "load masters")
	must(t, p.close())
}

func TestGrowingIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(rapid.StringMatching(`[a-z0-9;\n\t ]{0,60}`).Draw(t, "text") + rapid.SampledFrom([]string{"", " 7 ; serial\n", "; serial\n", "x9\t; serial\nmore 5 ; serial\n"}).Draw(t, "line"))
		found := readGrowing(data, zoneMark)
		if found == nil {
			return
		}
		again := readGrowing(found.with(found.number+1), zoneMark)
		if again == nil || again.number != found.number+1 || !again.same(found) {
			t.Fatalf("%q came back as %+v", data, again)
		}
	})
}

func TestDeclarationsOfWhatGrowsAndIsRefreshed(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	p := memorySession(t, disk, machine)
	for n, declaration := range [][]string{
		d("file", "/etc/zone", "root", "root", "0644", "no number here ; serial", "grows", zoneMark),
		d("file", "/etc/zone", "root", "root", "0644", "1 ; serial", "grows"),
		d("file", "/etc/zone", "root", "root", "0644", "1 ; serial\n", "grows", zoneMark, "0"),
		d("refresh", "-x", "example.org"), d("refresh", "load", "-rf"), d("refresh", "load"),
	} {
		report := p.want(wire.WordFailed, wire.WordStage, stageOf(n+1, aStep("zone", declaration)))
		if report.Failure.Code != wire.CodeDeclared {
			t.Errorf("%q: %s", declaration, describe(report))
		}
		p.want(wire.WordUndone, wire.WordUndo, undoOf(stageOf(n+1)))
	}
	must(t, p.close())
}

func TestRefreshedFunctionsGetAllKeysAndTheDirection(t *testing.T) {
	runner := realRunner(t)
	keys := []string{"example.org", "example.net", "example.com"}
	script := `load() { local key; for key in "$@"; do state "$key" "${state_before[$key]}" "${content[$key]}"; done; }`
	for goingBack, direction := range map[bool]string{false: "", true: "back"} {
		child := Child{Kind: ChildAct, Script: script, Function: "load", Arguments: keys, Input: refreshInput(keys, goingBack)}
		result, err := runner.Run(t.Context(), child)
		if err != nil || result.ExitCode != 0 {
			t.Fatalf("%+v %v", result, err)
		}
		if wanted := strings.Join(keys, "\x00"+direction+"\x00\x00") + "\x00" + direction + "\x00\x00"; string(result.Answer) != wanted {
			t.Errorf("the function was told %q", result.Answer)
		}
	}
}

package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orchestra/pkg/runtime/sqlitemap"
	"orchestra/pkg/wire"
)

const theMap = "/etc/maps/addresses"

// mapStep is a step that declares the directory of the map, and more.
func mapStep(declarations ...[]string) wire.Step {
	return aStep("x", append([][]string{d("dir", "/etc/maps", "root", "33", "0750")}, declarations...)...)
}

// postmap returns how to ask Postfix for a key, as its daemons do.
func postmap(t *testing.T, root string) func(key string) string {
	t.Helper()
	configuration := t.TempDir() // of its own: without a name for the machine it would ask the network
	must(t, os.WriteFile(configuration+"/main.cf", []byte("compatibility_level = 3.6\nmyhostname = h11.example.org\nmydomain = example.org\n"), 0o644))
	settings := filepath.Join(configuration, "addresses.cf")
	must(t, os.WriteFile(settings, fmt.Appendf(nil, "dbpath = %s%s\nquery = SELECT value FROM map WHERE key = '%%s'\n", root, theMap), 0o644))
	kinds, err := exec.Command("postconf", "-c", configuration, "-m").Output()
	if err != nil || !slices.Contains(strings.Fields(string(kinds)), "sqlite") {
		t.Skipf("LEFT OUT: Postfix with SQLite is not installed: apt install postfix-sqlite: %v", err)
	}
	return func(key string) string {
		t.Helper()
		output, err := exec.Command("postmap", "-c", configuration, "-q", key, "sqlite:"+settings).CombinedOutput()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && len(output) == 0 {
			return "" // not found
		}
		if err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		return strings.TrimSuffix(string(output), "\n")
	}
}

func TestPostfixReadsTheMap(t *testing.T) {
	root, options := realServer(t)
	look := postmap(t, root)
	p := connect(t, options)
	hostile := `o'brien"; drop table map; --@example.org` // Postfix looks keys up in lower case
	p.perform(stageOf(1, mapStep(d("entry", theMap, "a@example.org", "acme", "sqlite"), d("entry", theMap, hostile, "x' OR '1'='1", "sqlite"))))
	if one, two := look("a@example.org"), look(hostile); one != "acme" || two != "x' OR '1'='1" {
		t.Errorf("Postfix found %q and %q", one, two)
	}
	stage := stageOf(2, mapStep(d("entry", theMap, "a@example.org", "changed", "sqlite"), d("drop", "entry", theMap, hostile, "sqlite")))
	for _, word := range wordsOf(stage)[:2] {
		p.want(word.answer, word.word, word.content)
	}
	if one, two := look("a@example.org"), look(hostile); one != "changed" || two != "" {
		t.Errorf("Postfix found %q and %q", one, two)
	}
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	if one, two := look("a@example.org"), look(hostile); one != "acme" || two != "x' OR '1'='1" {
		t.Errorf("Postfix found %q and %q", one, two)
	}
	must(t, p.close())
}

func TestADaemonOfTheDirectorysGroupMayReadANewMap(t *testing.T) {
	root, options := realServer(t)
	p := connect(t, options)
	p.perform(stageOf(1, mapStep(d("entry", theMap, "a", "1", "sqlite"))))
	info, err := options.Disk.Stat(theMap)
	must(t, err)
	if info.Attributes != (Attributes{Owner: Owner{GID: 33}, Mode: 0o640}) {
		t.Errorf("%+v", info.Attributes)
	}
	must(t, os.Chown(root+"/etc/maps", 0, 33), os.Chmod(filepath.Dir(root), 0o755))
	read := exec.Command("setpriv", "--reuid=4242", "--regid=33", "--clear-groups", "sqlite3", "-readonly", root+theMap, "SELECT value FROM map")
	if output, err := read.CombinedOutput(); err != nil || string(output) != "1\n" {
		t.Errorf("%s %v", output, err)
	}
	must(t, p.close())
}

// TestLookingAtAMapWritesNothing compares each byte and name, of a map that is whole and of
// one whose writer died.
func TestLookingAtAMapWritesNothing(t *testing.T) {
	root, options := realServer(t)
	p := connect(t, options)
	p.perform(stageOf(1, mapStep(d("entry", theMap, "a", "1", "sqlite"))))
	snapshot := func() map[string]string {
		all := map[string]string{}
		names, err := os.ReadDir(root + "/etc/maps")
		must(t, err)
		for _, name := range names {
			data, err := os.ReadFile(root + "/etc/maps/" + name.Name())
			must(t, err)
			info, err := name.Info()
			must(t, err)
			all[name.Name()] = info.ModTime().String() + string(data)
		}
		return all
	}
	look := func() wire.Report {
		t.Helper()
		before := snapshot()
		report := p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: []wire.Step{mapStep(
			d("entry", theMap, "a", "2", "sqlite"), d("drop", "entry", theMap, "b", "sqlite"), d("entry", "/etc/maps/none", "a", "2", "sqlite"))}, Drift: true, Leftovers: true})
		if difference := cmp.Diff(before, snapshot()); difference != "" {
			t.Error(difference)
		}
		return report
	}
	want := map[string]string{"entry " + theMap + ": a": "stale", "entry /etc/maps/none: a": "missing"}
	if difference := cmp.Diff(want, reasons(look())); difference != "" {
		t.Error(difference)
	}
	diesWriting(t, root+theMap)
	report := look()
	want = map[string]string{"entry " + theMap + ": a": "conflict", "entry " + theMap + ": b": "conflict", "entry /etc/maps/none: a": "missing"}
	if difference := cmp.Diff(want, reasons(report)); difference != "" || !strings.Contains(describe(report), "died") {
		t.Error(difference, describe(report))
	}
	// An operation rolls it back, as any writer would.
	p.perform(stageOf(2, mapStep(d("entry", theMap, "a", "2", "sqlite"))))
	if got := allEntries(t, root+theMap); got != "ok\n'a'|'2'\n" {
		t.Errorf("%q", got)
	}
	if names := snapshot(); len(names) != 1 {
		t.Errorf("%v", names)
	}
	must(t, p.close())
}

// diesWriting leaves a map as a writer does who is killed in the middle.
func diesWriting(t *testing.T, name string) {
	t.Helper()
	command := exec.Command("sqlite3", name)
	input, err := command.StdinPipe()
	must(t, err)
	output, err := command.StdoutPipe()
	must(t, err, command.Start())
	_, err = input.Write([]byte("PRAGMA cache_size=1; BEGIN IMMEDIATE; UPDATE map SET value = 'torn';\n" +
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO map SELECT 'torn ' || i, 'a value of some length' FROM n;\n.print written\n"))
	must(t, err)
	_, err = output.Read(make([]byte, 100))
	must(t, err, command.Process.Kill())
	_ = command.Wait()
}

func TestAMapLiesOnlyWhereRootAloneMayWrite(t *testing.T) {
	for trap, set := range map[string]func(t *testing.T, root string){
		"the directory is a user's":   func(t *testing.T, root string) { must(t, os.Chown(root+"/etc/maps", mallory, mallory)) },
		"a group may write there":     func(t *testing.T, root string) { must(t, os.Chmod(root+"/etc/maps", 0o770)) },
		"others may write above":      func(t *testing.T, root string) { must(t, os.Chmod(root+"/etc", 0o1777)) },
		"the map is a user's":         func(t *testing.T, root string) { must(t, os.Chown(root+theMap, mallory, 0)) },
		"others may write to the map": func(t *testing.T, root string) { must(t, os.Chmod(root+theMap, 0o666)) },
		"the map is a link": func(t *testing.T, root string) {
			must(t, os.Remove(root+theMap), os.Symlink("/treasure/gold", root+theMap))
		},
		"the map is a fifo": func(t *testing.T, root string) { must(t, os.Remove(root+theMap), syscall.Mkfifo(root+theMap, 0o600)) },
		"the map is text":   func(t *testing.T, root string) { must(t, os.WriteFile(root+theMap, []byte("a b\n"), 0o600)) },
		"the map has a write-ahead log": func(t *testing.T, root string) {
			must(t, exec.Command("sqlite3", root+theMap, "PRAGMA journal_mode=WAL").Run())
		},
	} {
		t.Run(trap, func(t *testing.T) {
			root, p := malloryHome(t)
			p.perform(stageOf(1, mapStep(d("entry", theMap, "a", "1", "sqlite"))))
			set(t, root)
			before := treasure(t, root)
			names, err := os.ReadDir(root + "/etc/maps")
			must(t, err)
			stage := stageOf(2, aStep("x", d("entry", theMap, "a", "2", "sqlite")))
			p.want(wire.WordConflict, wire.WordStage, stage)
			p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
			after, err := os.ReadDir(root + "/etc/maps")
			must(t, err)
			if !slices.EqualFunc(names, after, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() }) {
				t.Errorf("%v became %v", names, after)
			}
			if difference := cmp.Diff(before, treasure(t, root)); difference != "" {
				t.Errorf("root's own was touched: %s", difference)
			}
			must(t, p.close())
		})
	}
	// Nor is one made where a user will be allowed to write.
	disk, machine := memoryServer(MemoryOptions{})
	p := memorySession(t, disk, machine)
	stage := stageOf(1, aStep("x", d("dir", "/etc/maps", "anna", "root", "0755"), d("entry", theMap, "a", "1", "sqlite")))
	p.want(wire.WordConflict, wire.WordStage, stage)
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	must(t, p.close())
}

func TestTwoOperationsMakeOneMap(t *testing.T) {
	for _, undone := range []bool{true, false} {
		t.Run(fmt.Sprint("undone ", undone), func(t *testing.T) { twoMakeOneMap(t, undone) })
	}
}

func twoMakeOneMap(t *testing.T, undone bool) {
	root, options := realServer(t)
	must(t, os.Mkdir(root+"/etc/maps", 0o755))
	one, two := connect(t, options), connect(t, options)
	first := stageOf(1, aStep("x", d("entry", theMap, "a", "1", "sqlite")))
	second := stageOf(2, aStep("x", d("entry", theMap, "b", "2", "sqlite")))
	one.want(wire.WordStaged, wire.WordStage, first)
	two.want(wire.WordStaged, wire.WordStage, second)
	for _, word := range wordsOf(first)[1:] {
		one.want(word.answer, word.word, word.content)
	}
	two.want(wire.WordPublished, wire.WordPublish, wordsOf(second)[1].content)
	if got := allEntries(t, root+theMap); got != "ok\n'a'|'1'\n'b'|'2'\n" {
		t.Errorf("%q", got)
	}
	want := "ok\n'a'|'1'\n'b'|'2'\n"
	if undone {
		want = "ok\n'a'|'1'\n"
		two.want(wire.WordUndone, wire.WordUndo, undoOf(second))
	} else {
		two.want(wire.WordActive, wire.WordReload, wordsOf(second)[2].content)
		two.want(wire.WordKept, wire.WordKeep, wordsOf(second)[3].content)
	}
	if got := allEntries(t, root+theMap); got != want {
		t.Errorf("undone %v: %q", undone, got)
	}
	if names, err := os.ReadDir(root + "/etc/maps"); err != nil || len(names) != 1 {
		t.Errorf("%v is left, %v", names, err)
	}
	must(t, one.close(), two.close())
}

// TestOneKeyCostsTheSameInALargeMap counts what one operation reads and writes.
func TestOneKeyCostsTheSameInALargeMap(t *testing.T) {
	root, options := realServer(t)
	must(t, options.Disk.MakeDirectory("/etc/maps", Attributes{Mode: 0o755}))
	counts := []int{100, 100_000}
	for _, count := range counts {
		entries := map[string]string{}
		for n := range count {
			entries[fmt.Sprintf("key%d@example.org", n)] = fmt.Sprintf("account%d", n)
		}
		must(t, options.Disk.CreateMap(fmt.Sprint("/etc/maps/", count), entries, Attributes{Mode: 0o640}))
	}
	p := connect(t, options)
	const rounds = 20
	var took [2]time.Duration
	var moved [2]int
	for i, count := range counts {
		name := fmt.Sprint("/etc/maps/", count)
		before, started := bytesMoved(t), time.Now()
		for n := range rounds {
			p.perform(stageOf(100*i+n+1, aStep("x", d("entry", name, "key7@example.org", fmt.Sprint("another ", n), "sqlite"))))
		}
		took[i], moved[i] = time.Since(started)/rounds, (bytesMoved(t)-before)/rounds
		info, err := os.Stat(root + name)
		must(t, err)
		t.Logf("%6d entries, %5d KiB: %v and %d KiB read and written, an operation", count, info.Size()>>10, took[i].Round(time.Millisecond), moved[i]>>10)
	}
	t.Logf("100,000 to 100: %.2f in time, %.2f in bytes", float64(took[1])/float64(took[0]), float64(moved[1])/float64(moved[0]))
	if moved[1] > 2*moved[0] { // the tree is two pages higher
		t.Errorf("an operation moves %d bytes instead of %d", moved[1], moved[0])
	}
	must(t, p.close())
}

func bytesMoved(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/io")
	must(t, err)
	var in, out int
	_, err = fmt.Sscanf(string(data), "rchar: %d\nwchar: %d", &in, &out)
	must(t, err)
	return in + out
}

// TestBothDisksHaveMapsAlike edits maps on the real disk and on the one in memory.
func TestBothDisksHaveMapsAlike(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("LEFT OUT: it needs root")
	}
	rapid.Check(t, func(t *rapid.T) {
		root, err := os.MkdirTemp("", "disk")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(root)
		if err := os.Chmod(root, 0o755); err != nil {
			t.Fatal(err)
		}
		real, closer, err := NewRealDisk(root)
		if err != nil {
			t.Fatal(err)
		}
		defer closer.Close()
		memory := NewMemory(MemoryOptions{}).Process("test")
		name := rapid.SampledFrom([]string{"/map", "/map", "/d/map", "/d", "/link"})
		key := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "A"}), rapid.StringMatching(`['"%\n ;ü-]{1,3}`))
		for range rapid.IntRange(1, 20).Draw(t, "operations") {
			do := mapOperations(rapid.IntRange(0, 6).Draw(t, "operation"), name.Draw(t, "one"), name.Draw(t, "two"),
				rapid.SliceOfN(key, 1, 3).Draw(t, "keys"), rapid.String().Filter(func(s string) bool { return !strings.Contains(s, "\x00") }).Draw(t, "value"))
			gotReal, realErr := do(real)
			gotMemory, memoryErr := do(memory)
			if mapError(realErr) != mapError(memoryErr) || realErr == nil && gotReal != gotMemory {
				t.Fatalf("real: %q, %v; in memory: %q, %v", gotReal, realErr, gotMemory, memoryErr)
			}
		}
	})
}

func mapError(err error) string {
	if errors.Is(err, sqlitemap.ErrNoMap) {
		return "no map"
	}
	return kindOfError(err)
}

func mapOperations(which int, one, two string, keys []string, value string) func(Disk) (string, error) {
	return func(disk Disk) (string, error) {
		switch which {
		case 0:
			return "", disk.CreateMap(one, map[string]string{keys[0]: value}, Attributes{Mode: 0o640})
		case 1:
			return "", disk.MakeDirectory("/d", Attributes{Mode: 0o755})
		case 2:
			return "", errors.Join(disk.Change("/d", Attributes{Mode: 0o777}))
		case 3:
			return "", disk.Rename(one, two)
		case 4:
			if value > "m" {
				return "", disk.MakeLink("/link", "/map", Owner{})
			}
			return "", disk.Create(one, []byte(value), Attributes{Mode: 0o640})
		case 5:
			found, empty, err := disk.ReadMap(one, keys)
			return fmt.Sprint(found, empty), err
		}
		seen := ""
		err := disk.EditMap(one, keys, func(found map[string]string) (map[string]*string, error) {
			seen = fmt.Sprint(found)
			edits := map[string]*string{}
			for _, key := range keys {
				if edits[key] = &value; len(value)%3 == 0 {
					edits[key] = nil
				}
			}
			return edits, nil
		})
		return seen, err
	}
}

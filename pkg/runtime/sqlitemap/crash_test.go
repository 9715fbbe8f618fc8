package sqlitemap

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestMain is also the process that is killed while it edits.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "edit" {
		editForEver(os.Args[2])
	}
	os.Exit(m.Run())
}

// editForEver gives two keys the same value, in one edit, and says which when it is done.
func editForEver(name string) {
	for n := 1; ; n++ {
		value := strconv.Itoa(n)
		edits := map[string]*string{"first": &value, "second": &value}
		for range 30 { // on many pages
			edits[fmt.Sprintf("key %d", rand.IntN(5000))] = &value
		}
		if err := Edit(name, nil, set(edits)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

func many(count int) map[string]string {
	entries := map[string]string{}
	for n := range count {
		entries[fmt.Sprintf("key %d", n)] = fmt.Sprintf("value of some length, as addresses have: %d@example.org", n)
	}
	return entries
}

func TestAKillAtAnyMomentLeavesAllOrNothing(t *testing.T) {
	hot, kills := 0, 20
	if testing.Short() {
		kills = 5
	}
	for range kills {
		name := file(t, filepath.Join(t.TempDir(), "map"), many(5000))
		command := exec.Command(os.Args[0], "edit", name)
		command.Stderr = os.Stderr
		output, err := command.StdoutPipe()
		must(t, err, command.Start())
		time.Sleep(time.Duration(20+rand.IntN(60)) * time.Millisecond)
		must(t, command.Process.Kill())
		acknowledged := 0
		for lines := bufio.NewScanner(output); lines.Scan(); {
			acknowledged, err = strconv.Atoi(lines.Text())
			must(t, err)
		}
		_ = command.Wait()
		if _, _, err := Find(name, nil); errors.Is(err, ErrHot) {
			hot++
		} else {
			must(t, err)
		}
		must(t, Edit(name, nil, set(nil)))
		found, _, err := Find(name, []string{"first", "second"})
		must(t, err)
		if n, _ := strconv.Atoi(found["first"]); found["first"] != found["second"] || n < acknowledged || n > acknowledged+1 {
			t.Errorf("%d was acknowledged, and there is %v", acknowledged, found)
		}
		if got := query(t, name, "PRAGMA integrity_check"); got != "ok" {
			t.Error(got)
		}
		if names, err := os.ReadDir(filepath.Dir(name)); err != nil || len(names) != 1 {
			t.Errorf("%v is left, %v", names, err)
		}
	}
	t.Logf("%d of %d were killed while they wrote", hot, kills)
}

// hotMap makes a map whose writer died in the middle.
func hotMap(t *testing.T) string {
	t.Helper()
	name := file(t, filepath.Join(t.TempDir(), "map"), many(1000))
	db, err := sql.Open("sqlite", name+"?_pragma=cache_size(1)")
	must(t, err)
	defer db.Close()
	conn, err := db.Conn(context.Background())
	must(t, err)
	defer conn.Close()
	for _, statement := range []string{"BEGIN IMMEDIATE", "UPDATE map SET value = 'torn'"} { // more than the cache holds
		_, err := conn.ExecContext(context.Background(), statement)
		must(t, err)
	}
	copied := filepath.Join(t.TempDir(), "map")
	for _, ending := range []string{"", "-journal"} {
		data, err := os.ReadFile(name + ending)
		must(t, err, os.WriteFile(copied+ending, data, 0o600))
	}
	return copied
}

func TestAHotJournalIsRolledBackByAWriterOnly(t *testing.T) {
	name := hotMap(t)
	before, err := os.ReadFile(name)
	must(t, err)
	for range 2 {
		if _, _, err := Find(name, []string{"key 1"}); !errors.Is(err, ErrHot) {
			t.Fatalf("%v", err)
		}
	}
	if after, err := os.ReadFile(name); err != nil || string(after) != string(before) {
		t.Error("a reader has written")
	}
	if _, err := os.Stat(name + "-journal"); err != nil {
		t.Error(err)
	}
	must(t, Edit(name, nil, set(nil)))
	if got := query(t, name, "PRAGMA integrity_check; SELECT count(*) FROM map WHERE value LIKE 'value of%'"); got != "ok\n1000" {
		t.Error(got)
	}
}

func TestReadersAndAWriterDoNotHurtEachOther(t *testing.T) {
	name := file(t, filepath.Join(t.TempDir(), "map"), map[string]string{"one": "0", "two": "0"})
	var stop atomic.Bool
	done := make(chan error, 2)
	for range cap(done) {
		go func() {
			for !stop.Load() {
				found, _, err := Find(name, []string{"one", "two"})
				if err == nil && found["one"] != found["two"] {
					err = fmt.Errorf("half an edit was read: %v", found)
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for n := range 60 {
		value := strconv.Itoa(n)
		must(t, Edit(name, nil, set(map[string]*string{"one": &value, "two": &value})))
	}
	stop.Store(true)
	must(t, <-done, <-done)

	// One that takes its time is waited for.
	reader := exec.Command("sqlite3", "-readonly", name)
	reader.Stdin = strings.NewReader("BEGIN;\nSELECT count(*) FROM map;\n.shell sleep 1\nCOMMIT;\n")
	output, err := reader.StdoutPipe()
	must(t, err, reader.Start())
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "2\n" {
		t.Fatal(line, err)
	}
	value, started := "last", time.Now()
	must(t, Edit(name, nil, set(map[string]*string{"one": &value})))
	t.Logf("waited %v for a reader", time.Since(started).Round(time.Millisecond))
	must(t, reader.Wait())
}

// ioOf returns how often, and how many bytes, this process has read and written so far.
func ioOf(t *testing.T) (counts [4]int) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/io")
	must(t, err)
	_, err = fmt.Sscanf(string(data), "rchar: %d\nwchar: %d\nsyscr: %d\nsyscw: %d", &counts[0], &counts[1], &counts[2], &counts[3])
	must(t, err)
	return counts
}

func TestTheCostOfOneKeyDoesNotGrowWithTheMap(t *testing.T) {
	const rounds = 50
	var bytes [2]float64
	var took [2]time.Duration
	for i, count := range []int{100, 100_000} {
		name := file(t, filepath.Join(t.TempDir(), "map"), many(count))
		before, started := ioOf(t), time.Now()
		for n := range rounds {
			key, value := fmt.Sprintf("key %d", rand.IntN(count)), fmt.Sprintf("another value, of about the same length: %d", n)
			_, _, err := Find(name, []string{key})
			must(t, err, Edit(name, []string{key}, set(map[string]*string{key: &value})))
		}
		took[i] = time.Since(started) / rounds
		after := ioOf(t)
		bytes[i] = float64(after[0]-before[0]+after[1]-before[1]) / rounds
		t.Logf("%6d entries: %v and %.1f pages of 4 KiB a key", count, took[i].Round(10*time.Microsecond), bytes[i]/4096)
	}
	t.Logf("100,000 to 100: %.2f in time, %.2f in pages", float64(took[1])/float64(took[0]), bytes[1]/bytes[0])
	if bytes[1] > 2*bytes[0] {
		t.Errorf("%.0f bytes a key, instead of %.0f", bytes[1], bytes[0])
	}
}

package operation

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"orchestra/pkg/fault"
)

// TestMain runs the test binary as another process that holds locks.
func TestMain(m *testing.M) {
	if directory := os.Getenv("ORCHESTRA_TEST_HOLD"); directory != "" {
		holdLocks(directory)
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func holdLocks(directory string) {
	locks, err := NewLocks(directory, nil)
	must(err)
	set, err := locks.begin("other", "user add somebody")
	must(err)
	must(set.take(context.Background(), time.Second, world, lockWant{key: lockKey{lockAccount, 7}}))
	fmt.Println("held")
	bufio.NewReader(os.Stdin).ReadString('\n')
	os.Exit(0)
}

func newTestLocks(t *testing.T) *Locks {
	t.Helper()
	locks, err := NewLocks(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return locks
}

func beginSet(t *testing.T, locks *Locks, id string) *lockSet {
	t.Helper()
	set, err := locks.begin(id, "test "+id)
	if err != nil || set == nil {
		t.Fatal(set, err)
	}
	t.Cleanup(func() { set.close(true) })
	return set
}

func TestALockIsHeldByAProcessAndDiesWithIt(t *testing.T) {
	locks := newTestLocks(t)
	other := exec.Command(os.Args[0], "-test.run=^$")
	other.Env = append(os.Environ(), "ORCHESTRA_TEST_HOLD="+locks.directory)
	stdin, _ := other.StdinPipe()
	stdout, _ := other.StdoutPipe()
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatal(line, err)
	}
	mine := beginSet(t, locks, "mine")
	account := lockWant{key: lockKey{lockAccount, 7}}
	if took, err := mine.try(world); err != nil || !took {
		t.Fatal("the world is shared", took, err)
	}
	if took, err := mine.try(account); err != nil || took {
		t.Fatal("a held lock was taken", took, err)
	}
	var told []Holder
	mine.waiting = func(_ lockWant, holders []Holder) { told = holders }
	err := mine.take(context.Background(), 700*time.Millisecond, account)
	if !fault.Is(err, fault.Locked) || !strings.Contains(err.Error(), "user add somebody") || !strings.Contains(err.Error(), fmt.Sprint(other.Process.Pid)) {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0].PID != other.Process.Pid {
		t.Fatal("who waits is not told for whom", told)
	}
	if dead, err := locks.dead("other"); err != nil || dead {
		t.Fatal("a running operation is taken for dead", err)
	}
	other.Process.Kill()
	other.Wait()
	if err := mine.take(context.Background(), time.Second, account); err != nil {
		t.Fatal(err)
	}
	if dead, err := locks.dead("other"); err != nil || !dead {
		t.Fatal("an operation without its process is taken for running", err)
	}
	for _, holder := range locks.Holders() {
		if holder.Operation == "other" {
			t.Error("a dead process is shown as a holder")
		}
	}
}

func TestLocksExcludeEachOther(t *testing.T) {
	account := func(id int64, shared bool) lockWant { return lockWant{key: lockKey{lockAccount, id}, shared: shared} }
	for _, test := range []struct {
		name  string
		held  lockWant
		want  lockWant
		works bool
	}{
		{"shared beside shared", account(1, true), account(1, true), true},
		{"alone beside shared", account(1, true), account(1, false), false},
		{"shared beside alone", account(1, false), account(1, true), false},
		{"another account", account(1, false), account(2, false), true},
		{"the world alone", world, worldAlone, false},
		{"the world shared", world, world, true},
		{"a server of the same number", account(1, false), lockWant{key: lockKey{lockServer, 1}}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			locks := newTestLocks(t)
			a, b := beginSet(t, locks, "a"), beginSet(t, locks, "b")
			if took, err := a.try(test.held); err != nil || !took {
				t.Fatal(took, err)
			}
			if took, err := b.try(test.want); err != nil || took != test.works {
				t.Fatal(took, err)
			}
			a.close(true)
			if took, err := b.try(test.want); err != nil || !took {
				t.Fatal("after it is free", took, err)
			}
		})
	}
}

func TestLocksAreTakenInOrderOnly(t *testing.T) {
	locks := newTestLocks(t)
	set := beginSet(t, locks, "a")
	server := lockWant{key: lockKey{lockServer, 1}}
	if err := set.take(context.Background(), 0, world, server, lockWant{key: lockKey{lockAccount, 9}}); err != nil {
		t.Fatal("together they are sorted:", err)
	}
	if err := set.take(context.Background(), 0, lockWant{key: lockKey{lockAccount, 10}}); err == nil {
		t.Fatal("an account was waited for while a server is held")
	}
	if took, err := set.try(lockWant{key: lockKey{lockAccount, 10}}); err != nil || !took {
		t.Fatal("what is not waited for needs no order", err)
	}
}

func TestWaitingForALockEndsWithItsContext(t *testing.T) {
	locks := newTestLocks(t)
	a, b := beginSet(t, locks, "a"), beginSet(t, locks, "b")
	if _, err := a.try(worldAlone); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := b.take(ctx, time.Minute, world); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if len(b.held) != 0 {
		t.Error("something is held after a failure")
	}
}

func TestWhoWantsTheWorldAloneIsNotStarved(t *testing.T) {
	locks := newTestLocks(t)
	a, b, c := beginSet(t, locks, "a"), beginSet(t, locks, "b"), beginSet(t, locks, "c")
	if _, err := a.try(world); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error)
	go func() { waiting <- b.take(context.Background(), 10*time.Second, worldAlone) }()
	time.Sleep(50 * time.Millisecond)
	if took, err := c.try(world); err != nil || took {
		t.Fatal("a later one went past who waits", took, err)
	}
	a.release(world)
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}
}

func TestTheFileOfAnEndedOperationGoes(t *testing.T) {
	locks := newTestLocks(t)
	set, err := locks.begin("x", "x")
	if err != nil {
		t.Fatal(err)
	}
	set.close(false)
	if dead, _ := locks.dead("x"); !dead {
		t.Fatal("it is dead")
	}
	if set, err = locks.begin("x", "recover"); err != nil || set == nil {
		t.Fatal(err)
	}
	set.close(true)
	entries, err := os.ReadDir(locks.directory)
	if err != nil || len(entries) != 0 {
		t.Fatal(entries, err)
	}
}

package store_test

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestTenThousandAddsInOnePlan holds the budget of a batch: seconds of CPU, and
// memory of which the journal needs its share too.
func TestTenThousandAddsInOnePlan(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("a batch of 10,000")
	}
	o := options(t)
	s, err := store.Create(t.Context(), o)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	add(t, s, object("account", "name", "acme"))
	began := cpu()
	planner, err := plan(t, s, func(ctx context.Context, p *store.Planner) error {
		for i := range 10_000 {
			if _, err := p.Add(ctx, "user", noun.Values{
				"name": fmt.Sprintf("user-%05d", i), "account": "acme", "shell": "/bin/bash", "group": "a,b",
				"ssh_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@example.org",
			}); err != nil {
				return err
			}
		}
		return nil
	})
	must(t, err)
	planned := cpu() - began
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	began = cpu()
	apply(t, s, planner)
	applied := cpu() - began
	began = cpu()
	view(t, s, func(tx *store.Tx) {
		rows, err := tx.List(t.Context(), "user", store.Query{Filter: `uid > 70010 and account == "acme"`})
		must(t, err)
		if len(rows) != 9_989 {
			t.Errorf("%d rows", len(rows))
		}
	})
	listed := cpu() - began
	t.Logf("planned in %v, applied in %v, listed in %v of CPU; %d MiB in use, %d MiB from the system",
		planned, applied, listed, memory.HeapInuse>>20, memory.Sys>>20)
	if planned > 6*time.Second { // 3 s is the aim; the machine is shared
		t.Errorf("to plan took %v of CPU", planned)
	}
	if memory.Sys > 200<<20 {
		t.Errorf("%d MiB of memory", memory.Sys>>20)
	}
}

func BenchmarkOpen(b *testing.B) {
	o := options(b)
	s, err := store.Create(b.Context(), o)
	must(b, err)
	must(b, s.Close())
	for b.Loop() {
		s, err := store.Open(b.Context(), o)
		must(b, err)
		must(b, s.View(b.Context(), func(tx *store.Tx) error {
			_, err := tx.List(b.Context(), "account", store.Query{})
			return err
		}))
		must(b, s.Close())
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const processes = 50

// together compares fifty processes at once, each on an account of its own, with
// the same one after the other.
func (b *bench) together(ctx context.Context) error {
	var accounts strings.Builder
	for i := range processes {
		fmt.Fprintf(&accounts, "account add many%02d --full-name Many\n", i)
	}
	if _, err := b.orchestra(ctx, accounts.String(), "batch"); err != nil {
		return err
	}
	add := func(prefix string, i int) error {
		_, err := b.orchestra(ctx, "", "user", "add", fmt.Sprintf("%s%02d", prefix, i), "--account", fmt.Sprintf("many%02d", i))
		return err
	}
	started := time.Now()
	for i := range processes {
		if err := add("single", i); err != nil {
			return err
		}
	}
	single := time.Since(started)
	failures := make([]error, processes)
	var wait sync.WaitGroup
	started = time.Now()
	for i := range processes {
		wait.Go(func() { failures[i] = add("together", i) })
	}
	wait.Wait()
	all := time.Since(started)
	b.table.ratio(fmt.Sprintf("%d processes at once, an account each, 3 servers", processes), all, "one after the other", single, 0.5, false)
	failed := 0
	for _, err := range failures {
		if err != nil {
			failed++
		}
	}
	b.table.count(fmt.Sprintf("of %d processes at once, failed", processes), failed, 0)
	return errors.Join(failures...)
}

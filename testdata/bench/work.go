package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"orchestra/testdata/fleet"
)

// startUp measures what a command costs that does next to nothing.
func (b *bench) startUp(ctx context.Context) error {
	for _, one := range []struct {
		arguments []string
		target    time.Duration
	}{{[]string{"--version"}, 15 * time.Millisecond}, {[]string{"account", "list"}, 25 * time.Millisecond}} {
		cost, err := b.median(func(int) (spent, error) { return b.orchestra(ctx, "", one.arguments...) })
		if err != nil {
			return err
		}
		b.table.absolute(strings.Join(one.arguments, " ")+", CPU", cost.cpu, one.target)
	}
	return nil
}

// oneUser compares a user on three servers with three plain ssh at once.
func (b *bench) oneUser(ctx context.Context) error {
	plain, err := b.median(func(int) (spent, error) {
		wall, err := b.onAll(func(host *fleet.Host) error { return b.ssh(ctx, host, "true") })
		return spent{wall: wall}, err
	})
	if err != nil {
		return err
	}
	one, err := b.median(func(round int) (spent, error) {
		return b.orchestra(ctx, "", "user", "add", fmt.Sprintf("bench-one%d", round), "--account", "bench")
	})
	if err != nil {
		return err
	}
	b.table.ratio("user add on 3 servers, cold", one.wall, "three ssh HOST true at once", plain.wall, 0.7, false)
	return nil
}

func lines(prefix string, count int) string {
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "user add %s%05d --account bench\n", prefix, i)
	}
	return text.String()
}

// hundredUsers compares batches with a loop of useradd, and with each other.
func (b *bench) hundredUsers(ctx context.Context) error {
	loop, err := b.onAll(func(host *fleet.Host) error {
		return b.ssh(ctx, host, "for i in $(seq 100); do useradd -m loop$i; done")
	})
	if err != nil {
		return err
	}
	if _, err := b.onAll(func(host *fleet.Host) error {
		return b.ssh(ctx, host, "for i in $(seq 100); do userdel -r loop$i 2>/dev/null; done")
	}); err != nil {
		return err
	}
	hundred, err := b.median(func(round int) (spent, error) {
		return b.orchestra(ctx, lines(fmt.Sprintf("bench-h%d-", round), 100), "batch")
	})
	if err != nil {
		return err
	}
	thousand, err := b.median(func(round int) (spent, error) {
		return b.orchestra(ctx, lines(fmt.Sprintf("bench-t%d-", round), 1000), "batch")
	})
	if err != nil {
		return err
	}
	b.table.ratio("100 users on 3 servers", loop, "against a useradd loop over ssh", hundred.wall, 5, true)
	b.table.ratio("1,000 users on 3 servers", thousand.wall, "100 users", hundred.wall, 3, false)
	return nil
}

// batch measures the memory of the largest thing there is.
func (b *bench) batch(ctx context.Context) error {
	cost, err := b.orchestra(ctx, lines("bench-m-", 10000), "batch")
	if err != nil {
		return err
	}
	b.table.memory("batch of 10,000 users on 3 servers", cost.memory, 256<<20)
	b.table.absolute("batch of 10,000 users on 3 servers", cost.wall, 0)
	return nil
}

package main

import (
	"context"
	"fmt"
	"time"
)

const (
	fewObjects  = 100
	manyObjects = 100_000
	readings    = 21 // a few milliseconds each: more of them, for a steady median
)

// asked is what reading costs.
type asked struct{ list, show, complete spent }

// reading measures list, show and the completion of a name.
func (b *bench) reading(ctx context.Context) (a asked, err error) {
	for _, one := range []struct {
		into      *spent
		arguments []string
	}{
		{&a.list, []string{"account", "list"}},
		{&a.show, []string{"account", "show", "filled-000042"}},
		{&a.complete, []string{"__complete", "account", "show", "filled-00004"}},
	} {
		if *one.into, err = medianOf(readings, func(int) (spent, error) { return b.orchestra(ctx, "", one.arguments...) }); err != nil {
			return a, err
		}
	}
	return a, nil
}

// adding measures one user on three servers.
func (b *bench) adding(ctx context.Context, prefix string) (spent, error) {
	return b.median(func(round int) (spent, error) {
		return b.orchestra(ctx, "", "user", "add", fmt.Sprintf("%s%d", prefix, round), "--account", "bench")
	})
}

// few fills the database a little and measures what many is compared with.
func (b *bench) few(ctx context.Context) (err error) {
	if err := b.fill(ctx, 0, fewObjects); err != nil {
		return err
	}
	if b.fewRead, err = b.reading(ctx); err != nil {
		return err
	}
	b.fewAdd, err = b.adding(ctx, "bench-few")
	return err
}

// many comes after the largest batch, and measures what is stored and what is on
// the servers by then.
func (b *bench) many(ctx context.Context) error {
	if err := b.fill(ctx, fewObjects, manyObjects); err != nil {
		return err
	}
	read, err := b.reading(ctx)
	if err != nil {
		return err
	}
	add, err := b.adding(ctx, "bench-many")
	if err != nil {
		return err
	}
	stored := fmt.Sprintf("with %d accounts stored", manyObjects)
	with := fmt.Sprintf("with %d", fewObjects)
	b.table.absolute("`account list` "+stored+", CPU", read.list.cpu, time.Second)
	b.table.ratio("`account show` "+stored+", CPU", read.show.cpu, with, b.fewRead.show.cpu, 1.3, false)
	b.table.ratio("completion of a name "+stored+", CPU", read.complete.cpu, with, b.fewRead.complete.cpu, 1.3, false)
	b.table.ratio("`user add` with 10,000 users on the 3 servers, "+stored, add.wall, with+" and few users", b.fewAdd.wall, 1.3, false)
	return nil
}

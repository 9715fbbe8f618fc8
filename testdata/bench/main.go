// The bench measures what Orchestra costs on three real servers, as ratios
// within one run, since machines differ: absolute targets are printed as met or
// missed, and asserted nowhere.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	binary := flag.String("orchestra", filepath.Join("build", "orchestra"), "the binary to measure")
	rounds := flag.Int("rounds", 5, "how often each thing is measured; the median counts")
	quick := flag.Bool("quick", false, "leave out what takes minutes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, *binary, *rounds, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, binary string, rounds int, quick bool) error {
	b, err := open(ctx, binary, rounds)
	if err != nil {
		return err
	}
	defer b.close()
	b.table.begin()
	for _, work := range []func(context.Context) error{b.startUp, b.oneUser, b.hundredUsers} {
		if err := work(ctx); err != nil {
			return err
		}
	}
	if quick {
		return nil
	}
	return b.batch(ctx)
}

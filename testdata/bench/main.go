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
	ansible := flag.Bool("ansible", true, "compare with Ansible, which takes most of the time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, *binary, *rounds, *quick, *ansible); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, binary string, rounds int, quick, ansible bool) error {
	b, err := open(ctx, binary, rounds)
	if err != nil {
		return err
	}
	defer b.close()
	b.table.begin()
	all := []func(context.Context) error{b.startUp, b.firstContact, b.oneUser, b.few, b.hundredUsers}
	if !quick {
		// What many is about, and what it is compared with, comes before it.
		if ansible {
			all = append(all, b.againstAnsible)
		}
		all = append(all, b.together, b.batch, b.many)
	}
	for _, work := range all {
		if err := work(ctx); err != nil {
			return err
		}
	}
	return nil
}

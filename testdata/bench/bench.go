package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"orchestra/testdata/fleet"
)

// bench is a panel with three servers, all set up.
type bench struct {
	fleet     *fleet.Fleet
	binary    string
	directory string
	rounds    int
	table     table
	// What the same costs while little is stored.
	fewRead asked
	fewAdd  spent
}

// spent is what one command cost.
type spent struct {
	wall, cpu time.Duration
	memory    int64 // bytes
}

func open(ctx context.Context, binary string, rounds int) (*bench, error) {
	if err := fleet.Available(); err != nil {
		return nil, fmt.Errorf("the bench needs real servers: %w", err)
	}
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "orchestra-bench-")
	if err != nil {
		return nil, err
	}
	prefix := os.Getenv("ORCHESTRA_FLEET_PREFIX")
	if prefix == "" {
		prefix = "of"
	}
	b := &bench{binary: binary, directory: directory, rounds: rounds}
	if b.fleet, err = fleet.Start(ctx, fleet.Options{Prefix: prefix + "ben", Hosts: 3, Role: "plain"}); err != nil {
		return nil, errors.Join(err, os.RemoveAll(directory))
	}
	if err := b.setUp(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() {
	_ = b.fleet.Stop(context.Background())
	_ = os.RemoveAll(b.directory)
}

func (b *bench) setUp(ctx context.Context) error {
	config := fmt.Sprintf("database = %q\n[ssh]\nidentity = %q\n[log]\nfile = \"\"\n", filepath.Join(b.directory, "orchestra.db"), b.fleet.IdentityFile())
	if err := os.WriteFile(filepath.Join(b.directory, "orchestra.toml"), []byte(config), 0o600); err != nil {
		return err
	}
	steps := [][]string{{"init"}}
	for i := range 3 {
		host := b.fleet.Host(i)
		steps = append(steps,
			[]string{"server", "add", host.Name, "--address", host.Address, "--host-key", host.HostKey},
			[]string{"backend", "setup", "unix-user", "--server", host.Name, "--yes"},
			[]string{"route", "add", "unix-user", "--server", host.Name, "--match", "true"})
	}
	steps = append(steps, []string{"account", "add", "bench", "--full-name", "Bench"})
	for _, step := range steps {
		if _, err := b.orchestra(ctx, "", step...); err != nil {
			return err
		}
	}
	return nil
}

// orchestra runs the binary in the panel's network.
func (b *bench) orchestra(ctx context.Context, input string, arguments ...string) (spent, error) {
	command := b.fleet.Command(ctx, b.binary, arguments...)
	command.Env = append(os.Environ(), "ORCHESTRA_CONFIG="+filepath.Join(b.directory, "orchestra.toml"))
	return run(command, input)
}

// ssh runs OpenSSH's client, as an administrator would.
func (b *bench) ssh(ctx context.Context, host *fleet.Host, script string) error {
	command := b.fleet.Command(ctx, "ssh", "-o", "UserKnownHostsFile="+b.fleet.KnownHostsFile(), "-o", "LogLevel=ERROR",
		"-i", b.fleet.IdentityFile(), "root@"+host.Address, script)
	_, err := run(command, "")
	return err
}

func run(command *exec.Cmd, input string) (spent, error) {
	var output bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &output, &output
	started := time.Now()
	err := command.Run()
	s := spent{wall: time.Since(started)}
	if err != nil {
		return s, fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, output.String())
	}
	s.cpu = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	if usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.memory = usage.Maxrss * 1024
	}
	return s, nil
}

// onAll does something on the three servers at once and returns how long it took.
func (b *bench) onAll(do func(*fleet.Host) error) (time.Duration, error) {
	var wait sync.WaitGroup
	failures := make([]error, 3)
	started := time.Now()
	for i := range 3 {
		wait.Go(func() { failures[i] = do(b.fleet.Host(i)) })
	}
	wait.Wait()
	return time.Since(started), errors.Join(failures...)
}

// median does something several times and returns the medians of what it cost.
func (b *bench) median(do func(round int) (spent, error)) (spent, error) {
	return medianOf(b.rounds, do)
}

func medianOf(rounds int, do func(round int) (spent, error)) (spent, error) {
	var wall, cpu []time.Duration
	var memory []int64
	for round := range rounds {
		one, err := do(round)
		if err != nil {
			return spent{}, err
		}
		wall, cpu, memory = append(wall, one.wall), append(cpu, one.cpu), append(memory, one.memory)
	}
	return spent{wall: middle(wall), cpu: middle(cpu), memory: middle(memory)}, nil
}

func middle[T cmp.Ordered](all []T) T {
	slices.Sort(all)
	return all[len(all)/2]
}

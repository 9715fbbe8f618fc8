package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// stage is where the story plays: a panel and two servers.
type stage struct {
	ctx       context.Context
	binary    string
	directory string
	out       io.Writer
	bold      bool // titles: out is a terminal
	servers   []*server
}

func (s *stage) open() error {
	identity := filepath.Join(s.directory, "key")
	key, err := newIdentity(identity)
	if err != nil {
		return err
	}
	config := fmt.Sprintf("database = %q\n[ssh]\nidentity = %q\nagent = false\n[log]\nfile = %q\n[backends]\ndirectory = %q\n",
		filepath.Join(s.directory, "orchestra.db"), identity,
		filepath.Join(s.directory, "orchestra.log"), filepath.Join(s.directory, "backends"))
	var directories []string
	for _, name := range []string{"one", "two"} {
		started, err := startServer(name, s.directory, key)
		if err != nil {
			return err
		}
		s.servers = append(s.servers, started)
		directories = append(directories, fmt.Sprintf("%q", name+"="+started.runtimeDirectory()))
	}
	config += fmt.Sprintf("[runtime]\ndirectories = [%s]\n", strings.Join(directories, ", "))
	if err := os.WriteFile(filepath.Join(s.directory, "orchestra.toml"), []byte(config), 0o600); err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	fmt.Fprintf(s.out, "Two SSH servers listen on loopback; %s/one and %s/two are their disks.\n", s.directory, s.directory)
	return nil
}

func (s *stage) close() {
	for _, each := range s.servers {
		each.ssh.Close()
	}
}

// play prints a scene's title and text, then each command before running it.
func (s *stage) play(scene scene) error {
	title := scene.title
	if s.bold {
		title = "\033[1m" + title + "\033[0m"
	}
	fmt.Fprintf(s.out, "\n%s\n", title)
	for _, step := range scene.steps {
		if err := s.perform(step); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) perform(step step) error {
	if step.tell != "" {
		fmt.Fprintf(s.out, "# %s\n", step.tell)
	}
	if step.do != nil {
		if err := step.do(s); err != nil {
			return err
		}
	}
	if len(step.command) == 0 {
		return nil
	}
	words := s.fill(step.command)
	fmt.Fprintf(s.out, "\n$ %s\n", display(words))
	program := words[0]
	if program == "orchestra" {
		program = s.binary
	}
	command := exec.CommandContext(s.ctx, program, words[1:]...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.Dir = s.directory
	command.Env = append(os.Environ(), "ORCHESTRA_CONFIG="+filepath.Join(s.directory, "orchestra.toml"))
	command.Stdout, command.Stderr = s.out, s.out
	err := command.Run()
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code, err = exit.ExitCode(), nil
	}
	if err != nil {
		return fmt.Errorf("running %s: %w", display(words), err)
	}
	if code != step.exit {
		return fmt.Errorf("%s: exit code %d, where the demo expects %d", display(words), code, step.exit)
	}
	if code != 0 {
		fmt.Fprintf(s.out, "(exit code %d)\n", code)
	}
	return nil
}

// fill puts the servers' ports and keys into a command.
func (s *stage) fill(words []string) []string {
	var pairs []string
	for _, each := range s.servers {
		pairs = append(pairs,
			"{port "+each.name+"}", fmt.Sprint(each.ssh.Port()),
			"{key "+each.name+"}", each.ssh.HostKeys()[0])
	}
	replacer := strings.NewReplacer(pairs...)
	filled := make([]string, len(words))
	for i, word := range words {
		filled[i] = replacer.Replace(word)
	}
	return filled
}

// display shows a command as one would type it.
func display(words []string) string {
	shown := make([]string, len(words))
	for i, word := range words {
		shown[i] = word
		if word == "" || strings.ContainsAny(word, " \"'$*?;&|<>()#") {
			shown[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(shown, " ")
}

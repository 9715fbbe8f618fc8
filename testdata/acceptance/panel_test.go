package acceptance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// result is how one command line ended.
type result struct {
	Arguments []string
	Stdout    string
	Stderr    string
	Code      int
	Duration  time.Duration
	MaxRSS    int64 // bytes
	CPU       time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("orchestra %s\nexit %d after %v\nstdout:\n%s\nstderr:\n%s",
		strings.Join(r.Arguments, " "), r.Code, r.Duration, r.Stdout, r.Stderr)
}

// panel is a machine with orchestra, its database and its key, on the fleet's network.
type panel struct {
	directory string
}

// command returns the command line of orchestra on this panel, not yet started.
func (p *panel) command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := shared.fleet.Command(ctx, shared.binary, arguments...)
	command.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + p.directory, "LANG=C.UTF-8", "TERM=dumb",
		"ORCHESTRA_CONFIG=" + filepath.Join(p.directory, "orchestra.toml"),
	}
	return command
}

// run runs orchestra with input and returns how it ended.
func (p *panel) run(t *testing.T, input string, arguments ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	command := p.command(ctx, arguments...)
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &stdout, &stderr
	started := time.Now()
	err := command.Run()
	ended := result{Arguments: arguments, Stdout: stdout.String(), Stderr: stderr.String(), Duration: time.Since(started)}
	if state := command.ProcessState; state != nil {
		ended.Code = state.ExitCode()
		ended.CPU = state.UserTime() + state.SystemTime()
		if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
			ended.MaxRSS = usage.Maxrss * 1024
		}
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", ended, err)
	}
	return ended
}

// must runs orchestra and wants success; it returns the standard output.
func (p *panel) must(t *testing.T, arguments ...string) string {
	t.Helper()
	return p.mustWith(t, "", arguments...)
}

// mustWith is must with standard input.
func (p *panel) mustWith(t *testing.T, input string, arguments ...string) string {
	t.Helper()
	ended := p.run(t, input, arguments...)
	if ended.Code != 0 {
		t.Fatalf("wanted success: %v", ended)
	}
	return ended.Stdout
}

// fails runs orchestra, wants that exit code, and returns the standard error.
func (p *panel) fails(t *testing.T, code int, arguments ...string) string {
	t.Helper()
	ended := p.run(t, "", arguments...)
	if ended.Code != code {
		t.Fatalf("wanted exit code %d: %v", code, ended)
	}
	return ended.Stderr
}

// restore puts a backup in the place of the panel's database.
func (p *panel) restore(t *testing.T, backup string) {
	t.Helper()
	database := filepath.Join(p.directory, "orchestra.db")
	for _, ending := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(database + ending)
	}
	if err := os.Rename(backup, database); err != nil {
		t.Fatal(err)
	}
}

// newPanel makes a panel that knows the fleet's servers: the README's first steps.
func newPanel(directory string, settings string) (*panel, error) {
	p := &panel{directory: directory}
	config := fmt.Sprintf(`database = %q
[ssh]
identity = %q
[log]
file = %q
%s`, filepath.Join(directory, "orchestra.db"), shared.fleet.IdentityFile(), filepath.Join(directory, "orchestra.log"), settings)
	if err := os.WriteFile(filepath.Join(directory, "orchestra.toml"), []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("writing the panel's settings: %w", err)
	}
	return p, nil
}

// Package docs runs every command that the documentation shows, in the order
// in which it shows them, on a terminal, on real servers.
package docs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"orchestra/testdata/fleet"
)

// documents are run in this order, each on fresh servers with a fresh panel;
// before each of them, prepare is run and not shown in the document.
var documents = []struct {
	file    string
	prepare []string
}{
	{"README.md", nil},
	{"docs/operations.md", []string{"orchestra init"}},
	{"docs/backends.md", []string{
		"orchestra init",
		`orchestra server add h11 --address 192.0.2.11 --host-key "$KEY_h11"`,
		"orchestra backend setup unix-user --server h11 --yes",
		"orchestra route add unix-user --server h11 --match true",
		"orchestra account add acme --full-name Acme",
		"orchestra user add acme-web --account acme",
	}},
	{"docs/dns.md", []string{
		"orchestra init",
		`orchestra server add h11 --address 192.0.2.11 --host-key "$KEY_h11"`,
		`orchestra server add h12 --address 192.0.2.12 --host-key "$KEY_h12"`,
		`orchestra server add h13 --address 192.0.2.13 --host-key "$KEY_h13"`,
		`printf '[dns]\nnameservers = ["ns1.example.net", "ns2.example.net"]\n' >> "$ORCHESTRA_CONFIG"`,
	}},
}

// byHand begins what somebody does on h11 without the panel.
const byHand = `ssh -F none -i "$(orchestra config show ssh.identity)" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@192.0.2.11 `

// after is run behind a command, where the document lets the reader do something else than type.
var after = map[string]string{
	"orchestra drift": byHand + `usermod --shell /bin/bash acme-web`,
	"orchestra drift user acme-web --diff # exit 11": byHand + `usermod --shell /bin/sh acme-web`,
	"orchestra backend new user-crontab":             `cp "$ROOT"/docs/examples/backends/user-crontab/* "$CONFIG_DIRECTORY"/backends/user-crontab/`,
}

// elsewhere are commands that other tests run.
var elsewhere = regexp.MustCompile(`^make (demo|test|build|install|lint|bench|generate|fleet|soak)\b`)

func TestEveryCommandOfTheDocumentation(t *testing.T) {
	if err := fleet.Available(); err != nil {
		if os.Getenv("ORCHESTRA_WITHOUT_FLEET") == "1" {
			t.Skipf("*** LEFT OUT: the commands of the documentation: %v ***", err)
		}
		t.Fatalf("the fleet can't be had: %v", err)
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	prefix := os.Getenv("ORCHESTRA_FLEET_PREFIX")
	if prefix == "" {
		prefix = "of"
	}
	servers, err := fleet.Start(ctx, fleet.Options{Prefix: prefix + "doc", Hosts: 3, Role: "dns"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = servers.Stop(ctx) }()
	for i, document := range documents {
		if i > 0 {
			if err := servers.Reset(ctx); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(document.file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(root, document.file))
			if err != nil {
				t.Fatal(err)
			}
			r := newReader(t, root, servers)
			for _, line := range document.prepare {
				r.types(t, line)
			}
			shown := commands(string(text))
			if len(shown) == 0 {
				t.Fatal("no command was found")
			}
			for _, line := range shown {
				if elsewhere.MatchString(line) {
					continue
				}
				r.types(t, line)
				if also, ok := after[line]; ok {
					r.types(t, also)
				}
			}
		})
	}
}

// commands returns the lines of all blocks marked sh.
func commands(text string) []string {
	var found []string
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```sh"
		case inside && strings.TrimSpace(line) != "":
			found = append(found, line)
		}
	}
	return found
}

// reader is somebody who types what the documentation shows.
type reader struct {
	servers     *fleet.Fleet
	directory   string
	environment []string
}

func newReader(t *testing.T, root string, servers *fleet.Fleet) *reader {
	t.Helper()
	directory := t.TempDir()
	config := fmt.Sprintf("database = %q\n[ssh]\nidentity = %q\n[log]\nfile = %q\n[backends]\ndirectory = %q\n",
		filepath.Join(directory, "orchestra.db"), servers.IdentityFile(),
		filepath.Join(directory, "orchestra.log"), filepath.Join(directory, "backends"))
	if err := os.WriteFile(filepath.Join(directory, "orchestra.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := []string{
		"PATH=" + filepath.Join(root, "build") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + directory, "LANG=C.UTF-8", "TERM=xterm", "ROOT=" + root, "CONFIG_DIRECTORY=" + directory,
		"ORCHESTRA_CONFIG=" + filepath.Join(directory, "orchestra.toml"),
	}
	for i := range 3 {
		environment = append(environment, "KEY_h"+strconv.Itoa(11+i)+"="+servers.Host(i).HostKey)
	}
	return &reader{servers: servers, directory: directory, environment: environment}
}

// types types a line into a shell on a terminal, answers yes where it is asked,
// and wants exit code 0, or the one that a comment behind the line names: # exit 11.
func (r *reader) types(t *testing.T, line string) {
	t.Helper()
	want := 0
	if _, comment, ok := strings.Cut(line, "# exit "); ok {
		fmt.Sscanf(comment, "%d", &want)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	command := r.servers.Command(ctx, "bash", "-c", line)
	command.Env, command.Dir = r.environment, r.directory
	terminal, err := pty.StartWithSize(command, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	defer terminal.Close()
	screen := &answering{terminal: terminal}
	_, _ = io.Copy(screen, terminal) // ends with EIO when the command does
	err = command.Wait()
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code, err = exit.ExitCode(), nil
	}
	if err != nil || code != want {
		t.Fatalf("$ %s\nexit code %d (wanted %d), %v\n%s", line, code, want, err, screen.text.String())
	}
}

// answering keeps what a terminal shows, and answers questions with yes.
type answering struct {
	mutex    sync.Mutex
	terminal io.Writer
	text     bytes.Buffer
}

var question = regexp.MustCompile(`(?i)\[(y/n|yes/no)\] $`)

// Write implements io.Writer.
func (a *answering) Write(data []byte) (int, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.text.Write(data)
	if question.Match(a.text.Bytes()) {
		if _, err := io.WriteString(a.terminal, "yes\n"); err != nil {
			return 0, err
		}
	}
	return len(data), nil
}

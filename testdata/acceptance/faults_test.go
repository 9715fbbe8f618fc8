package acceptance

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orchestra/testdata/fleet"
)

// faultUnit is a daemon to reload. When told, it does not take what is new: its
// reload fails, or hangs until it is told otherwise.
const faultUnit = `mkdir -p /run/fault
cat >/etc/systemd/system/fault.service <<'END'
[Service]
ExecStart=/bin/sleep infinity
ExecReload=/bin/bash -c 'while [ -e /run/fault/reload-hang ]; do sleep 0.1; done; test ! -e /run/fault/reload -o ! -e /var/lib/fault/faulty-one'
END
systemctl daemon-reload && systemctl start fault.service`

// withFaults puts the backend that fails on command on all servers, and takes
// it away at the test's end.
func withFaults(t *testing.T) {
	t.Helper()
	target := filepath.Join(shared.panel.directory, "backends", "fault")
	copyTree(t, filepath.Join("backends", "fault"), target)
	for i := range 3 {
		host := shared.fleet.Host(i)
		onHost(t, host, faultUnit)
		shared.panel.must(t, "route", "add", "fault", "--server", host.Name, "--match", `account.name == "faulty"`,
			"--after", "unix-user@"+host.Name)
	}
	shared.panel.must(t, "account", "add", "faulty", "--full-name", "Faulty")
	t.Cleanup(func() {
		for i := range 3 {
			onHost(t, shared.fleet.Host(i), "rm -f /run/fault/*")
		}
		shared.panel.must(t, "account", "delete", "faulty", "--yes")
		for i := range 3 {
			host := shared.fleet.Host(i)
			shared.panel.must(t, "route", "delete", "fault@"+host.Name, "--yes")
			onHost(t, host, "systemctl stop fault.service; rm -rf /etc/systemd/system/fault.service /run/fault /var/lib/fault; systemctl daemon-reload")
		}
	})
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, relative), 0o755)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, relative), content, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func onHost(t *testing.T, host *fleet.Host, script string) string {
	t.Helper()
	output, err := host.Run(background, script)
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s", host.Name, script, err, output)
	}
	return output
}

// serverPhases are the phases in which a server can fail before the decision.
var serverPhases = []string{"stage", "publish", "check", "reload"}

func digests(t *testing.T) map[string]fleet.Digest {
	t.Helper()
	all := map[string]fleet.Digest{}
	for i := range 3 {
		all[shared.fleet.Host(i).Name] = digest(t, shared.fleet.Host(i))
	}
	return all
}

func wantAsBefore(t *testing.T, before map[string]fleet.Digest) {
	t.Helper()
	for name, now := range digests(t) {
		if difference := before[name].Diff(now); len(difference) > 0 {
			t.Errorf("%s is not as before:\n%s", name, strings.Join(difference, "\n"))
		}
	}
}

func TestAFailureOnAnyServerInAnyPhaseLeavesNothingOnAny(t *testing.T) {
	withFaults(t)
	before := digests(t)
	for _, n := range []int{1, 2} {
		host := shared.fleet.Host(n)
		for _, phase := range serverPhases {
			t.Run(fmt.Sprintf("%s on %s", phase, host.Name), func(t *testing.T) {
				onHost(t, host, "touch /run/fault/"+phase)
				said := shared.panel.fails(t, 8, "user", "add", "faulty-one", "--account", "faulty")
				if !strings.Contains(said, host.Name) || !strings.Contains(said, "fault") {
					t.Errorf("the error names neither server nor backend:\n%s", said)
				}
				onHost(t, host, "rm /run/fault/"+phase)
				wantAsBefore(t, before)
				shared.panel.fails(t, 3, "user", "show", "faulty-one")
			})
		}
	}
	t.Run("a script that hangs is ended", func(t *testing.T) {
		onHost(t, shared.fleet.Host(2), "touch /run/fault/check-hang")
		shared.panel.fails(t, 8, "user", "add", "faulty-one", "--account", "faulty")
		onHost(t, shared.fleet.Host(2), "rm /run/fault/check-hang")
		if left := strings.TrimSpace(onHost(t, shared.fleet.Host(2), "pgrep -x sleep -a | grep -c 987 || true")); left != "0" {
			t.Errorf("%s processes of the script are left", left)
		}
		wantAsBefore(t, before)
	})
}

func TestWhatCannotBeUndoneIsNamedAndRecoveredLater(t *testing.T) {
	withFaults(t)
	before := digests(t)
	host := shared.fleet.Host(1)
	onHost(t, host, "touch /run/fault/undo /run/fault/reload")
	said := shared.panel.fails(t, 9, "user", "add", "faulty-one", "--account", "faulty")
	if !strings.Contains(said, host.Name) || !strings.Contains(said, "orchestra recover") {
		t.Errorf("the error names neither the server nor what to type:\n%s", said)
	}
	// Its account stays blocked until it is recovered.
	shared.panel.fails(t, 9, "user", "add", "faulty-two", "--account", "faulty")
	onHost(t, host, "rm /run/fault/undo /run/fault/reload")
	shared.panel.must(t, "recover")
	wantAsBefore(t, before)
}

func TestAnUnreachableServerChangesNothing(t *testing.T) {
	shared.panel.must(t, "account", "add", "cutoff", "--full-name", "Cut Off")
	defer shared.panel.must(t, "account", "delete", "cutoff", "--yes")
	before := digests(t)
	host := shared.fleet.Host(2)
	if err := host.Cut(background); err != nil {
		t.Fatal(err)
	}
	said := shared.panel.fails(t, 7, "user", "add", "cutoff-one", "--account", "cutoff")
	if err := host.Heal(background); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, host.Name) {
		t.Errorf("the error does not name the server:\n%s", said)
	}
	wantAsBefore(t, before)
	shared.panel.must(t, "user", "add", "cutoff-one", "--account", "cutoff")
}

func TestThePanelKilledInAnyPhaseIsRecovered(t *testing.T) {
	withFaults(t)
	before := digests(t)
	host := shared.fleet.Host(1)
	for _, phase := range append(serverPhases, "keep") {
		t.Run(phase, func(t *testing.T) {
			onHost(t, host, "touch /run/fault/"+phase+"-hang")
			ctx, cancel := context.WithTimeout(background, time.Minute)
			defer cancel()
			command := shared.panel.command(ctx, "user", "add", "faulty-one", "--account", "faulty")
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			waitUntil(t, "the script hangs", func() bool {
				output, _ := host.Run(background, "pgrep -x sleep -a | grep -c -e 987 -e 0.1")
				return strings.TrimSpace(output) != "0"
			})
			if err := command.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = command.Wait()
			onHost(t, host, "rm /run/fault/"+phase+"-hang")
			shared.panel.must(t, "recover")
			if phase == "keep" { // the decision had been made
				shared.panel.must(t, "user", "show", "faulty-one")
				for i := range 3 {
					onHost(t, shared.fleet.Host(i), "id faulty-one && test -e /var/lib/fault/faulty-one")
				}
				shared.panel.must(t, "user", "delete", "faulty-one", "--yes")
			} else {
				shared.panel.fails(t, 3, "user", "show", "faulty-one")
			}
			wantAsBefore(t, before)
			shared.panel.must(t, "recover") // twice is once
		})
	}
}

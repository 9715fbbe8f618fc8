package acceptance

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestTheBackendOfTheGuide runs the per-user crontab that docs/backends.md
// teaches: on each server, idempotent, gone with the user.
func TestTheBackendOfTheGuide(t *testing.T) {
	p, host := shared.panel, shared.fleet.Host(0)
	before := digests(t)
	copyTree(t, filepath.Join("..", "..", "docs", "examples", "backends", "user-crontab"), filepath.Join(p.directory, "backends", "user-crontab"))
	p.must(t, "backend", "check", "user-crontab")
	p.must(t, "route", "add", "user-crontab", "--server", host.Name, "--match", `user.access == "shell"`, "--after", "unix-user@"+host.Name)
	defer p.must(t, "route", "delete", "user-crontab@"+host.Name, "--yes")
	p.must(t, "account", "add", "guide", "--full-name", "Guide")
	p.must(t, "user", "add", "guide-one", "--account", "guide", "--access", "shell")
	const look = "stat -c '%U %G %a' /var/spool/cron/crontabs/guide-one; crontab -u guide-one -l | grep -c find"
	if shown := onHost(t, host, look); shown != "guide-one crontab 600\n1\n" {
		t.Errorf("the crontab is %q", shown)
	}
	p.must(t, "user", "disable", "guide-one", "--reason", "unpaid")
	if shown := onHost(t, host, "ls /var/spool/cron/crontabs"); strings.Contains(shown, "guide-one") {
		t.Errorf("a disabled user keeps its crontab: %q", shown)
	}
	p.must(t, "user", "enable", "guide-one")
	if shown := onHost(t, host, look); !strings.HasSuffix(shown, "\n1\n") {
		t.Errorf("an enabled user has no crontab: %q", shown)
	}
	// Crontabs of others in the same place are not ours, and so not left over.
	onHost(t, host, "echo '# mine' | crontab -u games -; echo '# edited' >>/var/spool/cron/crontabs/guide-one")
	wantDrift(t, p.drift(t, 11), host.Name+" file /var/spool/cron/crontabs/guide-one: hand-edited")
	onHost(t, host, "crontab -u games -r; sed -i '/^# edited$/d' /var/spool/cron/crontabs/guide-one")
	wantDrift(t, p.drift(t, 0))
	p.must(t, "account", "delete", "guide", "--yes")
	wantAsBefore(t, before)
}

// TestAShellThatAServerDoesNotListIsRefused: shells(5) of each server counts.
func TestAShellThatAServerDoesNotListIsRefused(t *testing.T) {
	p, host := shared.panel, shared.fleet.Host(1)
	onHost(t, host, "cp -a /etc/shells /run/shells && sed -i '\\|^/bin/sh$|d' /etc/shells")
	defer onHost(t, host, "cp -a /run/shells /etc/shells")
	p.must(t, "account", "add", "shelled", "--full-name", "Shelled")
	defer p.must(t, "account", "delete", "shelled", "--yes")
	said := p.fails(t, 8, "user", "add", "shelled-one", "--account", "shelled", "--access", "shell", "--shell", "/bin/sh")
	if !strings.Contains(said, host.Name) || !strings.Contains(said, "/etc/shells") {
		t.Errorf("the error names neither the server nor the file:\n%s", said)
	}
}

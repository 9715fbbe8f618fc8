package acceptance

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orchestra/testdata/fleet"
)

// watched is what must be as before once all is deleted.
var watched = []string{"/etc", "/home", "/var/spool/cron"}

// notOurs leaves out what a server writes by itself: backups of the shadow tools, locks, the trash.
func notOurs(path string) bool {
	return strings.HasSuffix(path, "-") || strings.HasSuffix(path, ".lock") || strings.Contains(path, "/.orchestra")
}

func digest(t *testing.T, host *fleet.Host) fleet.Digest {
	t.Helper()
	all, err := host.Digest(background, watched...)
	if err != nil {
		t.Fatal(err)
	}
	for path := range all {
		if notOurs(path) {
			delete(all, path)
		}
	}
	return all
}

func onEachHost(t *testing.T, do func(t *testing.T, host *fleet.Host)) {
	t.Helper()
	for i := range 3 {
		host := shared.fleet.Host(i)
		t.Run(host.Name, func(t *testing.T) { do(t, host) })
	}
}

func TestUsersInEachAccessModeAndAllGoneAfterwards(t *testing.T) {
	p := shared.panel
	before := digests(t)

	p.must(t, "account", "add", "acme", "--full-name", "Acme & Sons", "--email", "acme@example.net")
	const password = "correct horse battery staple"
	customers := map[string]customer{}
	for _, access := range []string{"none", "sftp", "rsync", "jail", "shell"} {
		name := "acme-" + access
		who := newCustomer(t, name)
		customers[access] = who
		p.mustWith(t, password+"\n", "user", "add", name, "--account", "acme", "--access", access,
			"--key", who.public, "--password-stdin")
	}

	onEachHost(t, func(t *testing.T, host *fleet.Host) {
		for _, who := range []customer{customers["none"], customers["none"].withPassword(password)} {
			if output, err := who.ssh(t, host, "true"); err == nil {
				t.Errorf("access none could log in: %s", output)
			}
			if output, err := who.sftp(t, host, "pwd\n"); err == nil {
				t.Errorf("access none could use sftp: %s", output)
			}
		}
		for _, who := range []customer{customers["shell"], customers["shell"].withPassword(password)} {
			if output, err := who.ssh(t, host, "id -un; pwd"); err != nil || output != "acme-shell\n/home/acme-shell\n" {
				t.Errorf("access shell: %q, %v", output, err)
			}
		}
		trySFTP(t, host, customers["sftp"])
		trySFTP(t, host, customers["sftp"].withPassword(password))
		tryJail(t, host, customers["jail"])
		tryRsync(t, host, customers["rsync"])
	})

	endsOnDisable(t, p, customers["sftp"])

	for _, access := range []string{"none", "sftp", "rsync", "jail", "shell"} {
		p.must(t, "user", "delete", "acme-"+access, "--yes")
	}
	p.must(t, "account", "delete", "acme", "--yes")
	wantAsBefore(t, before)
}

func trySFTP(t *testing.T, host *fleet.Host, who customer) {
	t.Helper()
	local := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(local, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	output, err := who.sftp(t, host, "pwd\nput "+local+" upload\nls\nrm upload\n")
	if err != nil || !strings.Contains(output, "upload") {
		t.Errorf("access sftp: %q, %v", output, err)
	}
	for _, outside := range []string{"/etc/passwd", "../../etc/passwd", "/home/acme-sftp/../../etc/shadow"} {
		if output, err := who.sftp(t, host, "get "+outside+" "+filepath.Join(t.TempDir(), "stolen")+"\n"); err == nil {
			t.Errorf("access sftp left its chroot by %s: %s", outside, output)
		}
	}
	if output, err := who.ssh(t, host, "id"); err == nil && strings.Contains(output, "uid=") {
		t.Errorf("access sftp got a command run: %s", output)
	}
}

func tryJail(t *testing.T, host *fleet.Host, who customer) {
	t.Helper()
	output, err := who.ssh(t, host, "id -u; pwd; touch file && ls file && rm file")
	if err != nil || !strings.Contains(output, "/home/acme-jail\nfile\n") {
		t.Errorf("access jail: %q, %v", output, err)
	}
	for _, outside := range []string{"cat /etc/shadow", "cat /etc/ssh/sshd_config", "ls /var/lib/orchestra", "ls /root", "touch /usr/x", "ls /home"} {
		if output, err := who.ssh(t, host, outside); err == nil {
			t.Errorf("access jail could %q: %s", outside, output)
		}
	}
}

func tryRsync(t *testing.T, host *fleet.Host, who customer) {
	t.Helper()
	local := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(local, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	if output, err := who.rsync(t, local, who.name+"@"+host.Address+":upload"); err != nil {
		t.Errorf("access rsync: %q, %v", output, err)
	}
	if output, err := who.rsync(t, who.name+"@"+host.Address+":/etc/passwd", filepath.Join(t.TempDir(), "stolen")); err == nil {
		t.Errorf("access rsync left its home: %s", output)
	}
	if output, err := who.ssh(t, host, "id"); err == nil && strings.Contains(output, "uid=") {
		t.Errorf("access rsync got a command run: %s", output)
	}
}

// endsOnDisable opens an sftp session, disables the user, and wants the session to end.
func endsOnDisable(t *testing.T, p *panel, who customer) {
	t.Helper()
	host := shared.fleet.Host(0)
	ctx, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	session := shared.fleet.Command(ctx, "sftp", append(who.options(t), who.name+"@"+host.Address)...)
	session.Env = who.environment(t)
	input, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	if err := session.Start(); err != nil {
		t.Fatal(err)
	}
	processes := func() string {
		output, _ := host.Run(background, "pgrep -u "+who.name+" -c || true")
		return strings.TrimSpace(output)
	}
	waitUntil(t, "the sftp session is open", func() bool { return processes() != "0" })
	p.must(t, "user", "disable", who.name, "--reason", "unpaid")
	if left := processes(); left != "0" {
		t.Errorf("%s processes of an open sftp session went on after its user was disabled", left)
	}
	// The client notices when it next wants something.
	if _, err := input.Write([]byte("pwd\nls\n")); err == nil {
		if err := session.Wait(); err == nil {
			t.Error("the client of a session that was ended noticed nothing")
		}
	}
	if output, err := who.sftp(t, host, "pwd\n"); err == nil {
		t.Errorf("a disabled user's key was accepted: %s", output)
	}
	p.must(t, "user", "enable", who.name)
	if output, err := who.sftp(t, host, "pwd\n"); err != nil {
		t.Errorf("an enabled user's key was refused: %s %v", output, err)
	}
}

// waitUntil waits for the thing itself.
func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s in vain until %s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

package acceptance

import (
	"fmt"
	"strings"
	"testing"
)

// mebibyte is the unit of the bound on memory.
const mebibyte = 1 << 20

// TestTenThousandUsersInOneBatch makes them on one server, as one operation,
// within 256 MiB on the panel, and takes them away again.
func TestTenThousandUsersInOneBatch(t *testing.T) {
	p, host := shared.panel, shared.fleet.Host(2)
	before := digests(t)
	p.must(t, "account", "add", "bulk", "--full-name", "Bulk")
	var lines strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&lines, "user add bulk-%05d --account bulk\n", i)
	}
	ended := p.run(t, lines.String(), "batch")
	if ended.Code != 0 {
		t.Fatalf("%d: %.2000s", ended.Code, ended.Stderr)
	}
	t.Logf("10,000 users on three servers: %v, %d MiB", ended.Duration, ended.MaxRSS/mebibyte)
	if ended.MaxRSS > 256*mebibyte {
		t.Errorf("the panel took %d MiB", ended.MaxRSS/mebibyte)
	}
	if count := strings.TrimSpace(onHost(t, host, "grep -c ^bulk- /etc/passwd")); count != "10000" {
		t.Errorf("%s users are on %s", count, host.Name)
	}
	onHost(t, host, "usermod -s /bin/bash bulk-07777")
	compared := p.run(t, "", "drift", "-o", "json", "--jq", ".[] | .server + \" \" + .object + \" \" + .reason")
	if compared.Code != 11 || compared.Stdout != host.Name+" user bulk-07777 hand-edited\n" {
		t.Errorf("wanted one difference: exit code %d, %.2000s %.2000s", compared.Code, compared.Stdout, compared.Stderr)
	}
	t.Logf("compared on three servers: %v, %d MiB", compared.Duration, compared.MaxRSS/mebibyte)
	if compared.MaxRSS > 256*mebibyte {
		t.Errorf("the panel took %d MiB to compare", compared.MaxRSS/mebibyte)
	}
	p.must(t, "account", "delete", "bulk", "--yes")
	p.must(t, "drift")
	wantAsBefore(t, before)
}

// TestABatchIsAllOrNothing has one line in the middle that no server accepts.
func TestABatchIsAllOrNothing(t *testing.T) {
	p := shared.panel
	before := digests(t)
	host := shared.fleet.Host(1)
	onHost(t, host, "useradd -M allornone-3")
	defer onHost(t, host, "userdel allornone-3")
	ended := p.run(t, "account add allornone --full-name X\nuser add allornone-1 --account allornone\nuser add allornone-3 --account allornone\n", "batch")
	if ended.Code != 8 || !strings.Contains(ended.Stderr, host.Name) || !strings.Contains(ended.Stderr, "allornone-3") {
		t.Errorf("wanted exit 8 that names server and user: %v", ended)
	}
	p.fails(t, 3, "account", "show", "allornone")
	for i := range 3 {
		if after := digest(t, shared.fleet.Host(i)); i != 1 {
			if difference := before[shared.fleet.Host(i).Name].Diff(after); len(difference) > 0 {
				t.Errorf("%s: %s", shared.fleet.Host(i).Name, strings.Join(difference, "\n"))
			}
		}
	}
}

// TestASecondRunChangesNothing: ensure says so, and no server has a difference.
func TestASecondRunChangesNothing(t *testing.T) {
	p := shared.panel
	p.must(t, "account", "ensure", "twice", "--full-name", "Twice")
	defer p.must(t, "account", "delete", "twice", "--yes")
	line := []string{"user", "ensure", "twice-one", "--account", "twice", "--access", "sftp", "-o", "json", "--jq", ".changed"}
	if first := p.must(t, line...); strings.TrimSpace(first) != "true" {
		t.Errorf("the first ensure says %q", first)
	}
	settled := digests(t)
	if second := p.must(t, line...); strings.TrimSpace(second) != "false" {
		t.Errorf("the second ensure says %q", second)
	}
	wantAsBefore(t, settled)
	for i := range 3 {
		p.must(t, "backend", "setup", "unix-user", "--server", shared.fleet.Host(i).Name, "--dry-run", "--exit-code")
	}
}

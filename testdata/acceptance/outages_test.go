package acceptance

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestASecondaryOutOfReachIsWaitedForOnce has one of the servers be a secondary
// whose cable is cut: one operation waits for it, the next ones do not.
func TestASecondaryOutOfReachIsWaitedForOnce(t *testing.T) {
	p, host := shared.panel, shared.fleet.Host(2)
	route := "unix-user@" + host.Name
	p.must(t, "account", "add", "outage", "--full-name", "Outage")
	before := digests(t)
	p.must(t, "route", "set", route, "--on-unreachable", "queue")
	if err := host.Cut(background); err != nil {
		t.Fatal(err)
	}
	first := p.run(t, "", "user", "add", "outage-one", "--account", "outage")
	second := p.run(t, "", "user", "add", "outage-two", "--account", "outage")
	dry := p.run(t, "", "user", "add", "outage-three", "--account", "outage", "--dry-run")
	if err := host.Heal(background); err != nil {
		t.Fatal(err)
	}
	t.Logf("the first operation took %v, the second %v, a dry run %v", first.Duration, second.Duration, dry.Duration)
	if first.Code != 0 || first.Duration < 5*time.Second {
		t.Errorf("the first one does not wait: %v", first)
	}
	for _, one := range []result{second, dry} {
		if one.Code != 0 || one.Duration > 4*time.Second || !strings.Contains(one.Stderr, "is not tried again for") {
			t.Errorf("it waits: %v", one)
		}
	}
	if count := strings.TrimSpace(onHost(t, host, "grep -c ^outage- /etc/passwd || true")); count != "0" {
		t.Errorf("%s users are on %s already", count, host.Name)
	}
	p.must(t, "recover")
	if count := strings.TrimSpace(onHost(t, host, "grep -c ^outage- /etc/passwd")); count != "2" {
		t.Errorf("%s users are on %s", count, host.Name)
	}
	p.must(t, "route", "set", route, "--on-unreachable", "fail")
	p.must(t, "user", "delete", "outage-one", "outage-two", "--yes")
	wantAsBefore(t, before)
	p.must(t, "account", "delete", "outage", "--yes")
}

// TestARestoredBackupGivesNoNumberTwice restores the panel's database to before
// a user was added, adopts the servers and adds another one.
func TestARestoredBackupGivesNoNumberTwice(t *testing.T) {
	p := shared.panel
	p.must(t, "account", "add", "restored", "--full-name", "Restored")
	backup := filepath.Join(p.directory, "before.db")
	p.must(t, "backup", backup)
	for _, name := range []string{"restored-gone", "restored-lost"} {
		p.must(t, "user", "add", name, "--account", "restored")
	}
	uid := func(name string) string {
		t.Helper()
		return strings.TrimSpace(p.must(t, "user", "show", name, "-o", "json", "--jq", ".uid"))
	}
	lost := uid("restored-lost")
	p.restore(t, backup)
	if said := p.fails(t, 4, "user", "add", "restored-new", "--account", "restored"); !strings.Contains(said, "server adopt") {
		t.Errorf("it said %s", said)
	}
	for i := range 3 {
		name := shared.fleet.Host(i).Name
		p.must(t, "server", "adopt", name, "--dry-run")
		ended := p.run(t, "", "server", "adopt", name, "--yes")
		if ended.Code != 0 || i == 0 && !strings.Contains(ended.Stderr, "up to "+lost) {
			t.Errorf("numbers up to %s were given: %v", lost, ended)
		}
	}
	p.must(t, "recover")
	p.must(t, "user", "add", "restored-new", "--account", "restored")
	if now := uid("restored-new"); now <= lost {
		t.Errorf("uid %s is given after %s", now, lost)
	}
	for i := range 3 {
		host := shared.fleet.Host(i)
		if there := strings.TrimSpace(onHost(t, host, "id -u restored-lost")); there != lost {
			t.Errorf("%s: the lost user is %s", host.Name, there)
		}
		onHost(t, host, "for name in restored-gone restored-lost; do userdel -r $name 2>/dev/null; groupdel $name 2>/dev/null; done; true")
	}
	p.must(t, "account", "delete", "restored", "--yes")
}

package acceptance

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orchestra/testdata/fleet"
)

// drift runs drift, wants that exit code, and that no file of any server changes
// by it. It returns "SERVER KIND RESOURCE: REASON" in order.
func (p *panel) drift(t *testing.T, code int, arguments ...string) []string {
	t.Helper()
	before := everything(t)
	ended := p.run(t, "", append([]string{"drift", "-o", "json"}, arguments...)...)
	if ended.Code != code {
		t.Fatalf("wanted exit code %d: %v", code, ended)
	}
	for name, now := range everything(t) {
		if difference := before[name].Diff(now); len(difference) > 0 {
			t.Errorf("drift changed %s:\n%s", name, strings.Join(difference, "\n"))
		}
	}
	var rows []struct{ Server, Kind, Resource, Reason string }
	if err := json.Unmarshal([]byte(ended.Stdout), &rows); err != nil {
		t.Fatalf("%v: %v", err, ended)
	}
	found := []string{}
	for _, row := range rows {
		found = append(found, row.Server+" "+row.Kind+" "+row.Resource+": "+row.Reason)
	}
	slices.Sort(found)
	return found
}

// everything is what drift could change: all that it looks at, and our own directory.
func everything(t *testing.T) map[string]fleet.Digest {
	t.Helper()
	all := map[string]fleet.Digest{}
	for i := range 3 {
		host := shared.fleet.Host(i)
		found, err := host.Digest(background, append([]string{"/srv/orchestra/jail/etc", "/var/lib/orchestra"}, watched...)...)
		if err != nil {
			t.Fatal(err)
		}
		all[host.Name] = found
	}
	return all
}

func wantDrift(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if difference := cmp.Diff(want, got, cmpopts.EquateEmpty()); difference != "" {
		t.Errorf("drift finds otherwise (- wanted, + found):\n%s", difference)
	}
}

// TestDriftNamesWhatWasDoneByHand changes servers behind the panel's back.
func TestDriftNamesWhatWasDoneByHand(t *testing.T) {
	p := shared.panel
	h11, h12, h13 := shared.fleet.Host(0), shared.fleet.Host(1), shared.fleet.Host(2)
	before := digests(t)
	p.must(t, "account", "add", "drifty", "--full-name", "Drifty")
	for _, access := range []string{"none", "sftp", "rsync", "jail", "shell"} {
		p.must(t, "user", "add", "drifty-"+access, "--account", "drifty", "--access", access, "--key", newCustomer(t, "drifty-"+access).public)
	}
	wantDrift(t, p.drift(t, 0))

	const keep = "rm -rf /run/drift && mkdir -p /run/drift/etc && cp -a /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/subuid /etc/subgid /run/drift/etc/ && " +
		"cp -a /etc/ssh/orchestra/keys /run/drift/ && cp -a /srv/orchestra/jail/etc/passwd /run/drift/jail && "
	onHost(t, h11, keep+"usermod -s /bin/bash drifty-sftp && gpasswd -a games orchestra-sftp && gpasswd -d drifty-shell orchestra-shell")
	onHost(t, h12, keep+"rm /etc/ssh/orchestra/keys/drifty-shell; echo stray >/etc/ssh/orchestra/keys/stray; echo evil >>/etc/ssh/orchestra/keys/drifty-jail")
	onHost(t, h13, keep+"groupadd -g 70500 stray && useradd -u 70500 -g stray -M stray && sed -i /^drifty-jail:/d /srv/orchestra/jail/etc/passwd && echo stray:x:70500:70500::/:/bin/sh >>/srv/orchestra/jail/etc/passwd && gpasswd -a games drifty-shell && usermod -u 1234 drifty-none")
	byHand := []string{
		"h11 user drifty-sftp: hand-edited", "h11 member orchestra-sftp games: left-over", "h11 member orchestra-shell drifty-shell: removed",
		"h12 file /etc/ssh/orchestra/keys/drifty-shell: removed", "h12 file /etc/ssh/orchestra/keys/stray: left-over",
		"h12 file /etc/ssh/orchestra/keys/drifty-jail: hand-edited",
		"h13 user stray: left-over", "h13 group stray: left-over", "h13 entry /srv/orchestra/jail/etc/passwd: drifty-jail: removed",
		"h13 entry /srv/orchestra/jail/etc/passwd: stray: left-over", "h13 member drifty-shell games: left-over",
		"h13 user drifty-none: conflict",
	}
	// usermod gives the user's files its new number, too.
	byHand = append(byHand, "h13 directory /home/drifty-none: hand-edited")
	wantDrift(t, p.drift(t, 11), byHand...)
	wantDrift(t, p.drift(t, 11, "user", "drifty-shell"), "h11 member orchestra-shell drifty-shell: removed", "h12 file /etc/ssh/orchestra/keys/drifty-shell: removed")
	shown := p.run(t, "", "drift", "--server", "h12", "--diff").Stdout
	if !strings.Contains(shown, "- evil") || !strings.Contains(shown, "+ file /etc/ssh/orchestra/keys/drifty-shell (removed by hand)") {
		t.Errorf("the difference is not shown line by line:\n%s", shown)
	}

	for _, host := range []*fleet.Host{h11, h12, h13} {
		onHost(t, host, "cp -a /run/drift/etc/. /etc/ && cp -a /run/drift/keys/. /etc/ssh/orchestra/keys/ && rm -f /etc/ssh/orchestra/keys/stray && "+
			"cp -a /run/drift/jail /srv/orchestra/jail/etc/passwd && chown -R drifty-none: /home/drifty-none && rm -r /run/drift")
	}
	wantDrift(t, p.drift(t, 0))

	p.must(t, "account", "delete", "drifty", "--yes")
	wantDrift(t, p.drift(t, 0))
	wantAsBefore(t, before)
}

// TestDriftTellsWhatIsOwed looks at a server that was out of reach.
func TestDriftTellsWhatIsOwed(t *testing.T) {
	p, host := shared.panel, shared.fleet.Host(2)
	p.must(t, "route", "set", "unix-user@"+host.Name, "--on-unreachable", "queue")
	defer p.must(t, "route", "set", "unix-user@"+host.Name, "--on-unreachable", "fail")
	p.must(t, "account", "add", "owing", "--full-name", "Owing")
	p.must(t, "user", "add", "owing-one", "--account", "owing", "--access", "sftp")
	p.must(t, "user", "add", "owing-two", "--account", "owing", "--access", "sftp")
	if err := host.Cut(background); err != nil {
		t.Fatal(err)
	}
	p.must(t, "user", "set", "owing-one", "--access", "rsync")
	p.must(t, "user", "delete", "owing-two", "--yes")
	if said := p.fails(t, 7, "drift"); !strings.Contains(said, "not compared: "+host.Name) {
		t.Errorf("it does not say which server could not be asked:\n%s", said)
	}
	if err := host.Heal(background); err != nil {
		t.Fatal(err)
	}
	onHost(t, host, "touch /etc/ssh/orchestra/keys/stray")
	found := p.drift(t, 11)
	owed := slices.DeleteFunc(slices.Clone(found), func(line string) bool { return strings.HasSuffix(line, ": owed") })
	wantDrift(t, owed, "h13 file /etc/ssh/orchestra/keys/stray: left-over")
	for _, wanted := range []string{"h13 user owing-one: owed", "h13 member orchestra-sftp owing-one: owed", "h13 user owing-two: owed", "h13 park /home/owing-two: owed"} {
		if !slices.Contains(found, wanted) {
			t.Errorf("it does not find %q:\n%s", wanted, strings.Join(found, "\n"))
		}
	}
	onHost(t, host, "rm /etc/ssh/orchestra/keys/stray")
	p.must(t, "recover")
	wantDrift(t, p.drift(t, 0))
	p.must(t, "account", "delete", "owing", "--yes")
	wantDrift(t, p.drift(t, 0))
}

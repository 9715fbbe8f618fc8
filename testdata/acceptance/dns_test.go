package acceptance

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"orchestra/testdata/fleet"
)

func TestMasterAndSlavesAgreeAfterEachChange(t *testing.T) {
	p := shared.panel
	withZones(t)
	files, tables := zoneState(t)
	p.must(t, "domain", "add", "agree.example", "--account", "zones")
	wantAgreement(t, "agree.example")
	last := serial(t, shared.fleet.Host(2), "agree.example")
	for _, change := range [][]string{
		{"record", "add", "www.agree.example", "A", "203.0.113.9"},
		{"record", "add", "agree.example", "TXT", `v=spf1 -all; "quoted" \ and $(id)`},
		{"record", "set", "www.agree.example", "A", "203.0.113.9", "--ttl", "5m"},
		{"record", "replace", "www.agree.example", "A", "203.0.113.9", "--with", "203.0.113.10"},
		{"domain", "add", "sub.agree.example", "--account", "zones"},
		{"record", "add", "deep.sub.agree.example", "AAAA", "2001:db8::9"},
		{"domain", "set", "agree.example", "--ttl", "10m"},
		{"domain", "resign", "agree.example"},
		{"record", "delete", "www.agree.example", "A", "203.0.113.10", "--yes"},
		{"domain", "delete", "sub.agree.example", "--yes"},
	} {
		p.must(t, change...)
		wantAgreement(t, "agree.example")
		now := serial(t, shared.fleet.Host(2), "agree.example")
		if now <= last {
			t.Errorf("%v: the serial went from %d to %d", change, last, now)
		}
		last = now
	}
	// A zone above takes one into itself, and lets go of it.
	p.must(t, "domain", "add", "own.above.example", "--account", "zones")
	p.must(t, "domain", "add", "above.example", "--account", "zones")
	wantAgreement(t, "above.example")
	if answer := dig(t, shared.fleet.Host(1), "own.above.example", "SOA", "+norecurse", "+noall", "+authority"); !strings.HasPrefix(answer, "above.example.") {
		t.Errorf("the zone below is still there: %s", answer)
	}
	p.must(t, "domain", "disable", "agree.example", "--reason", "unpaid")
	for i := range 3 {
		if number := serial(t, shared.fleet.Host(i), "agree.example"); number != 0 {
			t.Errorf("a disabled domain is served as %d", number)
		}
	}
	p.must(t, "domain", "enable", "agree.example")
	wantAgreement(t, "agree.example")
	for i := range 3 {
		if answer := dig(t, shared.fleet.Host(i), "agree.example", "AXFR"); !strings.Contains(answer, "Transfer failed") {
			t.Errorf("who has no key may transfer: %s", answer)
		}
	}
	for _, domain := range []string{"own.above.example", "above.example", "agree.example"} {
		p.must(t, "domain", "delete", domain, "--yes")
	}
	wantZoneState(t, files, tables)
}

func TestRecordsOfEveryTypeAreServedAsTheyAre(t *testing.T) {
	p := shared.panel
	withZones(t)
	digits := strings.Repeat("0123456789ABCDEF", 4)
	p.mustWith(t, strings.ReplaceAll(`domain add types.example --account zones
record add a.types.example A 203.0.113.9
record add *.a.types.example AAAA 2001:db8::9
record add types.example CAA '0 issue "letsencrypt.org"'
record add alias.types.example CNAME a.types.example.
record add below.types.example NS ns1.below.types.example.
record add ns1.below.types.example A 203.0.113.10
record add below.types.example DS 60485 13 2 DIGITS
record add types.example HTTPS '1 . mandatory=alpn alpn="h2,h3" no-default-alpn ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1 port=8443'
record add types.example MX 10 a.types.example.
record add types.example NAPTR '100 10 "S" "SIP+D2U" "" _sip._udp.types.example.'
record add 9.types.example PTR a.types.example.
record add _sip._tcp.types.example SRV 10 60 5060 a.types.example.
record add a.types.example SSHFP 4 2 DIGITS
record add _dns.types.example SVCB 1 svc.example.net. port=8443
record add _443._tcp.types.example TLSA 3 1 1 DIGITS
record add many.types.example TXT '"`+strings.Repeat("x", 255)+`" "; ( \\000 \\195\\177 @ $ORIGIN"'
`, "DIGITS", digits), "batch")
	wantAgreement(t, "types.example")
	p.must(t, "domain", "delete", "types.example", "--yes")
}

// said returns the commands that named got, by server.
func said(t *testing.T, since time.Time) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for i := range 3 {
		host := shared.fleet.Host(i)
		output := onHost(t, host, fmt.Sprintf("journalctl --sync; journalctl -u named --since=@%d.%06d -o cat --no-pager | grep -o \"received control channel command '[^ ']* *[^ ']*\" || true",
			since.Unix(), since.Nanosecond()/1000))
		for line := range strings.Lines(output) {
			_, command, _ := strings.Cut(strings.TrimSpace(line), "'")
			all[host.Name] = append(all[host.Name], command)
		}
	}
	return all
}

func TestOtherZonesAreNotTouchedAndAnsweredThroughout(t *testing.T) {
	p := shared.panel
	withZones(t)
	p.must(t, "domain", "add", "steady.example", "--account", "zones")
	p.must(t, "domain", "add", "changing.example", "--account", "zones")
	ctx, cancel := context.WithCancel(background)
	var asking sync.WaitGroup
	failed := make([]string, 3)
	asked := make([]int, 3)
	for i := range 3 {
		asking.Go(func() {
			for ctx.Err() == nil {
				for _, zone := range []string{"steady.example", "changing.example"} {
					answer := dig(t, shared.fleet.Host(i), zone, "SOA", "+norecurse", "+noall", "+comments")
					if asked[i]++; !strings.Contains(answer, "status: NOERROR") && ctx.Err() == nil {
						failed[i] += zone + ": " + answer
					}
				}
			}
		})
	}
	since := time.Now()
	for _, change := range [][]string{
		{"record", "add", "www.changing.example", "A", "203.0.113.9"},
		{"domain", "add", "new.example", "--account", "zones"},
		{"record", "add", "www.new.example", "A", "203.0.113.9"},
		{"domain", "set", "changing.example", "--ttl", "5m"},
		{"domain", "delete", "new.example", "--yes"},
		{"record", "delete", "www.changing.example", "A", "203.0.113.9", "--yes"},
	} {
		p.must(t, change...)
	}
	commands := said(t, since)
	cancel()
	asking.Wait()
	for i := range 3 {
		host := shared.fleet.Host(i)
		t.Logf("%s was asked %d times, and told: %s", host.Name, asked[i], strings.Join(commands[host.Name], ", "))
		if failed[i] != "" {
			t.Errorf("%s: %.2000s", host.Name, failed[i])
		}
		for _, command := range commands[host.Name] {
			if strings.Contains(command, "steady") || strings.HasPrefix(command, "reconfig") || command == "reload" || command == "reload " {
				t.Errorf("%s was told %s", host.Name, command)
			}
		}
	}
	// A second run tells nobody anything.
	since = time.Now()
	if output := p.must(t, "domain", "ensure", "changing.example", "--account", "zones", "--ttl", "5m", "-o", "json"); strings.Contains(output, `"changed": true`) {
		t.Errorf("ensure changed something: %s", output)
	}
	p.must(t, "domain", "set", "changing.example", "--ttl", "5m", "--dry-run", "--exit-code")
	for name, commands := range said(t, since) {
		t.Errorf("%s was told %s", name, strings.Join(commands, ", "))
	}
}

func TestAFailingSlaveTakesTheZoneBackEverywhere(t *testing.T) {
	p := shared.panel
	withZones(t)
	slave := shared.fleet.Host(2)
	t.Run("its named is stopped", namedOfASlaveIsStopped)
	t.Run("it cannot ask the master", func(t *testing.T) {
		inNetwork(t, slave, "route", "add", "blackhole", shared.fleet.Host(0).Address)
		said := p.fails(t, 8, "record", "add", "new.back.example", "A", "203.0.113.9")
		if !strings.Contains(said, "back.example does not arrive") {
			t.Errorf("the error says no reason:\n%s", said)
		}
		inNetwork(t, slave, "route", "del", "blackhole", shared.fleet.Host(0).Address)
		onHost(t, slave, "rndc refresh back.example")
		wantAgreementSoon(t, "back.example")
	})
	t.Run("its cable is cut", func(t *testing.T) {
		if err := slave.Cut(background); err != nil {
			t.Fatal(err)
		}
		p.fails(t, 7, "record", "add", "new.back.example", "A", "203.0.113.9")
		if err := slave.Heal(background); err != nil {
			t.Fatal(err)
		}
		wantAgreementSoon(t, "back.example")
	})
	p.must(t, "record", "add", "new.back.example", "A", "203.0.113.9")
	wantAgreement(t, "back.example")
}

func namedOfASlaveIsStopped(t *testing.T) {
	p := shared.panel
	withZones(t)
	p.must(t, "domain", "add", "back.example", "--account", "zones")
	p.must(t, "record", "add", "www.back.example", "A", "203.0.113.9")
	before := serial(t, shared.fleet.Host(0), "back.example")
	slave := shared.fleet.Host(2)
	onHost(t, slave, "systemctl stop named")
	said := p.fails(t, 8, "record", "add", "new.back.example", "A", "203.0.113.9")
	if !strings.Contains(said, slave.Name) || !strings.Contains(said, "named does not run") {
		t.Errorf("the error names neither server nor reason:\n%s", said)
	}
	p.fails(t, 8, "domain", "add", "never.example", "--account", "zones")
	p.fails(t, 8, "domain", "delete", "back.example", "--yes")
	onHost(t, slave, "systemctl start named && rndc refresh back.example")
	wantAgreementSoon(t, "back.example")
	if now := serial(t, shared.fleet.Host(1), "back.example"); now <= before {
		t.Errorf("the serial went from %d to %d", before, now)
	}
	for i := range 3 {
		if number := serial(t, shared.fleet.Host(i), "never.example"); number != 0 {
			t.Errorf("what was undone is served as %d", number)
		}
	}
}

func TestAZoneOfTheAdministratorIsLeftAlone(t *testing.T) {
	p := shared.panel
	withZones(t)
	for _, host := range []*fleet.Host{shared.fleet.Host(0), shared.fleet.Host(2)} {
		onHost(t, host, `cp -p /etc/bind/named.conf.local /run/ &&
			echo 'zone "foreign.example" { type primary; file "/etc/bind/db.empty"; };' >>/etc/bind/named.conf.local && rndc reconfig`)
		said := p.fails(t, 8, "domain", "add", "foreign.example", "--account", "zones")
		if !strings.Contains(said, "not by us") {
			t.Errorf("the error says no reason:\n%s", said)
		}
		if number := serial(t, host, "foreign.example"); number != 1 {
			t.Errorf("%s serves the administrator's zone as %d", host.Name, number)
		}
		onHost(t, host, "cp -p /run/named.conf.local /etc/bind/ && rndc reconfig")
	}
	wantUnknown(t, "foreign.example")
}

func TestAPowerCutOfANameServerLosesNothing(t *testing.T) {
	p := shared.panel
	withZones(t)
	p.must(t, "domain", "add", "power.example", "--account", "zones")
	n := 0
	for _, i := range []int{0, 2} {
		host := shared.fleet.Host(i)
		for _, after := range []time.Duration{250 * time.Millisecond, 700 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s after %v", host.Name, after), func(t *testing.T) {
				n++
				command := p.command(background, "batch")
				command.Stdin = strings.NewReader(fmt.Sprintf("record add r%d.power.example A 203.0.113.9\ndomain add p%d.example --account zones\n", n, n))
				if err := command.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(after)
				if err := host.PowerCut(background); err != nil {
					t.Fatal(err)
				}
				_ = command.Wait()
				if err := host.Boot(background); err != nil {
					t.Fatal(err)
				}
				waitUntil(t, "its daemon runs", func() bool { return isReady(host) })
				p.must(t, "recover")
				other := p.run(t, "", "domain", "show", fmt.Sprintf("p%d.example", n))
				t.Logf("exit code %d; the new zone: %d", command.ProcessState.ExitCode(), other.Code)
				wantSameSoon(t, "power.example")
				p.must(t, "record", "add", fmt.Sprintf("after%d.power.example", n), "A", "203.0.113.9")
				wantAgreement(t, "power.example")
				if other.Code == 0 {
					wantSameSoon(t, fmt.Sprintf("p%d.example", n))
				} else {
					wantUnknown(t, fmt.Sprintf("p%d.example", n))
				}
			})
		}
	}
}

func wantUnknown(t *testing.T, zone string) {
	t.Helper()
	for i := range 3 {
		if number := serial(t, shared.fleet.Host(i), zone); number != 0 {
			t.Errorf("%s serves %s as %d", shared.fleet.Host(i).Name, zone, number)
		}
	}
}

func TestTwoAtOnceLoseNoRecord(t *testing.T) {
	p := shared.panel
	withZones(t)
	p.must(t, "domain", "add", "two.example", "--account", "zones")
	var both sync.WaitGroup
	results := make([]result, 6)
	for i := range results {
		both.Go(func() {
			results[i] = p.run(t, "", "record", "add", fmt.Sprintf("r%d.two.example", i), "A", "203.0.113.9")
		})
	}
	both.Wait()
	for i, ended := range results {
		if ended.Code != 0 {
			t.Errorf("%v", ended)
		}
		if zone := strings.Join(wanted(t, "two.example"), "\n"); !strings.Contains(zone, fmt.Sprintf("r%d.two.example", i)) {
			t.Errorf("r%d is lost:\n%s", i, zone)
		}
	}
	wantAgreement(t, "two.example")
}

func TestSignedZonesAreServedBySlavesToo(t *testing.T) {
	p := shared.panel
	withZones(t)
	files, tables := zoneState(t)
	p.must(t, "domain", "add", "signed.example", "--account", "zones")
	for round := range 2 {
		p.must(t, "domain", "set", "signed.example", "--dnssec")
		wantSigned(t, true)
		// What is in the file is served, though its number says nothing.
		p.must(t, "record", "add", fmt.Sprintf("r%d.signed.example", round), "A", "203.0.113.9")
		wantSigned(t, true)
		wantLongSignatures(t)
		wantAgreement(t, "signed.example")
		last := serial(t, shared.fleet.Host(2), "signed.example")
		p.must(t, "domain", "set", "signed.example", "--dnssec=false")
		wantSigned(t, false)
		wantAgreement(t, "signed.example")
		if now := serial(t, shared.fleet.Host(2), "signed.example"); now <= last {
			t.Errorf("the serial went from %d to %d", last, now)
		}
	}
	t.Run("undone", func(t *testing.T) {
		slave := shared.fleet.Host(2)
		for _, signed := range []string{"--dnssec", "--dnssec=false"} {
			onHost(t, slave, "systemctl stop named")
			p.fails(t, 8, "domain", "set", "signed.example", signed)
			onHost(t, slave, "systemctl start named && rndc refresh signed.example")
			wantAgreementSoon(t, "signed.example")
			wantSigned(t, signed != "--dnssec")
			p.must(t, "domain", "set", "signed.example", signed)
			wantAgreement(t, "signed.example")
		}
	})
	t.Run("a power cut of the master", func(t *testing.T) {
		p.must(t, "domain", "set", "signed.example", "--dnssec")
		p.must(t, "record", "add", "before.signed.example", "A", "203.0.113.9")
		master := shared.fleet.Host(0)
		if err := master.PowerCut(background); err != nil {
			t.Fatal(err)
		}
		if err := master.Boot(background); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "its daemon runs", func() bool { return isReady(master) })
		p.must(t, "record", "add", "after.signed.example", "A", "203.0.113.9")
		wantSigned(t, true)
		wantAgreement(t, "signed.example")
	})
	p.must(t, "domain", "delete", "signed.example", "--yes")
	wantZoneState(t, files, tables)
}

// wantLongSignatures wants signatures to be good for longer than a resolver and
// `domain check` need.
func wantLongSignatures(t *testing.T) {
	t.Helper()
	var longest time.Duration
	for line := range strings.Lines(transferText(t, shared.fleet.Host(0), "signed.example")) {
		fields := strings.Fields(line)
		if len(fields) < 9 || fields[3] != "RRSIG" {
			continue
		}
		until, err := time.Parse("20060102150405", fields[8])
		if left := time.Until(until); err != nil || left < shared.master.shortest || left > 30*24*time.Hour {
			t.Errorf("%v, %v is left: %s", err, left, line)
		} else {
			longest = max(longest, left)
		}
	}
	if longest < shared.master.longest {
		t.Errorf("the longest is good for %v", longest)
	}
}

func wantSigned(t *testing.T, signed bool) {
	t.Helper()
	each := func(host *fleet.Host) {
		answer := dig(t, host, "signed.example", "DNSKEY", "+dnssec", "+norecurse", "+noall", "+answer")
		if strings.Contains(answer, "DNSKEY") != signed || strings.Contains(answer, "RRSIG") != signed {
			t.Errorf("%s: wanted signed: %v: %s", host.Name, signed, answer)
		}
	}
	for i := range 3 {
		each(shared.fleet.Host(i))
	}
}

// TestAHundredZonesInOneBatch adds and deletes a hundred zones of ten records.
func TestAHundredZonesInOneBatch(t *testing.T) {
	p := shared.panel
	withZones(t)
	files, tables := zoneState(t)
	var lines strings.Builder
	for zone := range 100 {
		fmt.Fprintf(&lines, "domain add z%d.example --account zones\n", zone)
		for record := range 10 {
			fmt.Fprintf(&lines, "record add r%d.z%d.example A 203.0.113.9\n", record, zone)
		}
	}
	ended := p.run(t, lines.String(), "batch")
	if ended.Code != 0 {
		t.Fatalf("%d: %.2000s", ended.Code, ended.Stderr)
	}
	t.Logf("100 zones of ten records on three servers: %v", ended.Duration)
	for _, zone := range []string{"z0.example", "z50.example", "z99.example"} {
		wantAgreement(t, zone)
	}
	ended = p.run(t, "", "account", "delete", "zones", "--yes")
	t.Logf("deleted: %d after %v", ended.Code, ended.Duration)
	p.must(t, "account", "add", "zones", "--full-name", "Zones")
	wantZoneState(t, files, tables)
}

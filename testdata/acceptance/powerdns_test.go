package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orchestra/testdata/fleet"
)

// TestZonesWithPowerDNSAsTheirMaster runs the tests of zones once more, on a fleet
// whose h11 has PowerDNS.
func TestZonesWithPowerDNSAsTheirMaster(t *testing.T) {
	former := shared
	t.Cleanup(func() { shared = former })
	shared.master, shared.transferSecret = powerdns, ""
	shared.fleet = fleet.New(t, fleet.Options{Prefix: fleetPrefix() + "pdn", Hosts: 3, Role: "pdns,dns"})
	var err error
	if shared.panel, err = newSharedPanel(); err != nil {
		t.Fatal(err)
	}
	t.Run("setup twice", setupOfPowerDNS)
	withZones(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"agreement", TestMasterAndSlavesAgreeAfterEachChange},
		{"a hundred zones", TestAHundredZonesInOneBatch}, // which deletes the account with all that it has
		{"every type", TestRecordsOfEveryTypeAreServedAsTheyAre},
		{"a failing slave", namedOfASlaveIsStopped},
		{"a failing master", powerDNSFails},
		{"a zone of the administrator", zoneOfTheAdministratorInPowerDNS},
		{"signing", TestSignedZonesAreServedBySlavesToo},
		{"keys stay", keysOfPowerDNSStay},
		{"who may transfer", transferFromPowerDNS},
	} {
		t.Run(test.name, test.run)
	}
}

func setupOfPowerDNS(t *testing.T) {
	p, host := shared.panel, shared.fleet.Host(0)
	started := func() string { return onHost(t, host, "systemctl show --property=MainPID --value pdns") }
	first := started()
	p.must(t, "backend", "setup", "powerdns", "--server", host.Name, "--yes")
	second := started()
	if first == second {
		t.Error("PowerDNS was not restarted with what it needs")
	}
	p.must(t, "backend", "setup", "powerdns", "--server", host.Name, "--yes")
	if started() != second {
		t.Error("a setup that changes nothing restarted PowerDNS")
	}
	// What PowerDNS does not accept is not left there.
	onHost(t, host, "echo no-such-setting=1 >/etc/powerdns/pdns.d/zz.conf; sed -i /primary/d /etc/powerdns/pdns.d/orchestra.conf")
	said := p.fails(t, 8, "backend", "setup", "powerdns", "--server", host.Name, "--yes")
	if !strings.Contains(said, "no-such-setting") {
		t.Errorf("the error says no reason:\n%s", said)
	}
	onHost(t, host, "! grep primary /etc/powerdns/pdns.d/orchestra.conf; rm /etc/powerdns/pdns.d/zz.conf")
	p.must(t, "backend", "setup", "powerdns", "--server", host.Name, "--yes")
}

func powerDNSFails(t *testing.T) {
	p, host := shared.panel, shared.fleet.Host(0)
	withZones(t)
	p.must(t, "domain", "add", "fails.example", "--account", "zones")
	onHost(t, host, "systemctl stop pdns")
	said := p.fails(t, 8, "record", "add", "new.fails.example", "A", "203.0.113.9")
	if !strings.Contains(said, "PowerDNS does not run") {
		t.Errorf("the error says no reason:\n%s", said)
	}
	p.fails(t, 8, "domain", "add", "never.example", "--account", "zones")
	onHost(t, host, "systemctl start pdns")
	wantUnknown(t, "never.example")
	wantAgreementSoon(t, "fails.example")
	p.must(t, "record", "add", "new.fails.example", "A", "203.0.113.9")
	wantAgreement(t, "fails.example")
	p.must(t, "record", "delete", "new.fails.example", "A", "203.0.113.9", "--yes")
	// A second run tells nobody anything.
	_, tables := zoneState(t)
	if output := p.must(t, "domain", "ensure", "fails.example", "--account", "zones", "-o", "json"); strings.Contains(output, `"changed": true`) {
		t.Errorf("ensure changed something: %s", output)
	}
	p.must(t, "drift")
	if _, now := zoneState(t); now != tables {
		t.Errorf("the tables are now\n%s\nand were\n%s", now, tables)
	}
}

func zoneOfTheAdministratorInPowerDNS(t *testing.T) {
	p, host := shared.panel, shared.fleet.Host(0)
	withZones(t)
	onHost(t, host, "pdnsutil create-zone foreign.example ns1.foreign.example && pdnsutil add-record foreign.example www A 203.0.113.77 && pdnsutil set-meta foreign.example SOA-EDIT EPOCH")
	_, tables := zoneState(t)
	said := p.fails(t, 8, "domain", "add", "foreign.example", "--account", "zones")
	if !strings.Contains(said, "not by us") {
		t.Errorf("the error says no reason:\n%s", said)
	}
	if _, now := zoneState(t); now != tables {
		t.Errorf("the administrator's zone is now\n%s\nand was\n%s", now, tables)
	}
	onHost(t, host, "pdnsutil delete-zone foreign.example")
	// What the administrator says of a zone of ours stays.
	p.must(t, "domain", "add", "ours.example", "--account", "zones")
	onHost(t, host, "pdnsutil set-meta ours.example X-NOTE 'mine; it''s'")
	p.must(t, "record", "add", "www.ours.example", "A", "203.0.113.9")
	if note := onHost(t, host, "pdnsutil get-meta ours.example X-NOTE"); !strings.Contains(note, "mine; its") {
		t.Errorf("the administrator's note is gone: %s", note)
	}
	wantAgreement(t, "ours.example")
}

// keysOfPowerDNSStay signs a zone again after it was not signed, or gone: the
// parent still has the key.
func keysOfPowerDNSStay(t *testing.T) {
	p, master, slave := shared.panel, shared.fleet.Host(0), shared.fleet.Host(2)
	withZones(t)
	key := func() string { return dig(t, master, "keys.example", "DNSKEY", "+short", "+norecurse") }
	p.must(t, "domain", "add", "keys.example", "--account", "zones", "--dnssec")
	first := key()
	if !strings.HasPrefix(first, "257 3 13 ") {
		t.Fatalf("wanted one key for all: %s", first)
	}
	p.must(t, "domain", "set", "keys.example", "--dnssec=false")
	if none := key(); none != "" {
		t.Errorf("the zone has a key still: %s", none)
	}
	p.must(t, "domain", "set", "keys.example", "--dnssec")
	if again := key(); again != first {
		t.Errorf("the key is now %s and was %s", again, first)
	}
	onHost(t, slave, "systemctl stop named")
	p.fails(t, 8, "domain", "delete", "keys.example", "--yes")
	onHost(t, slave, "systemctl start named && rndc refresh keys.example")
	wantAgreementSoon(t, "keys.example")
	if again := key(); again != first {
		t.Errorf("after an undone deletion the key is %s and was %s", again, first)
	}
	p.must(t, "domain", "delete", "keys.example", "--yes")
	p.must(t, "domain", "add", "keys.example", "--account", "zones", "--dnssec")
	if again := key(); again != first {
		t.Errorf("after a deletion the key is %s and was %s", again, first)
	}
	wantAgreement(t, "keys.example")
	// Nothing of what zones are made from stays, the key of the transfers least of all.
	onHost(t, master, "! ls -d /run/orchestra-pdns")
}

func transferFromPowerDNS(t *testing.T) {
	p, master := shared.panel, shared.fleet.Host(0)
	withZones(t)
	p.must(t, "domain", "add", "away.example", "--account", "zones")
	withoutKey := func(allowed bool) {
		t.Helper()
		if answer := dig(t, master, "away.example", "AXFR"); strings.Contains(answer, "Transfer failed") == allowed {
			t.Errorf("transfer without a key, allowed: %v: %s", allowed, answer)
		}
	}
	withoutKey(false)
	config := filepath.Join(p.directory, "orchestra.toml")
	before, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p.must(t, "domain", "resign", "away.example")
		wantAgreement(t, "away.example")
	}
	write(strings.Replace(string(before), "[dns]", "[dns]\ntransfer = [\"192.0.2.1\"]", 1))
	withoutKey(true)
	write(string(before))
	withoutKey(false)
}

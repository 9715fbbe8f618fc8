package acceptance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"orchestra/testdata/fleet"
)

// inNetwork runs ip in a server's network.
func inNetwork(t *testing.T, host *fleet.Host, arguments ...string) {
	t.Helper()
	if err := host.Network(background, arguments...); err != nil {
		t.Fatal(err)
	}
}

// wantTold wants named to have been told something of a zone.
func wantTold(t *testing.T, host *fleet.Host, zone, text string) {
	t.Helper()
	if told := onHost(t, host, "rndc showzone "+zone); !strings.Contains(told, text) {
		t.Errorf("named of %s was not told %q: %s", host.Name, text, told)
	}
}

func TestAnotherAddressOfAMasterReachesItsSlaves(t *testing.T) {
	p := shared.panel
	withZones(t)
	p.must(t, "domain", "add", "moved.example", "--account", "zones")
	master := shared.fleet.Host(0)
	t.Cleanup(func() {
		p.must(t, "server", "set", master.Name, "--address", master.Address)
		inNetwork(t, master, "addr", "del", "192.0.2.111/24", "dev", "host0")
	})
	for _, address := range []string{"192.0.2.111", master.Address} {
		if address != master.Address {
			inNetwork(t, master, "addr", "add", address+"/24", "dev", "host0")
			waitUntil(t, "named listens at "+address, func() bool {
				_, err := master.Run(background, "dig +short +time=1 +tries=1 moved.example SOA @"+address+" | grep -q hostmaster")
				return err == nil
			})
		}
		p.must(t, "server", "set", master.Name, "--address", address)
		for i := range 2 {
			wantTold(t, shared.fleet.Host(i+1), "moved.example", " primaries { "+address+" key ")
		}
		p.must(t, "record", "add", "www.moved.example", "A", "203.0.113."+address[strings.LastIndexByte(address, '.')+1:])
		wantAgreement(t, "moved.example")
	}
	said := p.fails(t, 4, "server", "set", master.Name, "--address", "ns1.example.net")
	if !strings.Contains(said, "IP address") {
		t.Errorf("a name for an address: %s", said)
	}
}

func TestNewSettingsOfZonesReachNamed(t *testing.T) {
	p := shared.panel
	withZones(t)
	p.must(t, "domain", "add", "settings.example", "--account", "zones")
	path := filepath.Join(p.directory, "orchestra.toml")
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, was, 0o600); err != nil {
			t.Error(err)
		}
	})
	changed := string(was) + "\n[dns]\ntransfer = [\"192.0.2.99\"]\n"
	if strings.Contains(string(was), "[dns]\n") {
		changed = strings.Replace(string(was), "[dns]\n", "[dns]\ntransfer = [\"192.0.2.99\"]\n", 1)
	}
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	p.must(t, "record", "add", "www.settings.example", "A", "203.0.113.9")
	wantTold(t, shared.fleet.Host(0), "settings.example", "192.0.2.99/32")
	wantAgreement(t, "settings.example")
}

func TestARepairedKeyReachesNamed(t *testing.T) {
	p := shared.panel
	withZones(t)
	p.must(t, "domain", "add", "key.example", "--account", "zones")
	slave := shared.fleet.Host(2)
	onHost(t, slave, `sed -i 's/secret "[^"]*/secret "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=/' /etc/bind/orchestra.d/key.conf && rndc reconfig`)
	p.must(t, "record", "add", "www.key.example", "A", "203.0.113.9")
	wantAgreement(t, "key.example")
}

func TestZonesThatARestoredBackupLacksAreNamed(t *testing.T) {
	p := shared.panel
	withZones(t)
	backup := filepath.Join(p.directory, "zones.db")
	p.must(t, "backup", backup)
	p.must(t, "domain", "add", "lost.example", "--account", "zones")
	p.restore(t, backup)
	for i := range 3 {
		p.must(t, "server", "adopt", shared.fleet.Host(i).Name, "--yes")
	}
	p.must(t, "recover")
	found := p.drift(t, 11)
	for _, wanted := range []string{
		"h11 file /etc/bind/orchestra.zones/lost.example: left-over", "h11 file /var/lib/bind/orchestra/lost.example.zone: left-over",
		"h12 file /etc/bind/orchestra.zones/lost.example: left-over", "h13 file /etc/bind/orchestra.zones/lost.example: left-over",
	} {
		if !slices.Contains(found, wanted) {
			t.Errorf("drift does not say %q: %q", wanted, found)
		}
	}
	// Who adds and deletes it again is rid of it.
	p.must(t, "domain", "add", "lost.example", "--account", "zones")
	wantAgreement(t, "lost.example")
	p.must(t, "domain", "delete", "lost.example", "--yes")
	wantUnknown(t, "lost.example")
	p.drift(t, 0)
}

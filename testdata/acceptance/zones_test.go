package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"orchestra/testdata/fleet"
)

// master is what is particular to a backend that serves zones on h11 as their master.
type master struct {
	// For how long at least the shortest and the longest signature are good.
	shortest, longest time.Duration
	backend           string
	ready             string   // a command that succeeds where its daemon answers
	files             []string // where it keeps zones, beside the places of named
	tables            string   // a command that prints what else it has of zones
}

var (
	bind = master{
		shortest: 7 * 24 * time.Hour, longest: 28 * 24 * time.Hour,
		backend: "bind9-master", ready: "rndc status", tables: "true",
	}
	powerdns = master{
		// It signs until the second Thursday from now on.
		shortest: 6 * 24 * time.Hour, longest: 6 * 24 * time.Hour,
		backend: "powerdns", ready: "pdns_control rping", files: []string{"/var/lib/orchestra-pdns"},
		tables: `sqlite3 -batch /var/lib/powerdns/pdns.sqlite3 'SELECT * FROM domains; SELECT * FROM records; SELECT * FROM domainmetadata;
			SELECT * FROM cryptokeys; SELECT * FROM comments'`,
	}
)

// withZones makes h11 the master of all zones and h12 and h13 their slaves, with
// an account to have them, until the test's end: of the outermost that wants that.
func withZones(t *testing.T) {
	t.Helper()
	if shared.withZones {
		return
	}
	shared.withZones = true
	p := shared.panel
	for i := range 3 {
		host := shared.fleet.Host(i)
		if i == 0 {
			p.must(t, "backend", "setup", shared.master.backend, "--server", host.Name, "--yes")
			p.must(t, "route", "add", shared.master.backend, "--server", host.Name, "--match", "true")
			continue
		}
		p.must(t, "backend", "setup", "bind9-slave", "--server", host.Name, "--yes")
		p.must(t, "route", "add", "bind9-slave", "--server", host.Name, "--match", "true", "--after", shared.master.backend+"@"+shared.fleet.Host(0).Name)
	}
	p.must(t, "account", "add", "zones", "--full-name", "Zones")
	t.Cleanup(func() {
		shared.withZones = false
		p.must(t, "account", "delete", "zones", "--yes")
		for i, backend := range []string{"bind9-slave", "bind9-slave", shared.master.backend} {
			p.must(t, "route", "delete", backend+"@"+shared.fleet.Host(2-i).Name, "--yes")
		}
	})
}

// isReady tells whether a name server's daemon answers.
func isReady(host *fleet.Host) bool {
	command := "rndc status"
	if host == shared.fleet.Host(0) {
		command = shared.master.ready
	}
	_, err := host.Run(background, command)
	return err == nil
}

// served is what a server answers for a zone: its serial number, and its records
// without the SOA and what signing adds, sorted.
type served struct {
	serial  uint64
	records []string
	signed  bool
}

// dig asks a server, from the panel's network.
func dig(t *testing.T, host *fleet.Host, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	output, err := shared.fleet.Command(ctx, "dig", append([]string{"@" + host.Address, "+time=2", "+tries=2"}, arguments...)...).Output()
	if err != nil {
		return fmt.Sprintf(";; %v: %s", err, output)
	}
	return string(output)
}

// transferText reads a whole zone from a server, with the key that is on a slave.
func transferText(t *testing.T, host *fleet.Host, zone string) string {
	t.Helper()
	if shared.transferSecret == "" {
		secret := strings.Fields(onHost(t, shared.fleet.Host(1), "grep secret /etc/bind/orchestra.d/key.conf"))[1]
		shared.transferSecret = strings.Trim(secret, `";`)
	}
	return dig(t, host, zone, "AXFR", "-y", "hmac-sha256:orchestra:"+shared.transferSecret, "+noall", "+answer")
}

// transfer is what a server serves of a zone.
func transfer(t *testing.T, host *fleet.Host, zone string) served {
	t.Helper()
	return servedIn(t, transferText(t, host, zone))
}

// servedIn reads what dig says of a transfer.
func servedIn(t *testing.T, output string) served {
	t.Helper()
	var s served
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[0][0] == ';' {
			continue
		}
		switch fields[3] {
		case "SOA":
			s.serial, _ = strconv.ParseUint(fields[6], 10, 64)
		case "RRSIG", "NSEC", "DNSKEY", "CDS", "CDNSKEY", "NSEC3", "NSEC3PARAM", "TYPE65534":
			s.signed = true
		default:
			s.records = append(s.records, oneForm(t, line))
		}
	}
	slices.Sort(s.records)
	return s
}

// oneForm writes a record always the same, whoever has printed it.
func oneForm(t *testing.T, text string) string {
	t.Helper()
	record, err := dns.NewRR(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	wire := make([]byte, dns.MaxMsgSize)
	end, err := dns.PackRR(record, wire, 0, nil, false)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if record, _, err = dns.UnpackRR(wire[:end], 0); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return record.String()
}

// wanted is what the panel says that a zone has.
func wanted(t *testing.T, zone string) []string {
	t.Helper()
	return wantedIn(t, shared.panel.must(t, "domain", "zone", zone, "-o", "json"))
}

// wantedIn reads the records that a panel prints of a zone.
func wantedIn(t *testing.T, output string) []string {
	t.Helper()
	var rows []struct {
		Owner, Type, Value string
		TTL                int64
	}
	if err := json.Unmarshal([]byte(output), &rows); err != nil {
		t.Fatal(err)
	}
	var records []string
	for _, row := range rows {
		if row.Type != "SOA" {
			records = append(records, oneForm(t, fmt.Sprintf("%s. %d IN %s %s", row.Owner, row.TTL, row.Type, row.Value)))
		}
	}
	slices.Sort(records)
	return records
}

// disagreement says how the servers differ from the panel or from each other
// about a zone; "" where they do not.
func disagreement(t *testing.T, zone string, anySerial bool) string {
	t.Helper()
	records := wanted(t, zone)
	var first served
	for i := range 3 {
		host := shared.fleet.Host(i)
		is := transfer(t, host, zone)
		if i == 0 {
			first = is
		}
		if !slices.Equal(is.records, records) || is.serial == 0 {
			return fmt.Sprintf("%s serves %s as %d:\n%s\nand it should be\n%s", host.Name, zone, is.serial,
				strings.Join(is.records, "\n"), strings.Join(records, "\n"))
		}
		if is.signed != first.signed {
			return fmt.Sprintf("%s serves %s signed: %v, and the master: %v", host.Name, zone, is.signed, first.signed)
		}
		if is.serial != first.serial && !anySerial {
			return fmt.Sprintf("%s serves %s as %d, and the master as %d", host.Name, zone, is.serial, first.serial)
		}
	}
	return ""
}

// wantAgreement wants all servers to serve what the panel says, at once.
func wantAgreement(t *testing.T, zone string) {
	t.Helper()
	if difference := disagreement(t, zone, false); difference != "" {
		t.Error(difference)
	}
}

// wantAgreementSoon is wantAgreement where something was undone: nobody waits for
// slaves then.
func wantAgreementSoon(t *testing.T, zone string) {
	t.Helper()
	waitUntil(t, "all servers agree about "+zone, func() bool { return disagreement(t, zone, false) == "" })
}

// wantSameSoon is wantAgreementSoon but for the serial number: a slave that was
// away when something was undone has the same records under another number.
func wantSameSoon(t *testing.T, zone string) {
	t.Helper()
	waitUntil(t, "all servers have the records of "+zone, func() bool { return disagreement(t, zone, true) == "" })
}

func serial(t *testing.T, host *fleet.Host, zone string) uint64 {
	t.Helper()
	fields := strings.Fields(dig(t, host, zone, "SOA", "+short", "+norecurse"))
	if len(fields) < 3 {
		return 0
	}
	number, _ := strconv.ParseUint(fields[2], 10, 64)
	return number
}

// zoneState is all that the name servers have of zones: their files, but for what
// is named's own (its database of zones), keys that were made, and the key that
// the first zone brings; and what the master has in tables.
func zoneState(t *testing.T) (files map[string]fleet.Digest, tables string) {
	t.Helper()
	files = map[string]fleet.Digest{}
	for i := range 3 {
		host := shared.fleet.Host(i)
		places := []string{"/etc/bind", "/var/lib/bind", "/var/cache/bind"}
		if i == 0 {
			places = append(places, shared.master.files...)
			tables = onHost(t, host, shared.master.tables)
		}
		found, err := host.Digest(background, places...)
		if err != nil {
			t.Fatal(err)
		}
		for path := range found {
			if strings.Contains(path, "/_default.nzd") || strings.HasPrefix(path, "/var/lib/bind/orchestra.keys/") ||
				path == "/etc/bind/orchestra.d/key.conf" || strings.Contains(path, "/managed-keys") ||
				path == "/var/lib/orchestra-pdns/key" || path == "/var/lib/orchestra-pdns/keys.sqlite3" {
				delete(found, path)
			}
		}
		files[host.Name] = found
	}
	return files, tables
}

// wantZoneState wants nothing to be left of zones but what was there before.
func wantZoneState(t *testing.T, filesBefore map[string]fleet.Digest, tablesBefore string) {
	t.Helper()
	files, tables := zoneState(t)
	for name, now := range files {
		if difference := filesBefore[name].Diff(now); len(difference) > 0 {
			t.Errorf("%s is not as before:\n%s", name, strings.Join(difference, "\n"))
		}
	}
	if tables != tablesBefore {
		t.Errorf("the master has in its tables\n%s\nand had\n%s", tables, tablesBefore)
	}
}

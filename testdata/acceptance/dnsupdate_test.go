package acceptance

import (
	"slices"
	"strings"
	"testing"

	"orchestra/testdata/fleet"
)

// provider is a name server that takes updates with a key, and a panel that has it.
type provider struct {
	panel, server *fleet.Host
	key           string // as dig takes it
}

// withProvider makes a panel of one server, and of another one a provider with the
// zones example.org and signed.example, which it signs itself.
func withProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{panel: shared.fleet.Host(0), server: shared.fleet.Host(1)}
	key := onHost(t, p.server, `cp -p /etc/bind/named.conf.local /run/before-provider
cd /etc/bind && (umask 027; tsig-keygen -a hmac-sha256 panel.provider >provider.key; chgrp bind provider.key)
mkdir /var/cache/bind/provider
for zone in example.org signed.example; do
  printf '%s\n' '$TTL 300' '@ SOA ns.provider.example. john\.doe.provider.example. 1 3600 600 86400 60' \
    '@ NS ns.provider.example.' 'PARKED A 203.0.113.1' >/var/cache/bind/provider/$zone
done
chown -R bind: /var/cache/bind/provider
cat >>named.conf.local <<'CONFIGURATION'
include "/etc/bind/provider.key";
zone "example.org" { type primary; file "provider/example.org"; allow-update { key panel.provider; }; allow-transfer { key panel.provider; }; };
zone "signed.example" { type primary; file "provider/signed.example"; dnssec-policy default; allow-update { key panel.provider; }; allow-transfer { key panel.provider; }; };
CONFIGURATION
rndc reconfig; cat provider.key`)
	t.Cleanup(func() {
		onHost(t, p.server, `cp -p /run/before-provider /etc/bind/named.conf.local; find /etc/bind/provider.key -delete
systemctl start named; rndc reconfig; find /var/cache/bind/provider /var/cache/bind/K*.example.+* -delete`)
		onHost(t, p.panel, "rm -rf /etc/orchestra /root/own /var/lib/orchestra-own")
	})
	_, secret, _ := strings.Cut(key, "secret \"")
	secret, _, _ = strings.Cut(secret, `"`)
	p.key = "hmac-sha256:panel.provider:" + secret
	onHost(t, p.panel, "mkdir -p /root/own/backends /etc/orchestra; umask 077\ncat >/etc/orchestra/dns-update.key <<'KEY'\n"+key+"KEY\n"+
		"echo "+p.server.Address+" >/etc/orchestra/dns-update.server; printf '[dns]\\nmx = [\"10 mail.example.net\"]\\n' >/etc/orchestra/orchestra.toml")
	for _, command := range []string{"init", "server add panel --transport local", "route add dns-update --server panel --match true", "account add acme"} {
		p.run(t, 0, command)
	}
	return p
}

func (p *provider) run(t *testing.T, code int, command string) string {
	t.Helper()
	return ownPanel(t, p.panel, code, command)
}

// batch has the panel make changes, one a line, in one operation.
func (p *provider) batch(t *testing.T, lines string) {
	t.Helper()
	onHost(t, p.panel, "cat >/root/own/lines <<'LINES'\n"+lines+"LINES")
	p.run(t, 0, "batch --yes </root/own/lines")
}

// zone is what the provider has.
func (p *provider) zone(t *testing.T, zone string) served {
	t.Helper()
	return servedIn(t, dig(t, p.server, zone, "AXFR", "-y", p.key, "+noall", "+answer"))
}

// wantZone wants the provider to have what the panel says, and its own name
// server, of which the panel knows nothing.
func (p *provider) wantZone(t *testing.T, zone string) {
	t.Helper()
	records := wantedIn(t, strings.TrimSuffix(p.run(t, 0, "domain zone "+zone+" -o json"), "exit 0\n"))
	records = append(records, zone+" 300 NS ns.provider.example.")
	p.wantRecords(t, zone, records)
}

func (p *provider) wantRecords(t *testing.T, zone string, records []string) {
	t.Helper()
	for i, record := range records {
		records[i] = oneForm(t, record)
	}
	slices.Sort(records)
	if is := p.zone(t, zone); !slices.Equal(is.records, records) {
		t.Errorf("the provider has of %s:\n%.3000s\nand should have:\n%.3000s", zone, strings.Join(is.records, "\n"), strings.Join(records, "\n"))
	}
}

func TestAProviderIsToldOfZones(t *testing.T) {
	p := withProvider(t)
	for _, changes := range []string{
		`domain add example.org --account acme
record add www.example.org A 203.0.113.9
record add example.org TXT 'a; "b" \ $(touch /root/own/executed) \059 '"'"'c'"'"'   d; send'
record add txt.example.org TXT '"update delete example.org. NS" "\"; \\"'
record add moved.example.org CNAME www.example.org.
`,
		`record set www.example.org A 203.0.113.9 --ttl 5m
record add *.example.org HTTPS '1 . alpn="h2,h3"'
record add example.org CAA '0 issue "ca.example; policy=ev"'
domain add sub.example.org --account acme
record add deep.sub.example.org NS ns1.example.net.
record add deep.sub.example.org DS 60485 13 2 aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899
`,
		`record replace www.example.org A 203.0.113.9 --with 203.0.113.10
record delete moved.example.org CNAME www.example.org.
record add moved.example.org AAAA 2001:db8::9
domain delete sub.example.org
`,
	} {
		p.batch(t, changes)
		p.wantZone(t, "example.org")
	}
	before := p.zone(t, "example.org").serial
	if before != 4 {
		t.Errorf("the provider counted from 1 to %d, after 3 operations: each is to be one update", before)
	}
	p.run(t, 0, "domain ensure example.org --account acme")
	p.run(t, 0, "domain resign example.org")
	if now := p.zone(t, "example.org").serial; now != before {
		t.Errorf("the provider's serial went from %d to %d, with nothing to tell", before, now)
	}
	if said := onHost(t, p.panel, "ls /root/own"); strings.Contains(said, "executed") {
		t.Error("a value was executed")
	}
	// The name servers of the zone are ours where we have any.
	p.batch(t, "record add example.org NS ns1.example.net.\nrecord add example.org NS ns2.example.net.\n")
	p.wantRecords(t, "example.org", wantedIn(t, strings.TrimSuffix(p.run(t, 0, "domain zone example.org -o json"), "exit 0\n")))
	if now := p.zone(t, "example.org").serial; now != before+1 {
		t.Errorf("the provider's serial went from %d to %d: name servers are to be replaced in one update", before, now)
	}
	t.Run("a zone that it signs", func(t *testing.T) {
		p.batch(t, "domain add signed.example --account acme\nrecord add www.signed.example A 203.0.113.9\n")
		p.wantZone(t, "signed.example")
		if !p.zone(t, "signed.example").signed {
			t.Error("it is signed no more")
		}
	})
	t.Run("more than a message holds", func(t *testing.T) {
		onHost(t, p.panel, `for i in {1..1500}; do
			echo "record add r$i.signed.example TXT 'number $i of many that are so long together that no message holds them'"
		done >/root/own/lines`)
		p.run(t, 0, "batch </root/own/lines")
		p.wantZone(t, "signed.example")
	})
	p.run(t, 0, "domain disable signed.example --reason unpaid")
	p.wantRecords(t, "signed.example", []string{"signed.example 300 NS ns.provider.example."})
	p.run(t, 0, "domain enable signed.example")
	p.wantZone(t, "signed.example")
	p.run(t, 0, "account delete acme --yes")
	p.wantRecords(t, "signed.example", []string{"signed.example 300 NS ns.provider.example."})
	if left := p.zone(t, "example.org").records; len(left) != 2 {
		t.Errorf("of a deleted domain there is left:\n%s", strings.Join(left, "\n"))
	}
}

func TestAProviderThatDoesNotTakeAnUpdate(t *testing.T) {
	p := withProvider(t)
	if said := p.run(t, 8, "domain add never.example --account acme"); !strings.Contains(said, p.server.Address+" has no zone never.example") {
		t.Errorf("it does not say that there is no such zone:\n%s", said)
	}
	p.run(t, 3, "domain show never.example")
	p.run(t, 0, "domain add example.org --account acme")
	for _, wrong := range []struct{ how, says string }{
		{"chmod 0640 KEY", "not for root only"},
		{"find KEY -delete", "dns-update.key is missing"},
		{"echo $'192.0.2.12\\nsend' >SERVER", "one host name or one address"},
		{"sed -i 's/secret \".../secret \"AAA/' KEY", "does not accept the key"},
	} {
		onHost(t, p.panel, "cp -p /etc/orchestra/dns-update.* /root/own/; "+
			strings.NewReplacer("KEY", "/etc/orchestra/dns-update.key", "SERVER", "/etc/orchestra/dns-update.server").Replace(wrong.how))
		if said := p.run(t, 8, "record add www.example.org A 203.0.113.9"); !strings.Contains(said, wrong.says) {
			t.Errorf("it does not say %q:\n%s", wrong.says, said)
		}
		onHost(t, p.panel, "cp -p /root/own/dns-update.* /etc/orchestra/")
	}
	p.wantZone(t, "example.org")
	// What somebody has changed there by hand is as here after the next change.
	onHost(t, p.server, "printf '%s\n' 'update add stray.example.org 60 A 203.0.113.66' send | nsupdate -k /etc/bind/provider.key -l")
	if said := p.run(t, 11, "drift --diff"); !strings.Contains(said, "stray.example.org. 60 IN A 203.0.113.66") {
		t.Errorf("the comparison does not show the record:\n%s", said)
	}
	p.run(t, 0, "record add www.example.org A 203.0.113.9")
	p.wantZone(t, "example.org")
	// The provider is down: what is decided stays so, and is told later.
	onHost(t, p.server, "systemctl stop named")
	p.run(t, 0, "record add later.example.org A 203.0.113.9 --dry-run")
	if said := p.run(t, 9, "record add later.example.org A 203.0.113.9"); !strings.Contains(said, "does not answer") {
		t.Errorf("it does not say why:\n%s", said)
	}
	p.run(t, 0, "record show 'later.example.org A 203.0.113.9'")
	onHost(t, p.server, "systemctl start named")
	p.run(t, 0, "recover")
	p.wantZone(t, "example.org")
}

package dns_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/nouns/accounts"
	"orchestra/pkg/nouns/dns"
	"orchestra/pkg/nouns/nountest"
	"orchestra/pkg/nouns/servers"
	"orchestra/pkg/settings"
	"orchestra/pkg/store"
)

// newPanel is a panel with two accounts and name servers in its settings.
func newPanel(t testing.TB) *nountest.Panel {
	backends := func() ([]servers.Backend, error) { return nil, nil }
	p := nountest.New(t, slices.Concat(accounts.Nouns(nil), dns.Nouns(), servers.Nouns(backends)), func(s *settings.Settings) {
		s.DNS.Nameservers = []string{"ns1.example.net", "ns2.example.net"}
	})
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("account", noun.Values{"name": "other"}))
	return p
}

func domain(name, account string) func(context.Context, noun.Planner) error {
	return nountest.Add("domain", noun.Values{"name": name, "account": account})
}

func record(text string) func(context.Context, noun.Planner) error {
	return nountest.Add("record", noun.Values{"name": text})
}

// zoneText returns the zone file of a domain, as it is served.
func zoneText(t testing.TB, p *nountest.Panel, name string) string {
	return printed(t, p, "zone", name)
}

// printed returns what a verb prints of a domain.
func printed(t testing.TB, p *nountest.Panel, verb, name string) string {
	t.Helper()
	var text string
	err := p.Store.View(context.Background(), func(tx *store.Tx) error {
		n := tx.Noun("domain")
		row, err := tx.Find(context.Background(), "domain", name)
		if err != nil {
			return err
		}
		shown := n.Verbs[slices.IndexFunc(n.Verbs, func(v noun.Verb) bool { return v.Name == verb })]
		table, err := shown.Show(context.Background(), tx, row, nil)
		text = table.Text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDomainsFormATree(t *testing.T) {
	p := newPanel(t)
	zoneOf := func(name string) string {
		id := p.Find("domain", name).Int("zone")
		for _, other := range []string{"example.org", "b.example.org", "a.b.example.org"} {
			if id != 0 && p.Exists("domain", other) && p.Find("domain", other).ID == id {
				return other
			}
		}
		return ""
	}
	p.Run(domain("a.b.example.org", "acme"))
	p.Run(domain("b.example.org", "acme"))
	if got := zoneOf("a.b.example.org"); got != "b.example.org" {
		t.Errorf("a new domain did not take the one below it: %q", got)
	}
	p.Run(domain("example.org", "acme"))
	if a, b := zoneOf("a.b.example.org"), zoneOf("b.example.org"); a != "example.org" || b != "example.org" {
		t.Errorf("the zones are %q and %q", a, b)
	}
	p.Refused(fault.Conflict, domain("c.example.org", "other"))
	p.Refused(fault.Conflict, nountest.Set("domain", "b.example.org", noun.Values{"account": "other"}))
	p.Run(record("www.b.example.org A 192.0.2.1"))
	// Each that is left without the one above it is a zone again, or in the next.
	p.Run(nountest.Delete("domain", "example.org"))
	if a, b := zoneOf("a.b.example.org"), zoneOf("b.example.org"); a != "b.example.org" || b != "" {
		t.Errorf("after the deletion the zones are %q and %q", a, b)
	}
	if text := zoneText(t, p, "a.b.example.org"); !strings.HasPrefix(text, "b.example.org.\t") || !strings.Contains(text, "www.b.example.org.\t3600\tIN\tA\t192.0.2.1\n") {
		t.Error(text)
	}
	// A whole tree goes to another account.
	p.Run(nountest.Set("domain", "b.example.org", noun.Values{"account": "other"}))
	if p.Find("domain", "a.b.example.org").Int("account") != p.Find("account", "other").ID {
		t.Error("the domain below stayed")
	}
	p.Run(domain("x.example.com", "other"))
	p.Refused(fault.Conflict, domain("example.com", "acme"))
}

func TestNamesThatNobodyMayHave(t *testing.T) {
	p := newPanel(t)
	p.Settings.DNS.Reserved = []string{"internal.example"}
	p.Run(nountest.Add("server", noun.Values{"name": "h11", "address": "web.provider.example", "host_key": []string{
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"}}))
	for _, name := range []string{"co.uk", "github.io", "x.internal.example", "internal.example", "web.provider.example", "a.web.provider.example"} {
		p.Refused(fault.Invalid, domain(name, "acme"))
	}
	for _, name := range []string{"provider.example", "2.0.192.in-addr.arpa", "münchen.example"} {
		p.Run(domain(name, "acme"))
	}
	if !p.Exists("domain", "xn--mnchen-3ya.example") {
		t.Error("a name in letters of its language is not kept as A-labels")
	}
}

func TestRecordsOfNamesThatAreReserved(t *testing.T) {
	p := newPanel(t)
	p.Run(nountest.Add("server", noun.Values{"name": "h11", "address": "web.provider.example", "host_key": []string{
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"}}))
	p.Run(domain("corp.example", "acme"))
	p.Run(domain("provider.example", "acme"))
	p.Settings.DNS.Reserved = []string{"internal.corp.example"}
	for _, owner := range []string{"internal.corp.example", "x.internal.corp.example", "*.internal.corp.example"} {
		p.Refused(fault.Invalid, record(owner+" A 192.0.2.1"))
	}
	if warnings := p.Run(record("xinternal.corp.example A 192.0.2.1")).Warnings; len(warnings) > 0 {
		t.Errorf("warned of %v", warnings)
	}
	// A server's name is somebody's to declare, and is not declared unawares.
	if warnings := p.Run(record("web.provider.example A 192.0.2.11")).Warnings; len(warnings) != 1 || !strings.Contains(warnings[0].String(), "server h11") {
		t.Errorf("warned of %v", warnings)
	}
}

func TestTheSerialNeverGoesBack(t *testing.T) {
	p := newPanel(t)
	serial := func() int64 { return p.Find("domain", "example.org").Int("serial") }
	p.Run(domain("example.org", "acme"))
	first := serial()
	if first != 2026112300 {
		t.Errorf("the first serial is %d", first)
	}
	// More changes than a day has numbers.
	last := first
	for i := range 120 {
		p.Run(record("www.example.org A 192.0.2." + noun.Integer{}.Format(int64(i+1))))
		if now := serial(); now < last+2 {
			t.Fatalf("after %d came %d: no number is left for an undo", last, now)
		} else {
			last = now
		}
	}
	// A change that fails uses its numbers up; a domain that comes again goes on.
	p.Run(nountest.Delete("domain", "example.org"))
	p.Run(domain("example.org", "acme"))
	if serial() <= last {
		t.Errorf("the new domain begins with %d after %d", serial(), last)
	}
	p.Now = p.Now.Add(400 * 24 * time.Hour)
	p.Run(record("www.example.org A 192.0.2.1"))
	if serial() != 2027122800 {
		t.Errorf("on the next day it is %d", serial())
	}
	// What changes nothing in the zone is no new version of it.
	last = serial()
	p.Refused(fault.Conflict, record("www.example.org A 192.0.2.1"))
	if serial() != last {
		t.Error("a refused change gave a new serial")
	}
}

func TestWhatAZoneMayNotHold(t *testing.T) {
	for _, test := range []struct {
		there, refused string
		kind           fault.Kind
	}{
		{"www A 192.0.2.1", "www CNAME x", fault.Conflict},
		{"www CNAME x", "www CNAME y", fault.Conflict},
		{"www CNAME x", "www TXT text", fault.Conflict},
		{"", "@ CNAME x", fault.Conflict},
		{"mail CNAME x", "@ MX 10 mail", fault.Conflict},
		{"", "@ MX 10 mail", fault.Conflict},
		{"ns CNAME x", "sub NS ns", fault.Conflict},
		{"", "sub NS ns.sub", fault.Conflict},
		{"sub NS ns.example.net.", "www.sub TXT text", fault.Conflict},
		{"", "sub DS 60485 13 2 " + strings.Repeat("ab", 32), fault.Conflict},
		{"www A 192.0.2.1", "www A 192.0.2.1", fault.Conflict},
		{"", "@ MX 10 mail.example.org", fault.Invalid},
		{"", "@ MX 10 mail.example.com", fault.Invalid},
		{"", "www SRV 1 2 3 192.0.2.1", fault.Invalid},
		{"", "www CNAME www", fault.Invalid},
	} {
		t.Run(test.there+" / "+test.refused, func(t *testing.T) {
			p := newPanel(t)
			p.Run(domain("example.org", "acme"))
			full := func(text string) string {
				owner, rest, _ := strings.Cut(text, " ")
				if owner == "@" {
					return "example.org " + rest
				}
				return owner + ".example.org " + rest
			}
			if test.there != "" {
				p.Run(record(full(test.there)))
			}
			before := zoneText(t, p, "example.org")
			p.Refused(test.kind, record(full(test.refused)))
			if after := zoneText(t, p, "example.org"); after != before {
				t.Errorf("the zone is another one:\n%s", after)
			}
		})
	}
}

func TestADelegationHasItsGlue(t *testing.T) {
	p := newPanel(t)
	p.Run(domain("example.org", "acme"))
	p.Run(func(ctx context.Context, plan noun.Planner) error { // in one operation, whichever comes first
		for _, text := range []string{"sub.example.org NS ns.sub", "ns.sub.example.org A 192.0.2.53", "sub.example.org DS 60485 13 2 " + strings.Repeat("AB", 32)} {
			if err := record(text)(ctx, plan); err != nil {
				return err
			}
		}
		return nil
	})
	p.Refused(fault.Conflict, nountest.Delete("record", "ns.sub.example.org A 192.0.2.53"))
	p.Run(nountest.Delete("record", "sub.example.org DS 60485 13 2 "+strings.Repeat("ab", 32)))
}

func TestRecordsAreFoundHoweverTheyAreWritten(t *testing.T) {
	p := newPanel(t)
	p.Run(domain("example.org", "acme"))
	p.Run(record("WWW.Example.ORG. cname web"))
	for _, written := range []string{"www.example.org CNAME web", "www.example.org CNAME web.example.org.", "www.example.org CNAME WEB.example.org."} {
		if !p.Exists("record", written) {
			t.Errorf("%q is not found", written)
		}
	}
	for written, kept := range map[string]string{
		`"v=DKIM1; k=rsa; p=MII"`: `v=DKIM1; k=rsa; p=MII`, `"two" "strings"`: `"two" "strings"`, `say "hi"`: `say "hi"`,
		`"\"quotes\""`: `"\"quotes\""`, `"\001"`: `"\001"`, `""`: `""`, `"half`: `"half`, `a\`: `a\`,
	} {
		p.Run(record("example.org TXT " + written))
		if !p.Exists("record", "example.org TXT "+kept) {
			t.Errorf("%s is not kept as %s", written, kept)
		}
	}
	p.Refused(fault.Invalid, record("www.example.com A 192.0.2.1"))
}

func TestAReplacedRecordKeepsItsTimeToLive(t *testing.T) {
	p := newPanel(t)
	p.Run(domain("example.org", "acme"))
	p.Run(nountest.Add("record", noun.Values{"name": "www.example.org A 192.0.2.1", "ttl": int64(60)}))
	p.Run(nountest.Verb("record", "replace", "www.example.org A 192.0.2.1", noun.Values{"with": "192.0.2.2"}))
	if p.Exists("record", "www.example.org A 192.0.2.1") || p.Find("record", "www.example.org A 192.0.2.2").Int("ttl") != 60 {
		t.Error(zoneText(t, p, "example.org"))
	}
}

func TestAZoneFileIsInTheFormThatEveryServerReads(t *testing.T) {
	p := newPanel(t)
	p.Run(domain("example.org", "acme"))
	p.Run(record(`example.org HTTPS 1 . alpn="h2,h3" no-default-alpn port=8443 ipv4hint=192.0.2.1`))
	p.Run(record(`_dns.example.org SVCB 1 svc.example.net. port="53"`))
	text := zoneText(t, p, "example.org")
	for _, line := range []string{
		"example.org.\t3600\tIN\tHTTPS\t1 . alpn=\"h2,h3\" no-default-alpn port=8443 ipv4hint=\"192.0.2.1\"\n",
		"_dns.example.org.\t3600\tIN\tSVCB\t1 svc.example.net. port=53\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is missing in:\n%s", line, text)
		}
	}
}

func TestDefaultsComeWhereANameDeclaresNone(t *testing.T) {
	p := newPanel(t)
	p.Settings.DNS.MX, p.Settings.DNS.A = []string{"10 mail.example.net"}, []string{"192.0.2.80"}
	p.Run(domain("example.org", "acme"))
	p.Run(domain("www.example.org", "acme"))
	p.Run(domain("alias.example.org", "acme"))
	p.Run(record("alias.example.org CNAME www"))
	p.Run(record("www.example.org AAAA 2001:db8::1"))
	text := zoneText(t, p, "example.org")
	for _, line := range []string{
		"example.org.\t3600\tIN\tMX\t10 mail.example.net.\n", "example.org.\t3600\tIN\tA\t192.0.2.80\n",
		"www.example.org.\t3600\tIN\tMX\t10 mail.example.net.\n", "www.example.org.\t3600\tIN\tAAAA\t2001:db8::1\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is missing in:\n%s", line, text)
		}
	}
	if strings.Contains(text, "www.example.org.\t3600\tIN\tA\t") || strings.Count(text, "alias.example.org.") != 1 {
		t.Errorf("defaults where something is declared:\n%s", text)
	}
}

func TestADisabledDomainBelowAZoneIsNotServed(t *testing.T) {
	p := newPanel(t)
	p.Settings.DNS.A = []string{"192.0.2.80"}
	p.Run(domain("example.org", "acme"))
	p.Run(domain("shop.example.org", "acme"))
	p.Run(record("www.shop.example.org A 192.0.2.1"))
	served := zoneText(t, p, "example.org")
	serial := p.Find("domain", "example.org").Int("serial")
	p.Run(nountest.Set("domain", "shop.example.org", noun.Values{"disabled": []string{"sysadmin"}}))
	if text := zoneText(t, p, "example.org"); strings.Contains(text, "shop.") {
		t.Errorf("it is still served:\n%s", text)
	}
	disabled := p.Find("domain", "example.org").Int("serial")
	if disabled <= serial {
		t.Error("no name server is told of it")
	}
	p.Run(nountest.Set("domain", "shop.example.org", noun.Values{"disabled": []string{}}))
	if text := zoneText(t, p, "example.org"); withoutSOA(text) != withoutSOA(served) || p.Find("domain", "example.org").Int("serial") <= disabled {
		t.Errorf("enabled again it is not what it was:\n%s", text)
	}
}

// withoutSOA returns the records of a zone file of ours behind the SOA record.
func withoutSOA(text string) string {
	_, rest, _ := strings.Cut(text, "; minimum\n")
	return rest
}

func TestAZoneIsReadInAsManyStatementsForAnyNumberOfRecords(t *testing.T) {
	p := newPanel(t)
	p.Run(domain("example.org", "acme"))
	count := func() int {
		before := p.Statements
		zoneText(t, p, "example.org")
		return p.Statements - before
	}
	few := count()
	p.Run(func(ctx context.Context, plan noun.Planner) error {
		for i := range 200 {
			if err := record("h"+noun.Integer{}.Format(int64(i))+".example.org A 192.0.2.1")(ctx, plan); err != nil {
				return err
			}
		}
		return nil
	})
	if many := count(); many != few {
		t.Errorf("%d statements for 200 records, %d for none", many, few)
	}
}

func TestWhoseATreeIsIsClaimed(t *testing.T) {
	p := newPanel(t)
	var claim func(noun.Change) []string
	_ = p.Store.View(context.Background(), func(tx *store.Tx) error { claim = tx.Noun("domain").Claims; return nil })
	outcome := p.Run(domain("b.example.org", "acme"))
	below := p.Run(domain("a.b.example.org", "acme"))
	if one, two := claim(outcome.Changes[len(outcome.Changes)-1]), claim(below.Changes[0]); !slices.Equal(one, []string{"example.org"}) || !slices.Equal(two, one) {
		t.Errorf("the claims are %q and %q: two accounts could share a tree", one, two)
	}
	// A change within the zone claims nothing of the tree.
	for _, change := range p.Run(record("www.b.example.org A 192.0.2.1")).Changes {
		if change.Noun == "domain" && len(claim(change)) > 0 {
			t.Errorf("a record claims %q", claim(change))
		}
	}
}

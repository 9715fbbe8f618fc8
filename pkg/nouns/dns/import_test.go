package dns_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/nouns/nountest"
)

// withDefaults is a panel whose settings give names that declare nothing all that they can.
func withDefaults(t *testing.T) *nountest.Panel {
	p := newPanel(t)
	p.Settings.DNS.MX, p.Settings.DNS.A, p.Settings.DNS.AAAA = []string{"10 mail.example.net"}, []string{"192.0.2.80"}, []string{"2001:db8::80"}
	return p
}

// recordNames returns what all records are called.
func recordNames(p *nountest.Panel) []string {
	var names []string
	p.View(func(ctx context.Context, view noun.View) error {
		rows, err := view.Select(ctx, "record")
		for _, row := range rows {
			names = append(names, row.Text("name"))
		}
		return err
	})
	return names
}

// changed returns which records an operation changed.
func changed(outcome nountest.Outcome) []string {
	var all []string
	for _, change := range outcome.Changes {
		if change.Noun == "record" {
			all = append(all, change.Name)
		}
	}
	return all
}

// withDomains makes example.org with domains below it, one of them disabled.
func withDomains(p *nountest.Panel) {
	for _, name := range []string{"example.org", "shop.example.org", "old.example.org"} {
		p.Run(domain(name, "acme"))
	}
	for _, text := range []string{"www.example.org CNAME shop", "shop.example.org A 192.0.2.1", "a.shop.example.org TXT text", "old.example.org TXT text"} {
		p.Run(record(text))
	}
	p.Run(nountest.Set("domain", "old.example.org", noun.Values{"disabled": []string{"sysadmin"}}))
}

func TestAnExportHoldsWhatWasDeclared(t *testing.T) {
	p := withDefaults(t)
	withDomains(p)
	want := "a.shop.example.org.\t3600\tIN\tTXT\t\"text\"\n"
	exported, served := printed(t, p, "export", "shop.example.org"), zoneText(t, p, "example.org")
	if !strings.HasPrefix(exported, "example.org.\t3600\tIN\tSOA\tns1.example.net. ") || !strings.Contains(exported, want) || !strings.Contains(served, want) {
		t.Errorf("exported:\n%s\nserved:\n%s", exported, served)
	}
	if !strings.Contains(exported, "\nold.example.org.") || strings.Contains(served, "\nold.example.org.") {
		t.Error("what is disabled was declared, and is not served")
	}
	for _, usual := range []string{"\tNS\t", "\tMX\t", "\tAAAA\t", "192.0.2.80"} {
		if strings.Contains(exported, usual) || !strings.Contains(served, usual) {
			t.Errorf("%q: what the settings give is served, and was not declared", usual)
		}
	}
}

func TestWhatIsPrintedIsImportedAgainAsItIs(t *testing.T) {
	for _, verb := range []string{"zone", "export"} {
		for _, replace := range []bool{false, true} {
			t.Run(fmt.Sprint(verb, replace), func(t *testing.T) {
				p := withDefaults(t)
				withDomains(p)
				if verb == "zone" && replace { // it takes away what is not served
					p.Run(nountest.Delete("domain", "old.example.org"))
				}
				served := zoneText(t, p, "example.org")
				outcome := p.Run(importZone(p, printed(t, p, verb, "example.org"), "example.org", noun.Values{"replace": replace}))
				if records := changed(outcome); len(records) > 0 {
					t.Errorf("records were changed: %q", records)
				}
				for _, field := range []string{"mname", "rname", "refresh", "ttl"} {
					if value, has := p.Find("domain", "example.org").Values[field]; has {
						t.Errorf("%s is %v: what the settings say is the domain's own now", field, value)
					}
				}
				if now := zoneText(t, p, "example.org"); withoutSOA(now) != withoutSOA(served) {
					t.Errorf("want:\n%s\ngot:\n%s", served, now)
				}
			})
		}
	}
}

func TestAnImportMakesNoRecordsOfWhatTheSettingsGive(t *testing.T) {
	const head = "@ 3600 IN SOA ns1.example.net. hostmaster.example.org. 1 86400 7200 2419200 3600\n"
	const names = "@ IN NS ns1.example.net.\n@ IN NS ns2.example.net.\n"
	for _, test := range []struct {
		what, text string
		want       []string
	}{
		{"all of it", names + "@ IN MX 10 mail.example.net.\n@ IN A 192.0.2.80\n@ IN AAAA 2001:db8::80\n", nil},
		{"another time to live", "@ 60 IN MX 10 mail.example.net.\n", []string{"example.org MX 10 mail.example.net."}},
		{"one more", names + "@ IN NS ns3.example.net.\n", []string{"example.org NS ns1.example.net.", "example.org NS ns2.example.net.", "example.org NS ns3.example.net."}},
		{"one address", "@ IN A 192.0.2.80\n", []string{"example.org A 192.0.2.80"}},
		{"no domain", "www IN A 192.0.2.80\nwww IN AAAA 2001:db8::80\n", []string{"www.example.org A 192.0.2.80", "www.example.org AAAA 2001:db8::80"}},
		{"twice", "www IN A 192.0.2.1\nwww IN A 192.0.2.1\n", []string{"www.example.org A 192.0.2.1"}},
	} {
		t.Run(test.what, func(t *testing.T) {
			p := withDefaults(t)
			p.Run(importZone(p, head+test.text, "example.org", noun.Values{"account": "acme"}))
			if got := recordNames(p); !slices.Equal(got, test.want) {
				t.Errorf("the records are %q, want %q", got, test.want)
			}
		})
	}
	// What is declared already would take the place of what the settings give.
	p := withDefaults(t)
	p.Run(domain("example.org", "acme"))
	p.Run(record("example.org AAAA 2001:db8::1"))
	p.Run(importZone(p, head+"@ IN A 192.0.2.80\n@ IN AAAA 2001:db8::80\n", "example.org", nil))
	if !p.Exists("record", "example.org A 192.0.2.80") || !p.Exists("record", "example.org AAAA 2001:db8::80") {
		t.Errorf("the records are %q", recordNames(p))
	}
}

func TestReplaceTakesAwayBelowToo(t *testing.T) {
	p := withDefaults(t)
	withDomains(p)
	text := printed(t, p, "export", "example.org")
	p.Run(record("b.shop.example.org A 192.0.2.9"))
	outcome := p.Run(importZone(p, text, "example.org", noun.Values{"replace": true}))
	if got := changed(outcome); !slices.Equal(got, []string{"b.shop.example.org A 192.0.2.9"}) || p.Exists("record", got[0]) {
		t.Errorf("changed: %q", got)
	}
}

func TestAnImportGoesToTheAccountThatIsAskedFor(t *testing.T) {
	p := newPanel(t)
	p.Run(domain("example.org", "acme"))
	const text = "www 60 IN A 192.0.2.1\n"
	p.Refused(fault.Conflict, importZone(p, text, "example.org", noun.Values{"account": "other"}))
	p.Run(importZone(p, text, "example.org", noun.Values{"account": "acme"}))
}

func TestSerialNumbersHaveAnEnd(t *testing.T) {
	text := func(serial int64) string {
		return fmt.Sprintf("@ 3600 IN SOA ns1.example.net. hostmaster.example.org. %d 1 1 1 1\n", serial)
	}
	const last = 1<<32 - 1
	p := newPanel(t)
	p.Refused(fault.Invalid, importZone(p, text(last), "example.org", noun.Values{"account": "acme"}))
	p.Refused(fault.Invalid, importZone(p, text(last-999_999), "example.org", noun.Values{"account": "acme"}))
	p.Run(importZone(p, text(last-1_000_000), "example.org", noun.Values{"account": "acme"}))
	p.Run(record("www.example.org A 192.0.2.1"))
	// What a slave is told is never more than what a zone file can hold.
	p.Run(func(ctx context.Context, plan noun.Planner) error {
		_, err := plan.Number(ctx, "serial.example.org", last-2)
		return err
	})
	p.Run(record("www.example.org A 192.0.2.2"))
	if serial := p.Find("domain", "example.org").Int("serial"); serial != last-1 || !strings.Contains(zoneText(t, p, "example.org"), "4294967294 ; serial") {
		t.Errorf("the serial number is %d", serial)
	}
	p.Refused(fault.Conflict, record("www.example.org A 192.0.2.3"))
}

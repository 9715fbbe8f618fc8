package dns_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"orchestra/pkg/noun"
	"orchestra/pkg/nouns/nountest"
	"orchestra/pkg/store"
)

// importZone takes a zone file over, as the command does.
func importZone(p *nountest.Panel, text, name string, options noun.Values) func(context.Context, noun.Planner) error {
	return func(ctx context.Context, plan noun.Planner) error {
		n := plan.Noun("domain")
		verb := n.Verbs[slices.IndexFunc(n.Verbs, func(v noun.Verb) bool { return v.Name == "import" })]
		values := noun.Values{"source": "zone", "name": name}
		for key, value := range options {
			values[key] = value
		}
		gathered, err := verb.Gather(ctx, values, func(string) ([]byte, error) { return []byte(text), nil })
		if err != nil {
			return err
		}
		return verb.Plan(ctx, plan, noun.Row{}, gathered)
	}
}

// compiled returns a zone file as BIND understands it: sorted, in one form. It
// fails the test where named-compilezone refuses the file.
func compiled(t *testing.T, name, text string) string {
	t.Helper()
	path, err := exec.LookPath("named-compilezone")
	if err != nil {
		t.Fatalf("named-compilezone is missing (Debian: bind9-utils): %v", err)
	}
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	command := exec.Command(path, "-q", "-k", "ignore", "-i", "local", "-s", "full", "-o", "-", name, file)
	command.Stdout, command.Stderr = &out, &said
	if err := command.Run(); err != nil {
		t.Fatalf("named-compilezone: %v\n%s%s\n%s", err, out.String(), said.String(), text)
	}
	return out.String()
}

func TestRealZonesComeBackAsTheyWere(t *testing.T) {
	files, err := filepath.Glob("testdata/zones/*.zone")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d zones: %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".zone")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := newPanel(t)
			p.Run(importZone(p, string(text), name, noun.Values{"account": "acme"}))
			exported := zoneText(t, p, name)
			want, got := withoutSerial(compiled(t, name, string(text))), withoutSerial(compiled(t, name, exported))
			if want != got {
				t.Errorf("want:\n%s\ngot:\n%s", want, got)
			}
			if records := strings.Count(want, "\n"); records < 190 {
				t.Errorf("only %d records", records)
			}
			// Again, nothing changes, not even the serial.
			again := p.Run(importZone(p, exported, name, nil))
			for _, change := range again.Changes {
				if change.Noun == "record" {
					t.Errorf("imported again: %s", change.Name)
				}
			}
		})
	}
}

// withoutSerial blanks the serial number, which is ours.
func withoutSerial(text string) string {
	first, rest, _ := strings.Cut(text, "\n")
	words := strings.Fields(first)
	if len(words) > 6 {
		words[6] = "SERIAL"
	}
	return strings.Join(words, " ") + "\n" + rest
}

func TestAnImportedZoneIsNewerThanWhatItsSlavesKnow(t *testing.T) {
	p := newPanel(t)
	text := "@ 3600 IN SOA ns1.example.net. first\\.last.example.net. 2031010199 7200 900 1209600 300\n@ IN NS ns1.example.net.\nwww 60 IN A 192.0.2.1\n"
	p.Run(importZone(p, text, "example.org", noun.Values{"account": "acme"}))
	row := p.Find("domain", "example.org")
	if row.Int("serial") <= 2031010199 {
		t.Errorf("the serial is %d", row.Int("serial"))
	}
	if row.Text("rname") != "first.last@example.net" || row.Int("refresh") != 7200 || row.Int("minimum") != 300 {
		t.Errorf("the SOA record says something else: %v", row.Values)
	}
	if text := zoneText(t, p, "example.org"); !strings.Contains(text, `first\.last.example.net.`) || !strings.Contains(text, "www.example.org.\t60\tIN\tA\t192.0.2.1") {
		t.Error(text)
	}
	// --replace takes away what the source does not have.
	p.Run(record("old.example.org A 192.0.2.9"))
	p.Run(importZone(p, text, "example.org", noun.Values{"replace": true}))
	if p.Exists("record", "old.example.org A 192.0.2.9") || !p.Exists("record", "www.example.org A 192.0.2.1") {
		t.Error("--replace does not make the zone the source's")
	}
}

func TestWhatNoImportTakes(t *testing.T) {
	p := newPanel(t)
	const head = "@ 3600 IN SOA ns1.example.net. root.example.net. 1 7200 900 1209600 300\n@ IN NS ns1.example.net.\n"
	for what, text := range map[string]string{
		"$INCLUDE":         head + "$INCLUDE /etc/passwd\n",
		"out of the zone":  head + "www.example.com. IN A 192.0.2.1\n",
		"unknown type":     head + "x IN TYPE65534 \\# 1 00\n",
		"no zone file":     "<html>",
		"too many records": head + "$GENERATE 1-65535 a$ A 192.0.2.1\n$GENERATE 1-65535 b$ A 192.0.2.1\n$GENERATE 1-65535 c$ A 192.0.2.1\n$GENERATE 1-65535 d$ A 192.0.2.1\n",
	} {
		if _, err := p.Try(importZone(p, text, "example.org", noun.Values{"account": "acme"})); err == nil {
			t.Errorf("%s was imported", what)
		}
	}
	if p.Exists("domain", "example.org") {
		t.Error("a domain is left of a refused import")
	}
}

// FuzzRecords checks that whatever is accepted as a record comes to a zone that
// BIND accepts, and in which it says the same.
func FuzzRecords(f *testing.F) {
	for _, seed := range []string{
		"www.example.org A 192.0.2.1", "example.org TXT say \"hi\" \\ ; ( $", "x.example.org CAA 0 issue \"ca.example; a=b\"",
		"_sip._tcp.example.org SRV 10 60 5060 sip.example.net.", "*.example.org CNAME a", "h.example.org HTTPS 1 . alpn=\"h2\"",
		"n.example.org NAPTR 100 10 \"S\" \"SIP+D2U\" \"\" _sip._udp.example.net.", "example.org TXT \"a\" \"b\"", "t.example.org TXT \x80ü",
	} {
		f.Add(seed)
	}
	p := newPanel(f)
	p.Run(domain("example.org", "acme"))
	checkzone, _ := exec.LookPath("named-checkzone")
	f.Fuzz(func(t *testing.T, text string) {
		var zone, value string
		err := p.Store.Update(context.Background(), func(tx *store.Tx) error {
			_, err := tx.Plan(context.Background(), func(ctx context.Context, plan *store.Planner) error {
				row, err := plan.Add(ctx, "record", noun.Values{"name": text})
				if err != nil {
					return err
				}
				value = row.Text("type") + " " + row.Text("value")
				n := plan.Noun("domain")
				verb := n.Verbs[slices.IndexFunc(n.Verbs, func(v noun.Verb) bool { return v.Name == "zone" })]
				apex, err := plan.Find(ctx, "domain", "example.org")
				if err != nil {
					return err
				}
				table, err := verb.Show(ctx, plan, apex, nil)
				zone = table.Text
				// Found again by its own name, in its one form.
				if again, err := plan.Find(ctx, "record", row.Text("name")); err != nil || again.ID != row.ID {
					return fmt.Errorf("%w: %q is not found again: %v", errBroken, row.Text("name"), err)
				}
				return err
			})
			if err == nil {
				err = errUndo
			}
			return err
		})
		if err != nil && !strings.Contains(err.Error(), errUndo.Error()) {
			if strings.Contains(err.Error(), errBroken.Error()) {
				t.Fatal(err)
			}
			return // refused
		}
		if checkzone == "" {
			return
		}
		file := filepath.Join(t.TempDir(), "zone")
		if err := os.WriteFile(file, []byte(zone), 0o600); err != nil {
			t.Fatal(err)
		}
		if said, err := exec.Command(checkzone, "-k", "ignore", "-i", "local", "example.org", file).CombinedOutput(); err != nil {
			t.Fatalf("%q (%s) is accepted, and named-checkzone refuses the zone: %s\n%s", text, value, said, zone)
		}
	})
}

var (
	errUndo   = fmt.Errorf("looked only")
	errBroken = fmt.Errorf("broken")
)

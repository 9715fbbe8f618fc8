package backends_test

import (
	"maps"
	"strings"
	"testing"

	"orchestra/pkg/backend"
	"orchestra/pkg/noun"
)

func catalogue(t *testing.T) *backend.Catalogue {
	t.Helper()
	all, err := backend.Load("")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Masters and slaves share what they do on a server, and a server may be both.
func TestMastersAndSlavesDoTheSame(t *testing.T) {
	master, slave := catalogue(t).Backend("bind9-master"), catalogue(t).Backend("bind9-slave")
	if slave.Acts == "" || slave.Acts != master.Acts || slave.Setup == "" || slave.Setup != master.Setup {
		t.Error("the scripts of bind9-master and bind9-slave differ")
	}
}

func zoneFacts(changes noun.Facts) noun.Facts {
	all := noun.Facts{
		"zone": true, "active": true, "text": noun.Content("example.org. SOA (\n\t7 ; serial\n"), "serial": int64(7), "dnssec": false, "signing_ahead": int64(1000),
		"transfer": []string{}, "transfer_key": "orchestra", "transfer_secret": noun.Confidential("c2VjcmV0"),
		"addresses_bind9-slave": []string{"192.0.2.12", "2001:db8::13"}, "addresses_bind9-master": []string{"192.0.2.11"},
		"addresses_powerdns": []string{},
	}
	maps.Copy(all, changes)
	return all
}

func zoneObject(action string, now, before noun.Facts) backend.Object {
	return backend.Object{Action: action, Noun: "domain", ID: 7, Name: "example.org", Facts: now, Before: before}
}

func TestWhatZonesDeclare(t *testing.T) {
	backends := catalogue(t)
	gone := []string{"absent /etc/bind/orchestra.zones/example.org", "refresh load_zones example.org",
		"act leftovers example.org probe_leftovers remove_leftovers nothing later"}
	for _, one := range []struct {
		backend, name string
		object        backend.Object
		has           []string
		without       []string
	}{
		{"bind9-master", "a new one", zoneObject("save", zoneFacts(nil), nil), []string{
			"file /var/lib/bind/orchestra/example.org.zone root bind 0640 \x100\x11 grows ; serial\n",
			`also-notify { 192.0.2.12 key "orchestra"; 2001:db8::13 key "orchestra"; }; notify explicit;`,
			`allow-transfer { key "orchestra"; }; `, "file /etc/bind/orchestra.d/key.conf root bind 0640 key", "};\n secret\n", "refresh load_zones example.org",
		}, []string{"absent", "act"}},
		{"bind9-master", "its records changed", zoneObject("save", zoneFacts(nil), zoneFacts(noun.Facts{"serial": int64(6)})),
			[]string{"refresh load_zones example.org", "grows ; serial\n"}, nil},
		{"bind9-master", "it is to be signed", zoneObject("save", zoneFacts(noun.Facts{"dnssec": true}), zoneFacts(nil)),
			[]string{"; to be signed\n\x100\x11 grows ; serial 1000", "inline-signing yes; ", `dnssec-policy "orchestra"; `, "refresh load_zones"}, nil},
		{"bind9-master", "one slave more", zoneObject("save", zoneFacts(nil), zoneFacts(noun.Facts{"addresses_bind9-slave": []string{"192.0.2.12"}})),
			[]string{"also-notify { 192.0.2.12 key", "refresh load_zones"}, nil},
		{"bind9-master", "others may transfer", zoneObject("save", zoneFacts(noun.Facts{"transfer": []string{"192.0.2.99", "2001:db8::1"}}), nil),
			[]string{`allow-transfer { key "orchestra"; 192.0.2.99/32; 2001:db8::1/128; };`, "192.0.2.99; 2001:db8::1; };"}, nil},
		{"bind9-master", "no slaves", zoneObject("save", zoneFacts(noun.Facts{"addresses_bind9-slave": []string{}}), nil),
			[]string{`allow-transfer { key "orchestra"; }; notify explicit;`}, nil},
		{"bind9-master", "disabled", zoneObject("save", zoneFacts(noun.Facts{"active": false}), zoneFacts(nil)),
			append(gone, "absent /var/lib/bind/orchestra/example.org.zone"), []string{"file"}},
		{"bind9-master", "no zone any more", zoneObject("save", zoneFacts(noun.Facts{"zone": false, "text": ""}), zoneFacts(nil)), gone, []string{"file"}},
		{"bind9-master", "deleted", zoneObject("delete", zoneFacts(nil), nil), gone, []string{"file"}},
		{"bind9-slave", "a new one", zoneObject("save", zoneFacts(nil), nil), []string{
			"file /etc/bind/orchestra.zones/example.org root bind 0640 // 7\n{ type secondary;", `primaries { 192.0.2.11 key "orchestra"; };`, "refresh load_zones",
		}, []string{"absent", "act"}},
		{"bind9-slave", "its records changed", zoneObject("save", zoneFacts(nil), zoneFacts(noun.Facts{"serial": int64(6)})),
			[]string{"refresh load_zones example.org"}, nil},
		{"bind9-slave", "another master", zoneObject("save", zoneFacts(noun.Facts{"addresses_powerdns": []string{"192.0.2.14"}}), zoneFacts(nil)),
			[]string{"refresh load_zones", `192.0.2.14 key "orchestra"; };`}, nil},
		{"bind9-slave", "deleted", zoneObject("delete", zoneFacts(nil), nil), gone, []string{"file"}},
	} {
		t.Run(one.backend+" "+one.name, func(t *testing.T) {
			b := backends.Backend(one.backend)
			wantDeclared(t, declared(t, b.Declare, b.Acts, one.object), one.has, one.without)
		})
	}
}

// wantDeclared wants some texts among what is declared, and no line that begins with others.
func wantDeclared(t *testing.T, got string, has, without []string) {
	t.Helper()
	for _, wanted := range has {
		if !strings.Contains(got, wanted) {
			t.Errorf("it does not declare %q:\n%s", wanted, got)
		}
	}
	for _, unwanted := range without {
		if strings.HasPrefix(got, unwanted) || strings.Contains(got, "\n"+unwanted) {
			t.Errorf("it declares %q:\n%s", unwanted, got)
		}
	}
}

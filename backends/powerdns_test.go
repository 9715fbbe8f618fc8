package backends_test

import (
	"testing"

	"orchestra/pkg/backend"
	"orchestra/pkg/noun"
)

func TestWhatZonesDeclareForPowerDNS(t *testing.T) {
	catalogue, err := backend.Load("")
	if err != nil {
		t.Fatal(err)
	}
	b := catalogue.Backend("powerdns")
	gone := []string{"absent /var/lib/orchestra-pdns/zones/example.org", "absent /var/lib/orchestra-pdns/terms/example.org", "refresh load_zones example.org"}
	for _, one := range []struct {
		name    string
		object  backend.Object
		has     []string
		without []string
	}{
		{"a new one", zoneObject("save", zoneFacts(nil), nil), []string{
			"file /var/lib/orchestra-pdns/zones/example.org root root 0600 \x100\x11 grows ; serial\n",
			"0600 TSIG-ALLOW-AXFR orchestra\nALSO-NOTIFY 192.0.2.12\nALSO-NOTIFY 2001:db8::13\n\n",
			"file /var/lib/orchestra-pdns/key root root 0600 orchestra hmac-sha256 ", "\n secret\n", "refresh load_zones example.org",
		}, []string{"absent", "act", "SOA-EDIT", "ALLOW-AXFR-FROM"}},
		{"its records changed", zoneObject("save", zoneFacts(nil), zoneFacts(noun.Facts{"serial": int64(6)})),
			[]string{"grows ; serial\n", "refresh load_zones example.org"}, nil},
		{"it is to be signed", zoneObject("save", zoneFacts(noun.Facts{"dnssec": true}), zoneFacts(nil)),
			[]string{"; to be signed\n\x100\x11 grows ; serial 5000", "\nSOA-EDIT INCREMENT-WEEKS\n"}, nil},
		{"it is not signed any more", zoneObject("save", zoneFacts(nil), zoneFacts(noun.Facts{"dnssec": true})),
			[]string{"0600 \x100\x11 grows ; serial 5000"}, []string{"SOA-EDIT"}},
		{"others may transfer", zoneObject("save", zoneFacts(noun.Facts{"transfer": []string{"192.0.2.99", "2001:db8::1"}}), nil),
			[]string{"ALSO-NOTIFY 192.0.2.99\nALSO-NOTIFY 2001:db8::1\nALLOW-AXFR-FROM 192.0.2.99\nALLOW-AXFR-FROM 2001:db8::1\n"}, nil},
		{"disabled", zoneObject("save", zoneFacts(noun.Facts{"active": false}), zoneFacts(nil)), gone, []string{"file"}},
		{"no zone any more", zoneObject("save", zoneFacts(noun.Facts{"zone": false, "text": ""}), zoneFacts(nil)), gone, []string{"file"}},
		{"deleted", zoneObject("delete", zoneFacts(nil), nil), gone, []string{"file"}},
	} {
		t.Run(one.name, func(t *testing.T) {
			wantDeclared(t, declared(t, b.Declare, b.Acts, one.object), one.has, one.without)
		})
	}
}

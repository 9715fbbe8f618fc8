package dns

import "testing"

// Each value has one form, in which it is found however it was written, and that
// form is its own.
func TestAValueHasOneForm(t *testing.T) {
	for _, test := range []struct{ rtype, written, kept string }{
		{"CNAME", "münchen.example.net.", "xn--mnchen-3ya.example.net."},
		{"CNAME", "MÜNCHEN", "xn--mnchen-3ya.example.org."},
		{"MX", "10 münchen.example.net.", "10 xn--mnchen-3ya.example.net."},
		{"NS", "münchen.example.net.", "xn--mnchen-3ya.example.net."},
		{"PTR", "münchen.example.net.", "xn--mnchen-3ya.example.net."},
		{"SRV", "1 2 3 münchen.example.net.", "1 2 3 xn--mnchen-3ya.example.net."},
		{"SVCB", "1 münchen.example.net. port=1", `1 xn--mnchen-3ya.example.net. port="1"`},
		{"HTTPS", "1 münchen.example.net.", "1 xn--mnchen-3ya.example.net."},
		{"NAPTR", `1 2 "S" "SIP+D2U" "" _sip._udp.münchen.example.net.`, `1 2 "S" "SIP+D2U" "" _sip._udp.xn--mnchen-3ya.example.net.`},
		{"NAPTR", `1 2 "\083" "\065\"" "" .`, `1 2 "S" "A\"" "" .`},
		{"CAA", `0 issue "c\097.example\059"`, `0 issue "ca.example;"`},
		{"SVCB", `1 . alpn=h2 mandatory=port,alpn port=1`, `1 . mandatory="alpn,port" alpn="h2" port="1"`},
		{"HTTPS", `1 . port=1 alpn="h\050,h3"`, `1 . alpn="h2,h3" port="1"`},
	} {
		kept, err := canonicalValue(parts{"www.example.org", test.rtype, test.written}, "example.org")
		if err != nil || kept != test.kept {
			t.Errorf("%s %s is kept as %s, %v; want %s", test.rtype, test.written, kept, err, test.kept)
			continue
		}
		if again, err := canonicalValue(parts{"www.example.org", test.rtype, kept}, "example.org"); err != nil || again != kept {
			t.Errorf("%s %s becomes %s: %v", test.rtype, kept, again, err)
		}
	}
	for _, refused := range []parts{
		{"www.example.org", "SVCB", "1 svc.example.net port=1"},
		{"www.example.org", "NAPTR", `1 2 "S" "SIP+D2U" "" _sip._udp.example.net`},
		{"xn--mnchen-3ya.example.org", "CNAME", "münchen.example.org."},
		{"www.example.org", "CNAME", "pаypal.example.net."}, // its second letter is Cyrillic
	} {
		if kept, err := canonicalValue(refused, "example.org"); err == nil {
			t.Errorf("%s is accepted as %s", refused, kept)
		}
	}
}

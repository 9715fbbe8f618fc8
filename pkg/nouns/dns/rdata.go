package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/value"
)

// recordTypes are the types that records may have.
func recordTypes() []string {
	return []string{"A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SRV", "SSHFP", "SVCB", "TLSA", "TXT"}
}

// recordType returns the canonical form of a type.
func recordType(text string) (string, error) {
	upper := strings.ToUpper(text)
	if slices.Contains(recordTypes(), upper) {
		return upper, nil
	}
	refusal := fault.New(fault.Invalid, "%q is no type of records that can be given", text).About("record.type")
	if upper == "SOA" {
		return "", refusal.WithHint("the SOA record is made of the domain's fields: orchestra domain set --help")
	}
	return "", refusal.WithHint("the types are: %s", strings.Join(recordTypes(), ", "))
}

// checkValue refuses what no value of a record can be.
func checkValue(text string) error {
	_, err := value.Line(text, maxValue)
	return fault.AboutField(err, "record.value")
}

// canonicalValue returns the one form of a record's value: as dig(1) shows it,
// with absolute names; of a TXT record, its text. apex is the zone's name.
func canonicalValue(p parts, apex string) (string, error) {
	record, err := parseRDATA(p, apex)
	if err != nil {
		return "", fault.AboutField(err, "record.value")
	}
	if p.rtype == "TXT" {
		return valueOfStrings(record.(*dns.TXT).Txt), nil
	}
	return rdataOf(record), nil
}

// parseRDATA parses a record's value. Names in it that have no dot at the end
// are relative to apex.
func parseRDATA(p parts, apex string) (dns.RR, error) {
	header := dns.RR_Header{Name: dns.Fqdn(p.owner), Rrtype: dns.StringToType[p.rtype], Class: dns.ClassINET}
	if p.rtype == "TXT" {
		return &dns.TXT{Hdr: header, Txt: stringsOfValue(p.value)}, nil
	}
	if err := checkSyntax(p.value); err != nil {
		return nil, err
	}
	parser := dns.NewZoneParser(strings.NewReader(header.Name+" 0 IN "+p.rtype+" "+p.value+"\n"), dns.Fqdn(apex), "")
	record, ok := parser.Next()
	if err := parser.Err(); err != nil || !ok || record.Header().Rrtype != header.Rrtype || record.Header().Name != header.Name {
		return nil, fault.New(fault.Invalid, "%q is no value of a %s record", excerpt(p.value), p.rtype).WithHint("%s", exampleOf(p.rtype))
	}
	if _, more := parser.Next(); more || parser.Err() != nil {
		return nil, fault.New(fault.Invalid, "%q is more than one record", excerpt(p.value))
	}
	lowerNames(record)
	if err := checkRDATA(p, record, apex); err != nil {
		return nil, err
	}
	return asSent(p, record)
}

// asSent returns a record as it is once it was sent: the one form of what can be
// written in several, such as escapes and the order of parameters.
func asSent(p parts, record dns.RR) (dns.RR, error) {
	message := make([]byte, len(p.value)+1024) // but for one name that may be the zone's, nothing is longer than it is written
	end, err := dns.PackRR(record, message, 0, nil, false)
	if err == nil {
		record, _, err = dns.UnpackRR(message[:end], 0)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "%q is no value of a %s record", excerpt(p.value), p.rtype).WithHint("%s", exampleOf(p.rtype))
	}
	return record, nil
}

// lowerNames puts the names that a record leads to into small letters: names
// are the same in capitals (RFC 4343), and each value is to have one form.
func lowerNames(record dns.RR) {
	for _, name := range targets(record) {
		*name = strings.ToLower(*name)
	}
}

// targets returns the names that a record leads to.
func targets(record dns.RR) []*string {
	switch record := record.(type) {
	case *dns.MX:
		return []*string{&record.Mx}
	case *dns.NS:
		return []*string{&record.Ns}
	case *dns.CNAME:
		return []*string{&record.Target}
	case *dns.PTR:
		return []*string{&record.Ptr}
	case *dns.SRV:
		return []*string{&record.Target}
	case *dns.NAPTR:
		return []*string{&record.Replacement}
	case *dns.SVCB:
		return []*string{&record.Target}
	case *dns.HTTPS:
		return []*string{&record.Target}
	}
	return nil
}

// checkSyntax refuses what has a meaning in zone files beyond one value: comments,
// lines that go on, strings without end.
func checkSyntax(text string) error {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
		case c == '\\':
			return fault.New(fault.Invalid, "it ends with a backslash")
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ';' || c == '(' || c == ')' || c == '$'):
			return fault.New(fault.Invalid, "%q is not possible outside of quotes", string(c))
		}
	}
	if quoted {
		return fault.New(fault.Invalid, "a quote is opened and not closed")
	}
	return nil
}

// maxString is the longest string of a TXT record, in bytes (RFC 1035, 3.3).
const maxString = 255

// characterStrings splits a text into strings, in the escaped form that the
// library keeps.
func characterStrings(text string) []string {
	var all []string
	for len(text) > maxString {
		all, text = append(all, escapeString(text[:maxString])), text[maxString:]
	}
	return append(all, escapeString(text))
}

// stringsOfValue returns the strings of a TXT record. Its value is a text as it
// is, or strings in quotes as zone files have them: "v=DKIM1; p=MII" "GfMA0".
func stringsOfValue(text string) []string {
	if given, quoted := unquoted(text); quoted {
		return given
	}
	return characterStrings(text)
}

// valueOfStrings returns the one value of a TXT record: its text, or strings in
// quotes where the text alone would be another record, or would be taken for one.
func valueOfStrings(all []string) string {
	text := textOf(all)
	_, quoted := unquoted(text)
	if _, err := value.Line(text, maxValue); err == nil && !quoted && text != "" && slices.Equal(characterStrings(text), all) {
		return text
	}
	return `"` + strings.Join(all, `" "`) + `"`
}

// unquoted returns the strings of a text that is nothing but strings in quotes.
func unquoted(text string) ([]string, bool) {
	var out []string
	for rest := text; rest != ""; {
		if rest[0] != '"' {
			return nil, false
		}
		end := 1
		for end < len(rest) && rest[end] != '"' {
			if rest[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(rest) {
			return nil, false
		}
		one := textOf([]string{rest[1:end]})
		if len(one) > maxString {
			return nil, false
		}
		out, rest = append(out, escapeString(one)), strings.TrimLeft(rest[end+1:], " ")
	}
	return out, len(out) > 0
}

// escapeString writes a string as zone files have it between quotes (RFC 1035, 5.1).
func escapeString(text string) string {
	var out strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c == '"' || c == '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&out, "\\%03d", c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// textOf is the inverse of characterStrings.
func textOf(all []string) string {
	var out strings.Builder
	for _, one := range all {
		for i := 0; i < len(one); i++ {
			c := one[i]
			if c == '\\' && i+3 < len(one) && isDigits(one[i+1:i+4]) {
				out.WriteByte((one[i+1]-'0')*100 + (one[i+2]-'0')*10 + one[i+3] - '0')
				i += 3
				continue
			}
			if c == '\\' && i+1 < len(one) {
				i++
				c = one[i]
			}
			out.WriteByte(c)
		}
	}
	return out.String()
}

func isDigits(text string) bool { return len(text) == 3 && strings.Trim(text, "0123456789") == "" }

// checkRDATA refuses what is well formed and wrong all the same.
func checkRDATA(p parts, record dns.RR, apex string) error {
	words := strings.Fields(p.value)
	last := words[len(words)-1]
	switch record := record.(type) {
	case *dns.A:
		if address, err := netip.ParseAddr(p.value); err != nil || !address.Is4() {
			return fault.New(fault.Invalid, "%q is no IPv4 address", excerpt(p.value))
		}
	case *dns.AAAA:
		if address, err := netip.ParseAddr(p.value); err != nil || !address.Is6() || address.Zone() != "" {
			return fault.New(fault.Invalid, "%q is no IPv6 address", excerpt(p.value))
		}
	case *dns.MX:
		if record.Mx == "." {
			return nil // no mail at all (RFC 7505)
		}
		return checkTarget(last, &record.Mx, apex, true)
	case *dns.NS:
		return checkTarget(last, &record.Ns, apex, true)
	case *dns.CNAME:
		if err := checkTarget(last, &record.Target, apex, false); err != nil {
			return err
		}
		if record.Target == record.Hdr.Name {
			return fault.New(fault.Invalid, "it leads to itself")
		}
	case *dns.PTR:
		return checkTarget(last, &record.Ptr, apex, false)
	case *dns.SRV:
		if record.Target == "." {
			return nil // not to be had (RFC 2782)
		}
		return checkTarget(last, &record.Target, apex, true)
	case *dns.NAPTR:
		if record.Replacement == "." {
			return nil // the regular expression says it (RFC 3403)
		}
		return checkTarget(last, &record.Replacement, apex, false)
	case *dns.SVCB:
		return checkService(words[1], &record.Target, apex)
	case *dns.HTTPS:
		return checkService(words[1], &record.Target, apex)
	case *dns.CAA:
		if !slices.Contains([]string{"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"}, record.Tag) {
			return fault.New(fault.Invalid, "%q is no property of CAA", excerpt(record.Tag)).WithHint("%s", exampleOf("CAA"))
		}
		if len(words) < 3 || !strings.HasPrefix(words[2], `"`) {
			return fault.New(fault.Invalid, "the value of a CAA property stands in quotes").WithHint("%s", exampleOf("CAA"))
		}
	case *dns.TLSA:
		record.Certificate = strings.ToLower(record.Certificate)
		return checkTLSA(record)
	case *dns.SSHFP:
		record.FingerPrint = strings.ToLower(record.FingerPrint)
		return checkDigest(record.FingerPrint, map[uint8]int{1: 20, 2: 32}[record.Type])
	case *dns.DS:
		record.Digest = strings.ToLower(record.Digest)
		return checkDigest(record.Digest, map[uint8]int{1: 20, 2: 32, 4: 48}[record.DigestType])
	}
	return nil
}

func checkTLSA(record *dns.TLSA) error {
	if record.Usage > 3 || record.Selector > 1 || record.MatchingType > 2 {
		return fault.New(fault.Invalid, "the usage is 0 to 3, the selector 0 or 1, the matching type 0 to 2").WithHint("%s", exampleOf("TLSA"))
	}
	if record.MatchingType == 0 {
		return checkDigest(record.Certificate, len(record.Certificate)/2)
	}
	return checkDigest(record.Certificate, map[uint8]int{1: 32, 2: 64}[record.MatchingType])
}

// checkDigest wants so many bytes in hexadecimal digits; 0 is a digest that nobody knows.
func checkDigest(digest string, bytes int) error {
	if bytes == 0 {
		return fault.New(fault.Invalid, "its type of digest is not known")
	}
	if strings.Trim(digest, "0123456789abcdefABCDEF") != "" || len(digest) != 2*bytes {
		return fault.New(fault.Invalid, "the digest has %d hexadecimal digits", 2*bytes)
	}
	return nil
}

// checkService checks what SVCB and HTTPS records lead to; a dot is the name itself.
func checkService(written string, target *string, apex string) error {
	if *target == "." {
		return nil
	}
	return checkTarget(written, target, apex, false)
}

// checkTarget checks a name that a record leads to, and puts it into its one
// form: letters of other scripts as A-labels. written is as it was typed.
func checkTarget(written string, target *string, apex string, host bool) error {
	if written == "@" {
		return nil
	}
	if _, err := netip.ParseAddr(strings.TrimSuffix(written, ".")); err == nil {
		return fault.New(fault.Invalid, "%q is an address, and a name is needed", excerpt(written))
	}
	name, err := value.OwnerName(*target)
	if err != nil {
		return err
	}
	*target = dns.Fqdn(name)
	if host && strings.ContainsAny(name, "_*") {
		return fault.New(fault.Invalid, "%q is no name of a host", excerpt(written))
	}
	if !strings.HasSuffix(written, ".") && looksAbsolute(written, apex) {
		return fault.New(fault.Invalid, "%q has no dot at its end, so it would be %s", excerpt(written), *target).
			WithHint("write %s. if that is meant, or %s", written, *target)
	}
	return nil
}

// looksAbsolute tells whether a relative name was most likely meant to be an
// absolute one: it ends with the zone's name, or with a top-level domain.
func looksAbsolute(written, apex string) bool {
	name := strings.ToLower(written)
	if within(name, apex) {
		return true
	}
	if !strings.Contains(name, ".") {
		return false
	}
	suffix, icann := publicsuffix.PublicSuffix(name)
	return icann && suffix != name
}

// exampleOf returns a value of a type, for messages.
func exampleOf(rtype string) string {
	example := map[string]string{
		"A": "203.0.113.9", "AAAA": "2001:db8::9", "CAA": `0 issue "letsencrypt.org"`, "CNAME": "www.example.net.", "DS": "60485 13 2 <64 digits>",
		"HTTPS": `1 . alpn="h2,h3"`, "MX": "10 mail.example.net.", "NAPTR": `100 10 "S" "SIP+D2U" "" _sip._udp.example.net.`, "NS": "ns1.example.net.",
		"PTR": "host.example.net.", "SRV": "10 60 5060 sip.example.net.", "SSHFP": "4 2 <64 digits>", "SVCB": "1 svc.example.net. port=8443",
		"TLSA": "3 1 1 <64 digits>",
	}[rtype]
	return "such as: " + example
}

// doubtful returns warnings about a value that is accepted.
func doubtful(p parts) []message.Text {
	switch p.rtype {
	case "A", "AAAA":
		if address, err := netip.ParseAddr(p.value); err == nil && (address.IsLoopback() || address.IsUnspecified() || address.IsMulticast()) {
			return []message.Text{message.New("%s %s: nobody else reaches the address %s", p.owner, p.rtype, p.value)}
		}
	}
	return nil
}

func excerpt(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// rdataOf returns a record's value as zone files have it. The library writes
// the digits of digests in capitals, and what we compare with in small letters.
func rdataOf(record dns.RR) string {
	rdata := strings.TrimPrefix(record.String(), record.Header().String())
	switch record.(type) {
	case *dns.TLSA, *dns.SSHFP, *dns.DS:
		return strings.ToLower(rdata)
	}
	return rdata
}

package dns

import (
	"strings"

	"github.com/miekg/dns"

	"orchestra/pkg/message"
)

// check returns what must not be in a zone: the first of each kind that is found.
func (z *zone) check() []message.Text {
	names := z.index()
	var problems []message.Text
	for _, record := range z.records {
		header := record.Header()
		at := names[header.Name]
		switch {
		case at.types[dns.TypeCNAME] > 1:
			problems = append(problems, message.New("%s has more than one CNAME record", plain(header.Name)))
		case at.types[dns.TypeCNAME] == 1 && len(at.types) > 1:
			// RFC 1034, 3.6.2
			problems = append(problems, message.New("%s has a CNAME record, which can't be beside other records", plain(header.Name)))
		case header.Name == dns.Fqdn(z.name()) && header.Rrtype == dns.TypeCNAME:
			problems = append(problems, message.New("%s is the zone's own name, which can't be an alias", plain(header.Name)))
		case at.ttl[header.Rrtype] != header.Ttl:
			// RFC 2181, 5.2
			problems = append(problems, message.New("the %s records of %s have different times to live, and need one", typeOf(record), plain(header.Name)))
		case header.Rrtype == dns.TypeDS && at.types[dns.TypeNS] == 0:
			problems = append(problems, message.New("%s has a DS record and is not delegated: it needs NS records", plain(header.Name)))
		}
		if cut := z.cutAbove(names, header.Name); cut != "" && !isGlue(header.Rrtype) {
			problems = append(problems, message.New("%s is below %s, which is delegated to other servers", plain(header.Name), plain(cut)))
		}
		problems = append(problems, z.checkLead(names, record)...)
	}
	return problems
}

// owner is what a zone has at one name.
type owner struct {
	types map[uint16]int
	ttl   map[uint16]uint32 // of the first record of each type
}

func (z *zone) index() map[string]owner {
	names := map[string]owner{}
	for _, record := range z.records {
		header := record.Header()
		at, known := names[header.Name]
		if !known {
			at = owner{map[uint16]int{}, map[uint16]uint32{}}
			names[header.Name] = at
		}
		if at.types[header.Rrtype] == 0 {
			at.ttl[header.Rrtype] = header.Ttl
		}
		at.types[header.Rrtype]++
	}
	return names
}

func plain(name string) string { return strings.TrimSuffix(name, ".") }

func isGlue(rtype uint16) bool { return rtype == dns.TypeA || rtype == dns.TypeAAAA }

// cutAbove returns the delegated name that name is below, "" for none.
func (z *zone) cutAbove(names map[string]owner, name string) string {
	apex := dns.Fqdn(z.name())
	for {
		_, rest, found := strings.Cut(name, ".")
		if !found || rest == apex || len(rest) <= len(apex) {
			return ""
		}
		if names[rest].types[dns.TypeNS] > 0 {
			return rest
		}
		name = rest
	}
}

// checkLead checks what NS and MX records lead to, where that is in the zone.
func (z *zone) checkLead(names map[string]owner, record dns.RR) []message.Text {
	var target, rtype string
	switch record := record.(type) {
	case *dns.NS:
		target, rtype = record.Ns, "NS"
	case *dns.MX:
		target, rtype = record.Mx, "MX"
	default:
		return nil
	}
	target = strings.ToLower(target)
	if target == "." || !within(plain(target), z.name()) {
		return nil
	}
	at, wildcard := names[target], names["*."+target[strings.IndexByte(target, '.')+1:]]
	switch {
	case at.types[dns.TypeCNAME] > 0: // RFC 2181, 10.3
		return []message.Text{message.New("the %s record of %s leads to %s, which is an alias", rtype, plain(record.Header().Name), plain(target))}
	case at.types[dns.TypeA]+at.types[dns.TypeAAAA] > 0:
		return nil
	case rtype == "MX" && (wildcard.types[dns.TypeA]+wildcard.types[dns.TypeAAAA] > 0 || z.cutAbove(names, target) != ""):
		return nil
	}
	return []message.Text{message.New("the %s record of %s leads to %s, which has no address", rtype, plain(record.Header().Name), plain(target))}
}

// doubts returns what is accepted and warned of.
func (z *zone) doubts() []message.Text {
	if z.index()[dns.Fqdn(z.name())].types[dns.TypeNS] == 0 {
		return []message.Text{message.New("zone %s has no name server: set dns.nameservers, or add NS records", z.name())}
	}
	return nil
}

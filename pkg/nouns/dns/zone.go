package dns

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/settings"
)

// zone is a topmost domain with all that is served under its name.
type zone struct {
	apex    noun.Row
	domains []noun.Row // those below it in the tree that were read, and itself
	// declared are the records that somebody wrote, and records these and the
	// defaults: both without the SOA record, sorted.
	declared, records []dns.RR
	// soa is as the domain's fields and the settings say.
	soa dns.SOA
}

// zoneFor reads the zone that a domain is in, with those below that are wanted.
func zoneFor(ctx context.Context, view noun.View, domain noun.Row, wanted func(noun.Row) bool) (*zone, error) {
	apex, err := view.Get(ctx, domainName, zoneOf(domain))
	if err != nil {
		return nil, err
	}
	read, err := readZones(ctx, view, []noun.Row{apex}, wanted)
	if err != nil {
		return nil, err
	}
	return read[0], nil
}

// Which domains below an apex are in a zone: those that are served, or all.
func served(domain noun.Row) bool { return noun.Active(domain, nil) }
func declared(noun.Row) bool      { return true }

// zones reads the zones of apexes as they are served, in their order: two
// questions, however many. What is disabled below an apex is not in them.
func zones(ctx context.Context, view noun.View, apexes []noun.Row) ([]*zone, error) {
	return readZones(ctx, view, apexes, served)
}

// readZones reads the zones of apexes with those below them that are wanted.
func readZones(ctx context.Context, view noun.View, apexes []noun.Row, wanted func(noun.Row) bool) ([]*zone, error) {
	if len(apexes) == 0 {
		return nil, nil
	}
	ids := make([]any, len(apexes))
	byID := map[int64]*zone{}
	all := make([]*zone, len(apexes))
	for i, apex := range apexes {
		all[i] = &zone{apex: apex, domains: []noun.Row{apex}}
		ids[i], byID[apex.ID] = apex.ID, all[i]
	}
	below, err := view.Select(ctx, domainName, noun.Where("zone", ids...))
	if err != nil {
		return nil, err
	}
	of := map[int64]*zone{}
	for id, z := range byID {
		of[id] = z
	}
	for _, domain := range below {
		if !wanted(domain) {
			continue
		}
		z := byID[domain.Int("zone")]
		z.domains = append(z.domains, domain)
		of[domain.ID], ids = z, append(ids, domain.ID)
	}
	rows, err := view.Select(ctx, recordName, noun.Where("domain", ids...))
	if err != nil {
		return nil, err
	}
	written := map[*zone][]noun.Row{}
	for _, row := range rows {
		z := of[row.Int("domain")]
		written[z] = append(written[z], row)
	}
	for _, z := range all {
		if err := z.fill(written[z], view.Settings().DNS); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// name returns the zone's name without its final dot.
func (z *zone) name() string { return z.apex.Text("name") }

// fill makes the records of a zone: those written, and the defaults.
func (z *zone) fill(rows []noun.Row, defaults settings.DNS) error {
	ttl := secondsOr(z.apex, "ttl", defaults.TTL)
	for _, row := range rows {
		record, err := parseRDATA(parts{row.Text("owner"), row.Text("type"), row.Text("value")}, z.name())
		if err != nil {
			return fmt.Errorf("record %s: %w", row.Text("name"), err)
		}
		record.Header().Ttl = uint32(secondsOr(row, "ttl", ttl))
		z.declared = append(z.declared, record)
	}
	slices.SortFunc(z.declared, byName)
	usual, err := z.defaults(typesAt(z.declared), defaults, ttl)
	if err != nil {
		return err
	}
	z.records = slices.Concat(z.declared, usual)
	slices.SortFunc(z.records, byName)
	z.makeSOA(defaults, ttl)
	return nil
}

// byName is the order of a zone's records.
func byName(a, b dns.RR) int {
	return cmp.Or(cmp.Compare(canonicalOrder(a.Header().Name), canonicalOrder(b.Header().Name)),
		cmp.Compare(a.Header().Rrtype, b.Header().Rrtype), cmp.Compare(a.String(), b.String()))
}

// typesAt returns which types there are at which names: "example.org.NS".
func typesAt(records []dns.RR) map[string]bool {
	has := map[string]bool{}
	for _, record := range records {
		has[record.Header().Name+typeOf(record)] = true
	}
	return has
}

func typeOf(record dns.RR) string { return dns.TypeToString[record.Header().Rrtype] }

// canonicalOrder returns what sorts a name behind the one that it is below.
func canonicalOrder(name string) string { return pathOf(strings.TrimSuffix(name, ".")) }

func secondsOr(row noun.Row, field string, fallback int64) int64 {
	if seconds, given := row.Values[field].(int64); given {
		return seconds
	}
	return fallback
}

// defaults returns the NS, MX and addresses of the settings for names that have
// none: NS at the zone's own name, the others at each domain that is no alias and
// not delegated.
func (z *zone) defaults(has map[string]bool, defaults settings.DNS, ttl int64) (usual []dns.RR, err error) {
	apex := dns.Fqdn(z.name())
	add := func(owner, rtype string, values []string, absolute bool) error {
		for _, value := range values {
			if absolute {
				value += "."
			}
			record, err := parseRDATA(parts{strings.TrimSuffix(owner, "."), rtype, value}, z.name())
			if err != nil {
				return err
			}
			record.Header().Ttl = uint32(ttl)
			usual = append(usual, record)
		}
		return nil
	}
	if !has[apex+"NS"] {
		if err := add(apex, "NS", defaults.Nameservers, true); err != nil {
			return nil, err
		}
	}
	for _, domain := range z.domains {
		owner := dns.Fqdn(domain.Text("name"))
		if isReverse(domain.Text("name")) || has[owner+"CNAME"] || owner != apex && has[owner+"NS"] {
			continue
		}
		if !has[owner+"MX"] {
			if err := add(owner, "MX", defaults.MX, true); err != nil {
				return nil, err
			}
		}
		if has[owner+"A"] || has[owner+"AAAA"] {
			continue
		}
		if err := add(owner, "A", defaults.A, false); err != nil {
			return nil, err
		}
		if err := add(owner, "AAAA", defaults.AAAA, false); err != nil {
			return nil, err
		}
	}
	return usual, nil
}

// makeSOA makes the SOA record (RFC 1035, 3.3.13).
func (z *zone) makeSOA(defaults settings.DNS, ttl int64) {
	primary := z.apex.Text("mname")
	for _, record := range z.records {
		if ns, is := record.(*dns.NS); is && primary == "" && record.Header().Name == dns.Fqdn(z.name()) {
			primary = strings.TrimSuffix(ns.Ns, ".")
		}
	}
	if len(defaults.Nameservers) > 0 && z.apex.Text("mname") == "" && z.serves(defaults.Nameservers[0]) {
		primary = defaults.Nameservers[0]
	}
	if primary == "" {
		primary = z.name()
	}
	responsible := cmp.Or(z.apex.Text("rname"), defaults.Hostmaster, "hostmaster@"+z.name())
	z.soa = dns.SOA{
		Hdr: dns.RR_Header{Name: dns.Fqdn(z.name()), Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: uint32(ttl)},
		Ns:  dns.Fqdn(primary), Mbox: mailbox(responsible), Serial: uint32(z.apex.Int("serial")),
		Refresh: uint32(secondsOr(z.apex, "refresh", defaults.Refresh)), Retry: uint32(secondsOr(z.apex, "retry", defaults.Retry)),
		Expire: uint32(secondsOr(z.apex, "expire", defaults.Expire)), Minttl: uint32(secondsOr(z.apex, "minimum", defaults.Minimum)),
	}
}

// serves tells whether a host is among the zone's name servers.
func (z *zone) serves(host string) bool {
	return slices.ContainsFunc(z.records, func(record dns.RR) bool {
		ns, is := record.(*dns.NS)
		return is && record.Header().Name == dns.Fqdn(z.name()) && strings.EqualFold(strings.TrimSuffix(ns.Ns, "."), host)
	})
}

// mailbox writes an e-mail as a name: dots before the @ are escaped (RFC 1035, 8).
func mailbox(email string) string {
	at := strings.LastIndexByte(email, '@')
	local := strings.NewReplacer(`\`, `\\`, `.`, `\.`, `"`, `\"`, `;`, `\;`, `(`, `\(`, `)`, `\)`, `@`, `\@`, `$`, `\$`).Replace(email[:at])
	return dns.Fqdn(local + "." + email[at+1:])
}

// serialMark ends the line that holds the serial number: what only grows, even
// where an operation is undone.
const serialMark = "; serial"

// String returns the text of the zone file as it is served.
func (z *zone) String() string { return z.file(z.records) }

// file returns a zone file (RFC 1035, 5) of records, every name absolute.
func (z *zone) file(records []dns.RR) string {
	var out strings.Builder
	soa := z.soa
	fmt.Fprintf(&out, "%s\t%d\tIN\tSOA\t%s %s (\n\t%s %s\n\t%d ; refresh\n\t%d ; retry\n\t%d ; expire\n\t%d ) ; minimum\n",
		soa.Hdr.Name, soa.Hdr.Ttl, soa.Ns, soa.Mbox, strconv.FormatUint(uint64(soa.Serial), 10), serialMark, soa.Refresh, soa.Retry, soa.Expire, soa.Minttl)
	for _, record := range records {
		out.WriteString(line(record))
		out.WriteByte('\n')
	}
	return out.String()
}

// line returns a record as a line of a zone file, in the form that every server
// reads: PowerDNS takes a port without quotes only, and no-default-alpn without a value.
func line(record dns.RR) string {
	var binding dns.SVCB
	switch record := record.(type) {
	case *dns.SVCB:
		binding = *record
	case *dns.HTTPS:
		binding = record.SVCB
	default:
		return record.String()
	}
	parameters := binding.Value
	binding.Value = nil
	text := binding.String()
	for _, parameter := range parameters {
		text += " " + parameter.Key().String()
		switch parameter.(type) {
		case *dns.SVCBNoDefaultAlpn:
		case *dns.SVCBPort:
			text += "=" + parameter.String()
		default:
			text += `="` + parameter.String() + `"`
		}
	}
	return text
}

// settleZones judges, at the end of an operation, the zones that it renewed.
func settleZones(ctx context.Context, plan noun.Planner, changed []noun.Row) error {
	var apexes []noun.Row
	for _, domain := range changed {
		if domain.Int("zone") != 0 {
			continue
		}
		if err := checkBelow(ctx, plan, domain); err != nil {
			return err
		}
		apexes = append(apexes, domain)
	}
	all, err := zones(ctx, plan, apexes)
	if err != nil {
		return err
	}
	for _, z := range all {
		problems := z.check()
		if len(problems) > 0 {
			return fault.New(fault.Conflict, "zone %s: %s", z.name(), problems[0]).About("record.value").
				WithHint("orchestra domain zone %s", z.name())
		}
		for _, text := range z.doubts() {
			plan.Warn(text)
		}
	}
	return nil
}

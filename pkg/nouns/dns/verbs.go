package dns

import (
	"context"

	"github.com/miekg/dns"

	"orchestra/pkg/noun"
)

func domainVerbs() []noun.Verb {
	return []noun.Verb{
		{
			Name: "zone", Help: "Print the zone of a domain, as it is served",
			Long: "It has what was declared and what the settings give to names that declare none: name servers, mail exchanges, addresses. " +
				"Domains that are disabled are not in it.",
			Example: "orchestra domain zone example.org", Show: showZone,
		},
		importVerb(),
		checkVerb(),
		dsVerb(),
		{
			Name: "export", Help: "Print what was declared of a zone, to be imported again",
			Long: "It is a zone file of the SOA record and what was declared, that of disabled domains too. What the settings give to names that " +
				"declare none is left out: imported again, that goes on to follow the settings. `domain zone` prints all that is served.",
			Example: "orchestra domain export example.org", Show: showExport,
		},
		{
			Name: "resign", Help: "Give a zone a new serial number, and have it loaded and signed again",
			Example: "orchestra domain resign example.org",
			Plan: func(ctx context.Context, plan noun.Planner, domain noun.Row, _ noun.Values) error {
				return renew(ctx, plan, zoneOf(domain))
			},
		},
	}
}

// showZone prints the zone that a domain is in.
func showZone(ctx context.Context, view noun.View, domain noun.Row, _ noun.Values) (noun.Table, error) {
	z, err := zoneFor(ctx, view, domain, served)
	if err != nil {
		return noun.Table{}, err
	}
	return z.table(z.records), nil
}

// showExport prints what was declared of the zone that a domain is in.
func showExport(ctx context.Context, view noun.View, domain noun.Row, _ noun.Values) (noun.Table, error) {
	z, err := zoneFor(ctx, view, domain, declared)
	if err != nil {
		return noun.Table{}, err
	}
	return z.table(z.declared), nil
}

// table shows records behind the zone's SOA record.
func (z *zone) table(records []dns.RR) noun.Table {
	table := noun.Table{Columns: []string{"owner", "ttl", "type", "value"}, Text: z.file(records)}
	for _, record := range append([]dns.RR{&z.soa}, records...) {
		header := record.Header()
		rtype := typeOf(record)
		table.Rows = append(table.Rows, noun.Values{"owner": plain(header.Name), "ttl": int64(header.Ttl), "type": rtype, "value": rdataOf(record)})
	}
	return table
}

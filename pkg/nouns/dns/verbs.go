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
			Example: "orchestra domain zone example.org", Show: showZone,
		},
		importVerb(),
		checkVerb(),
		dsVerb(),
		{
			Name: "export", Help: "Print the zone file of a domain, for another system",
			Example: "orchestra domain export example.org", Show: showZone,
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
	z, err := zoneFor(ctx, view, domain)
	if err != nil {
		return noun.Table{}, err
	}
	table := noun.Table{Columns: []string{"owner", "ttl", "type", "value"}, Text: z.String()}
	for _, record := range append([]dns.RR{&z.soa}, z.records...) {
		header := record.Header()
		rtype := dns.TypeToString[header.Rrtype]
		table.Rows = append(table.Rows, noun.Values{"owner": plain(header.Name), "ttl": int64(header.Ttl), "type": rtype, "value": rdataOf(record)})
	}
	return table, nil
}

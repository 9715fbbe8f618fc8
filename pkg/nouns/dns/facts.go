package dns

import (
	"context"

	"orchestra/pkg/noun"
)

// domainFacts tells backends about domains: three questions, however many there are.
//
//	zone           true for a domain that is a zone of its own; the others are in the zone of one above
//	active         whether the domain itself is enabled: what is not is not served
//	text           the text of the zone file; the line that ends with "; serial" has the serial number
//	serial         the serial number
//	dnssec         whether the zone is signed
//	transfer       addresses, beside the servers of the routes, that may transfer the zone
func domainFacts(ctx context.Context, view noun.View, domains []noun.Row) ([]noun.Facts, error) {
	var apexes []noun.Row
	for _, domain := range domains {
		if domain.Int("zone") == 0 {
			apexes = append(apexes, domain)
		}
	}
	read, err := zones(ctx, view, apexes)
	if err != nil {
		return nil, err
	}
	texts := make(map[int64]string, len(read))
	for _, z := range read {
		texts[z.apex.ID] = z.String()
	}
	all := make([]noun.Facts, len(domains))
	for i, domain := range domains {
		isZone := domain.Int("zone") == 0
		all[i] = noun.Facts{
			"zone": isZone, "active": noun.Active(domain, nil), "text": "", "serial": domain.Int("serial"),
			"dnssec": domain.Bool("dnssec"), "transfer": view.Settings().DNS.Transfer,
		}
		if isZone {
			all[i]["text"] = noun.Content(texts[domain.ID])
		}
	}
	return all, nil
}

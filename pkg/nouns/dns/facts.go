package dns

import (
	"context"

	"orchestra/pkg/noun"
)

// domainFacts tells backends about domains: four questions, however many there are.
//
//	zone           true for a domain that is a zone of its own; the others are in the zone of one above
//	active         whether the domain itself is enabled: what is not is not served
//	text           the text of the zone file; the line that ends with "; serial" has the serial number
//	serial         the serial number
//	dnssec         whether the zone is signed
//	signing_ahead  how far the serial number goes ahead where signing begins or ends
//	transfer       addresses, beside the servers of the routes, that may transfer the zone
//	transfer_key   the name of the key that transfers are signed with (TSIG, hmac-sha256)
//	transfer_secret  what the key is, in base64: a secret
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
	key, err := view.Find(ctx, transferKeyName, theKey)
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
			"dnssec": domain.Bool("dnssec"), "signing_ahead": int64(signingAhead), "transfer": view.Settings().DNS.Transfer,
			"transfer_key": key.Text("name"), "transfer_secret": noun.Confidential(key.Text("secret")),
		}
		if isZone {
			all[i]["text"] = noun.Content(texts[domain.ID])
		}
	}
	return all, nil
}

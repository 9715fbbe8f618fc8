package dns

import (
	"context"
	"slices"

	"github.com/miekg/dns"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

func dsVerb() noun.Verb {
	return noun.Verb{
		Name: "ds", Help: "Print the DS records of a signed domain, for its parent",
		Long: "They are made of the keys that a name server publishes now. A parent that reads CDS records takes them by itself: those are " +
			"printed as well, where the server has them.",
		Example: "orchestra domain ds example.org", Show: showDS,
	}
}

func showDS(ctx context.Context, view noun.View, domain noun.Row, _ noun.Values) (noun.Table, error) {
	apex, err := view.Get(ctx, domainName, zoneOf(domain))
	if err != nil {
		return noun.Table{}, err
	}
	name := apex.Text("name")
	if !apex.Bool("dnssec") {
		return noun.Table{}, fault.New(fault.Conflict, "the zone %s is not signed", name).WithHint("orchestra domain set %s --dnssec", name)
	}
	servers, err := nameServers(ctx, view, apex)
	if err != nil {
		return noun.Table{}, err
	}
	keys, err := delegationSigners(ctx, servers, name)
	if err != nil {
		return noun.Table{}, err
	}
	table := noun.Table{Columns: []string{"owner", "type", "value"}}
	for _, text := range keys {
		table.Rows = append(table.Rows, noun.Values{"owner": name, "type": "DS", "value": text})
	}
	for _, server := range servers {
		answer, err := ask(ctx, server.address, name, dns.TypeCDS, false)
		if err != nil {
			continue
		}
		for _, record := range answer.Answer {
			if cds, is := record.(*dns.CDS); is {
				table.Rows = append(table.Rows, noun.Values{"owner": name, "type": "CDS", "value": rdataOf(&cds.DS)})
			}
		}
		break
	}
	return table, nil
}

// delegationSigners returns what the parent is to have: a digest (SHA-256) of
// each key that signs keys, as a server publishes them.
func delegationSigners(ctx context.Context, servers []nameServer, name string) ([]string, error) {
	var last error
	for _, server := range servers {
		answer, err := ask(ctx, server.address, name, dns.TypeDNSKEY, false)
		if err != nil {
			last = err
			continue
		}
		var all []string
		for _, record := range answer.Answer {
			if key, is := record.(*dns.DNSKEY); is && key.Flags&dns.SEP != 0 && key.Flags&dns.REVOKE == 0 {
				if signer := key.ToDS(dns.SHA256); signer != nil {
					all = append(all, rdataOf(signer))
				}
			}
		}
		if len(all) > 0 {
			slices.Sort(all)
			return slices.Compact(all), nil
		}
	}
	return nil, fault.New(fault.Unreachable, "no name server has a key of %s", name).Because(last).
		WithHint("orchestra domain check %s", name)
}

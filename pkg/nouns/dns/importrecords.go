package dns

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// importRecords adds what a domain and those below it do not have yet, and where
// replace is set takes away what the source does not have. What the settings give
// to the domain anyway is no record of its own.
func importRecords(ctx context.Context, plan noun.Planner, domain noun.Row, g *given, replace bool) error {
	if err := g.canonical(); err != nil {
		return err
	}
	domains, err := plan.Select(ctx, domainName, noun.Begins("path", pathOf(g.name)))
	if err != nil {
		return err
	}
	is, err := recordsOf(ctx, plan, domains)
	if err != nil {
		return err
	}
	apex, err := plan.Get(ctx, domainName, zoneOf(domain))
	if err != nil {
		return err
	}
	usual, err := g.usual(&zone{apex: apex, domains: domains}, is, plan)
	if err != nil {
		return err
	}
	ttl := secondsOr(apex, "ttl", plan.Settings().DNS.TTL)
	for _, one := range g.records {
		record, known := is[one.String()]
		delete(is, one.String())
		switch {
		case known && secondsOr(record, "ttl", ttl) == one.ttl, !known && usual[one.owner+" "+kindOf(one.rtype)]:
			continue
		case known:
			_, err = plan.Set(ctx, record, noun.Values{"ttl": one.ttl})
		default:
			_, err = plan.Add(ctx, recordName, noun.Values{"name": one.String(), "ttl": one.ttl})
		}
		if err != nil {
			return fault.New(fault.KindOf(err), "record %s", strconv.Quote(one.String())).Because(err)
		}
	}
	if !replace {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if err := plan.Delete(ctx, is[name]); err != nil {
			return err
		}
	}
	return nil
}

// canonical puts the records into their one form, each once.
func (g *given) canonical() error {
	seen := map[string]bool{}
	var all []written
	for _, one := range g.records {
		if !within(strings.TrimPrefix(one.owner, "*."), g.name) {
			return fault.New(fault.Invalid, "%s is not in the zone %s", one.owner, g.name).About("source")
		}
		value, err := canonicalValue(one.parts, g.name)
		if err != nil {
			return fault.New(fault.Invalid, "%s %s", one.owner, one.rtype).Because(err).About("source")
		}
		if one.value = value; !seen[one.String()] {
			seen[one.String()], all = true, append(all, one)
		}
	}
	g.records = all
	return nil
}

// recordsOf returns the records of domains by their names.
func recordsOf(ctx context.Context, view noun.View, domains []noun.Row) (map[string]noun.Row, error) {
	ids := make([]any, len(domains))
	for i, domain := range domains {
		ids[i] = domain.ID
	}
	rows, err := view.Select(ctx, recordName, noun.Where("domain", ids...))
	if err != nil {
		return nil, err
	}
	is := make(map[string]noun.Row, len(rows))
	for _, row := range rows {
		is[row.Text("name")] = row
	}
	return is, nil
}

// kindOf returns what the settings give together: addresses of both kinds, or a type.
func kindOf(rtype string) string {
	if rtype == "AAAA" {
		return "A"
	}
	return rtype
}

// usual returns where the source says just what the settings give to names that
// declare nothing, as "www.example.org A", and nothing is declared there yet.
func (g *given) usual(z *zone, is map[string]noun.Row, view noun.View) (map[string]bool, error) {
	z.domains = slices.DeleteFunc(slices.Clone(z.domains), func(domain noun.Row) bool { return !served(domain) })
	defaults := view.Settings().DNS
	elsewhere, said := map[string]bool{}, map[string][]string{}
	leads := func(owner, rtype string) { // aliases and delegations have no defaults
		if rtype == "CNAME" || rtype == "NS" && owner != z.name() {
			elsewhere[owner+"."+rtype] = true
		}
	}
	for _, record := range is {
		leads(record.Text("owner"), record.Text("type"))
	}
	for _, one := range g.records {
		leads(one.owner, one.rtype)
		at := one.owner + " " + kindOf(one.rtype)
		said[at] = append(said[at], strconv.FormatInt(one.ttl, 10)+" "+one.rtype+" "+one.value)
	}
	records, err := z.defaults(elsewhere, defaults, secondsOr(z.apex, "ttl", defaults.TTL))
	if err != nil {
		return nil, err
	}
	given := map[string][]string{}
	for _, record := range records {
		owner, rtype, value := plain(record.Header().Name), typeOf(record), rdataOf(record)
		at := owner + " " + kindOf(rtype)
		given[at] = append(given[at], strconv.FormatUint(uint64(record.Header().Ttl), 10)+" "+rtype+" "+value)
	}
	usual := map[string]bool{}
	for at, values := range given {
		slices.Sort(values)
		slices.Sort(said[at])
		usual[at] = slices.Equal(values, said[at])
	}
	for _, record := range is {
		delete(usual, record.Text("owner")+" "+kindOf(record.Text("type")))
	}
	return usual, nil
}

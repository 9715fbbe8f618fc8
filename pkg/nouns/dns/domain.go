package dns

import (
	"context"
	"slices"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/value"
)

func domainNoun() *noun.Noun {
	return &noun.Noun{
		Name:   domainName,
		Plural: "domains",
		Area:   "DNS",
		Kind:   noun.Service,
		Help:   "A domain, with its subdomains one zone",
		Long: "Domains form a tree. A domain with none above it is a zone, and those below it are in that zone: a domain that is added " +
			"above others of its account takes them into its zone. Nobody may have a domain above or below one of another account, " +
			"nor a public suffix such as co.uk. Names in other scripts are kept as A-labels (xn--…) and shown in both forms. A domain that is " +
			"disabled is not served; its account's reasons leave it alone, since mail and sites elsewhere may depend on it.",
		Key:         "name",
		Owner:       accountName,
		Disableable: true,
		Fields: []noun.Field{
			{Name: "name", Type: noun.Parsed{Label: "domain name", Canonical: value.DomainName}, Required: true, Immutable: true, Listed: true,
				Help: "The name", Example: "example.org"},
			{Name: "account", Reference: accountName, OnDelete: noun.Cascade, Required: true, Listed: true,
				Help: "The account that it belongs to", Example: "acme"},
			{Name: "unicode", Type: noun.Text{}, Listed: true, Compute: unicodeNames,
				Help: "The name as people write it", Example: "example.org"},
			{Name: "zone", Reference: domainName, OnDelete: noun.Forget, Hidden: true, Listed: true,
				Help: "The domain whose zone it is in, where that is not its own", Example: "example.org"},
			{Name: "path", Type: noun.Text{Max: 255}, Hidden: true, Unique: true,
				Help: "Its labels from the last to the first, by which those below it are found", Example: "org.example."},
			{Name: "serial", Type: noun.Integer{}, Hidden: true,
				Help: "The serial number of its zone", Example: "2026112600"},
			{Name: "dnssec", Type: noun.Boolean{}, Listed: true,
				Help: "Whether its zone is signed", Example: "yes"},
			{Name: "mname", Type: noun.Parsed{Label: "host name", Canonical: value.DomainName},
				Help: "The primary name server in the SOA record", Example: "ns1.example.net"},
			{Name: "rname", Type: noun.Parsed{Label: "e-mail", Canonical: value.Email},
				Help: "The e-mail of who is responsible, in the SOA record", Example: "hostmaster@example.net"},
			{Name: "refresh", Type: noun.Seconds{},
				Help: "After how long slaves look for a newer zone", Example: "1d"},
			{Name: "retry", Type: noun.Seconds{},
				Help: "After how long slaves look again when the master does not answer", Example: "2h"},
			{Name: "expire", Type: noun.Seconds{},
				Help: "After how long slaves give the zone up", Example: "4w"},
			{Name: "minimum", Type: noun.Seconds{},
				Help: "For how long it is remembered that a name does not exist", Example: "1h"},
			{Name: "ttl", Type: noun.Seconds{},
				Help: "The time to live of records that have none of their own", Example: "1h"},
		},
		Prepare: prepareDomain,
		Cascade: cascadeDomain,
		Claims:  claimTree,
		Settle:  settleZones,
		Facts:   domainFacts,
		Verbs:   domainVerbs(),
	}
}

// claimTree claims the registered domain for what decides whose a tree is: two
// accounts that add a domain and one below it at once would not see each other.
func claimTree(change noun.Change) []string {
	if change.Before != nil && change.After != nil && change.Before["account"] == change.After["account"] {
		return nil
	}
	return []string{registered(change.Name)}
}

func unicodeNames(_ context.Context, _ noun.View, rows []noun.Row) ([]any, error) {
	names := make([]any, len(rows))
	for i, row := range rows {
		names[i] = value.UnicodeName(row.Text("name"))
	}
	return names, nil
}

// pathOf returns a name's labels from the last to the first: "org.example.".
// All names below it begin with its path.
func pathOf(name string) string {
	labels := strings.Split(name, ".")
	slices.Reverse(labels)
	return strings.Join(labels, ".") + "."
}

// above returns the names above a name that have at least one label.
func above(name string) []any {
	var all []any
	for {
		_, rest, found := strings.Cut(name, ".")
		if !found {
			return all
		}
		all, name = append(all, rest), rest
	}
}

func prepareDomain(ctx context.Context, plan noun.Planner, before, after *noun.Row) error {
	name := after.Text("name")
	after.Values["path"] = pathOf(name)
	if before == nil {
		if err := checkAllowed(ctx, plan, name); err != nil {
			return err
		}
		if err := checkEmergency(ctx, plan, *after); err != nil {
			return err
		}
		if err := ensureKey(ctx, plan); err != nil {
			return err
		}
	}
	zone, err := zoneAbove(ctx, plan, *after)
	if err != nil {
		return err
	}
	delete(after.Values, "zone")
	if zone != 0 {
		after.Values["zone"] = zone
		return nil
	}
	// What is asked of the zone itself makes it another one.
	if before == nil || before.Int("zone") != 0 || changesZone(*before, *after) {
		ahead := int64(1)
		if before != nil && before.Bool("dnssec") != after.Bool("dnssec") {
			ahead = signingAhead
		}
		serial, err := nextSerial(ctx, plan, name, ahead)
		if err != nil {
			return err
		}
		after.Values["serial"] = serial
	}
	return nil
}

// changesZone tells whether a zone's own fields change what is served.
func changesZone(before, after noun.Row) bool {
	for _, field := range []string{"dnssec", "mname", "rname", "refresh", "retry", "expire", "minimum", "ttl", noun.DisabledField} {
		if !noun.EqualValue(before.Values[field], after.Values[field]) {
			return true
		}
	}
	return false
}

// zoneAbove returns the topmost domain above one, 0 where there is none, and
// refuses one of another account.
func zoneAbove(ctx context.Context, plan noun.Planner, domain noun.Row) (int64, error) {
	ancestors, err := plan.Select(ctx, domainName, noun.Where("name", above(domain.Text("name"))...))
	if err != nil {
		return 0, err
	}
	top := noun.Row{}
	for _, ancestor := range ancestors {
		if plan.Deleting(domainName, ancestor.ID) {
			continue
		}
		if ancestor.Int("account") != domain.Int("account") {
			return 0, fault.New(fault.Conflict, "%s is below %s, which belongs to another account", domain.Text("name"), ancestor.Text("name")).
				About("domain.name")
		}
		if top.ID == 0 || len(ancestor.Text("name")) < len(top.Text("name")) {
			top = ancestor
		}
	}
	return top.ID, nil
}

// checkBelow refuses a domain above one of another account. It is asked at the
// end of an operation: a tree moves to another account domain by domain.
func checkBelow(ctx context.Context, plan noun.Planner, domain noun.Row) error {
	below, err := plan.Select(ctx, domainName, noun.Begins("path", pathOf(domain.Text("name"))))
	if err != nil {
		return err
	}
	for _, other := range below {
		if other.ID != domain.ID && other.Int("account") != domain.Int("account") {
			return fault.New(fault.Conflict, "%s is above %s, which belongs to another account", domain.Text("name"), other.Text("name")).
				About("domain.name")
		}
	}
	return nil
}

// cascadeDomain takes the domains below a new zone into it, and renews the
// zones that a domain comes into or leaves, or in which it is served no more.
func cascadeDomain(ctx context.Context, plan noun.Planner, change noun.Change) error {
	was, is := noun.Row{Values: change.Before}, noun.Row{Values: change.After}
	if change.After != nil && is.Int("zone") == 0 && (change.Before == nil || was.Int("zone") != 0) {
		below, err := plan.Select(ctx, domainName, noun.Begins("path", pathOf(change.Name)))
		if err != nil {
			return err
		}
		for _, other := range below {
			if other.ID == change.ID || other.Int("zone") == change.ID {
				continue
			}
			if _, err := plan.Set(ctx, other, noun.Values{"zone": change.ID}); err != nil {
				return err
			}
		}
	}
	differs := was.Int("zone") != is.Int("zone") || noun.Active(was, nil) != noun.Active(is, nil)
	for _, zone := range []int64{was.Int("zone"), is.Int("zone")} {
		if zone != 0 && differs {
			if err := renew(ctx, plan, zone); err != nil {
				return err
			}
		}
	}
	return nil
}

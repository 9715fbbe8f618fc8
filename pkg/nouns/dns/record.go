package dns

import (
	"context"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/value"
)

func recordNoun() *noun.Noun {
	return &noun.Noun{
		Name:   recordName,
		Plural: "records",
		Area:   "DNS",
		Kind:   noun.Management,
		Help:   "A record of a domain",
		Long: "A record is called by its name, type and value: `record add www.example.org A 203.0.113.9`, `record delete www.example.org A " +
			"203.0.113.9`. It belongs to the nearest domain at or above its name. Names within a value are absolute with a dot at the end, else " +
			"relative to the zone; what is relative and looks absolute is refused. The value of a TXT record is its text as it is, without " +
			"quotes; it is split where it is too long for one string.",
		Key:   "name",
		Words: "NAME TYPE VALUE",
		Owner: domainName,
		Fields: []noun.Field{
			{Name: "name", Type: noun.Parsed{Label: "record", Canonical: parseRecord}, Required: true, Immutable: true,
				Help: "Its name, type and value", Example: "www.example.org A 203.0.113.9"},
			{Name: "domain", Reference: domainName, OnDelete: noun.Cascade, Required: true, Hidden: true, Listed: true, Default: nearestDomain,
				Help: "The domain that it belongs to", Example: "example.org"},
			{Name: "owner", Type: noun.Text{}, Hidden: true,
				Help: "The name that it is about", Example: "www.example.org"},
			{Name: "type", Type: noun.Choice(recordTypes()), Hidden: true,
				Help: "The type", Example: "A"},
			{Name: "ttl", Type: noun.Seconds{}, Listed: true,
				Help: "Its time to live; the domain's where there is none", Example: "1h"},
			{Name: "value", Type: noun.Text{Max: maxValue}, Hidden: true,
				Help: "What it says", Example: "203.0.113.9"},
		},
		Complete: completeRecord,
		Prepare:  prepareRecord,
		Cascade:  cascadeRecord,
		Verbs:    []noun.Verb{replaceVerb()},
	}
}

// maxValue is the longest value of a record, in characters: what a message of
// DNS can carry beside it is not much more.
const maxValue = 8192

// parts are what a record is called by.
type parts struct{ owner, rtype, value string }

func (p parts) String() string { return p.owner + " " + p.rtype + " " + p.value }

// split takes the key of a record apart: its value is all that comes after the type.
func split(key string) (parts, error) {
	owner, rest, _ := strings.Cut(key, " ")
	rtype, value, found := strings.Cut(rest, " ")
	if !found || owner == "" || value == "" {
		return parts{}, fault.New(fault.Invalid, "a record is NAME TYPE VALUE, such as %q", "www.example.org A 203.0.113.9")
	}
	return parts{owner, rtype, value}, nil
}

// parseRecord returns the canonical key of a record, as far as it can be known
// without its zone: names within its value may still be relative.
func parseRecord(text string) (string, error) {
	p, err := split(text)
	if err != nil {
		return "", err
	}
	if p.owner, err = value.OwnerName(p.owner); err != nil {
		return "", err
	}
	if p.rtype, err = recordType(p.rtype); err != nil {
		return "", err
	}
	if err := checkValue(p.value); err != nil {
		return "", err
	}
	return p.String(), nil
}

// completeRecord makes names within a value absolute, so that a record is found
// however it was written.
func completeRecord(ctx context.Context, view noun.View, key string) (string, error) {
	p, err := split(key)
	if err != nil {
		return "", err
	}
	domain, err := domainOf(ctx, view, p.owner)
	if err != nil {
		return "", err
	}
	if p.value, err = absolute(ctx, view, p, domain); err != nil {
		return "", err
	}
	return p.String(), nil
}

// absolute returns the canonical value of a record of a domain.
func absolute(ctx context.Context, view noun.View, p parts, domain noun.Row) (string, error) {
	apex := domain.Text("name")
	if zone := domain.Int("zone"); zone != 0 {
		root, err := view.Get(ctx, domainName, zone)
		if err != nil {
			return "", err
		}
		apex = root.Text("name")
	}
	return canonicalValue(p, apex)
}

// domainOf returns the nearest domain at or above a record's name.
func domainOf(ctx context.Context, view noun.View, owner string) (noun.Row, error) {
	name := strings.TrimPrefix(owner, "*.")
	domains, err := view.Select(ctx, domainName, noun.Where("name", append(above(name), name)...))
	if err != nil {
		return noun.Row{}, err
	}
	nearest := noun.Row{}
	for _, domain := range domains {
		if len(domain.Text("name")) > len(nearest.Text("name")) {
			nearest = domain
		}
	}
	if nearest.ID == 0 {
		return nearest, fault.New(fault.Invalid, "%s is in no domain that is administered here", owner).About("record.name").
			WithHint("orchestra domain add %s --account …", registered(name))
	}
	return nearest, nil
}

func nearestDomain(ctx context.Context, view noun.View, row noun.Row) (any, error) {
	p, err := split(row.Text("name"))
	if err != nil {
		return nil, err
	}
	domain, err := domainOf(ctx, view, p.owner)
	return domain.ID, err
}

func prepareRecord(ctx context.Context, plan noun.Planner, before, after *noun.Row) error {
	if before != nil {
		return nil // its key stays, and so does what follows from it
	}
	p, err := split(after.Text("name"))
	if err != nil {
		return err
	}
	if err := checkOwner(ctx, plan, p.owner); err != nil {
		return err
	}
	domain, err := plan.Get(ctx, domainName, after.Int("domain"))
	if err != nil {
		return err
	}
	if p.value, err = absolute(ctx, plan, p, domain); err != nil {
		return err
	}
	after.Values["name"] = p.String()
	after.Values["owner"], after.Values["type"], after.Values["value"] = p.owner, p.rtype, p.value
	for _, text := range doubtful(p) {
		plan.Warn(text)
	}
	return nil
}

// cascadeRecord renews the zone that a record is in.
func cascadeRecord(ctx context.Context, plan noun.Planner, change noun.Change) error {
	for _, values := range []noun.Values{change.Before, change.After} {
		id := noun.Row{Values: values}.Int("domain")
		if id == 0 || plan.Deleting(domainName, id) {
			continue
		}
		domain, err := plan.Get(ctx, domainName, id)
		if err != nil {
			return err
		}
		if err := renew(ctx, plan, zoneOf(domain)); err != nil {
			return err
		}
	}
	return nil
}

// replaceVerb gives a record another value in one word.
func replaceVerb() noun.Verb {
	return noun.Verb{
		Name: "replace", Help: "Give a record another value",
		Example: "orchestra record replace www.example.org A 203.0.113.9 --with 203.0.113.10",
		Options: []noun.Field{{Name: "with", Type: noun.Text{Max: maxValue}, Required: true, Help: "The new value", Example: "203.0.113.10"}},
		Plan: func(ctx context.Context, plan noun.Planner, record noun.Row, options noun.Values) error {
			with, _ := options["with"].(string)
			values := settable(plan.Noun(recordName), record)
			values["name"] = parts{record.Text("owner"), record.Text("type"), with}.String()
			if err := plan.Delete(ctx, record); err != nil {
				return err
			}
			_, err := plan.Add(ctx, recordName, values)
			return err
		},
	}
}

// settable returns what was given of a row when it was made: all that add has a flag for.
func settable(n *noun.Noun, row noun.Row) noun.Values {
	values := noun.Values{}
	for _, field := range n.Fields {
		if value, has := row.Values[field.Name]; has && field.Settable() {
			values[field.Name] = value
		}
	}
	return values
}

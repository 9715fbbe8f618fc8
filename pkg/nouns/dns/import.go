package dns

import (
	"bytes"
	"cmp"
	"context"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/settings"
	"orchestra/pkg/value"
)

func importVerb() noun.Verb {
	return noun.Verb{
		Name: "import", Help: "Take a zone over, from a zone file or from a running server",
		Long: "The zone file is read from SOURCE, - is the standard input; with --axfr SOURCE is the name of a zone, which is transferred from that " +
			"server. The domain is made where it does not exist, which needs --account. What is there already stays; --replace takes away " +
			"what the source does not have, below the domain too. What the settings give to its names anyway becomes no record. " +
			"Signatures and keys of DNSSEC are left out: the zone is signed anew. No $INCLUDE is followed.",
		Example:       "orchestra domain import example.org.zone --name example.org --account acme",
		WithoutObject: true,
		Positional:    []string{"source"},
		Options: []noun.Field{
			{Name: "source", Type: noun.Text{Max: 4096}, Required: true, Help: "A zone file, or with --axfr the name of a zone", Example: "example.org.zone"},
			{Name: "name", Type: noun.Parsed{Label: "domain name", Canonical: value.DomainName}, Help: "The zone's name; that of the SOA record where it is not given", Example: "example.org"},
			{Name: "axfr", Type: noun.Parsed{Label: "address", Canonical: value.HostAddress}, Help: "The server from which the zone is transferred", Example: "192.0.2.53"},
			{Name: "account", Reference: accountName, Help: "The account of a domain that is made", Example: "acme"},
			{Name: "replace", Type: noun.Boolean{}, Help: "Take away what the source does not have"},
		},
		Gather: gatherZone,
		Plan:   planImport,
	}
}

// gathered is the option that holds the text that was fetched.
const gathered = "text"

// gatherZone fetches the text of a zone before anything is locked.
func gatherZone(ctx context.Context, options noun.Values, read func(name string) ([]byte, error)) (noun.Values, error) {
	source, _ := options["source"].(string)
	server, _ := options["axfr"].(string)
	if server == "" {
		text, err := read(source)
		if err != nil {
			return nil, err
		}
		options[gathered] = string(text)
		return options, nil
	}
	name, err := value.DomainName(source)
	if err != nil {
		return nil, fault.AboutField(err, "source")
	}
	text, err := transfer(ctx, name, server)
	if err != nil {
		return nil, err
	}
	options[gathered], options["name"] = text, name
	return options, nil
}

// The limits of a transfer: of records, and of silence.
const (
	maxTransfer     = 200_000
	transferTimeout = 20 * time.Second
)

// transfer asks a server for a whole zone (RFC 5936).
func transfer(ctx context.Context, name, server string) (string, error) {
	request := new(dns.Msg)
	request.SetAxfr(dns.Fqdn(name))
	deadline := transferTimeout
	if at, has := ctx.Deadline(); has {
		deadline = min(deadline, time.Until(at))
	}
	channel := &dns.Transfer{DialTimeout: deadline, ReadTimeout: deadline}
	answers, err := channel.In(request, net.JoinHostPort(server, "53"))
	if err != nil {
		return "", notTransferred(name, server, err)
	}
	var text bytes.Buffer
	count, begun := 0, false
	for answer := range answers {
		if answer.Error != nil {
			return "", notTransferred(name, server, answer.Error)
		}
		for _, record := range answer.RR {
			_, isSOA := record.(*dns.SOA)
			if isSOA && begun {
				continue // the zone's end
			}
			begun = begun || isSOA
			if count++; count > maxTransfer {
				return "", fault.New(fault.Invalid, "the zone %s has more than %d records", name, maxTransfer)
			}
			text.WriteString(record.String())
			text.WriteByte('\n')
		}
	}
	return text.String(), nil
}

func notTransferred(name, server string, err error) error {
	return fault.New(fault.Unreachable, "the zone %s could not be transferred from %s", name, server).Because(err).
		WithHint("does that server allow transfers to this machine?")
}

func planImport(ctx context.Context, plan noun.Planner, _ noun.Row, options noun.Values) error {
	text, _ := options[gathered].(string)
	name, _ := options["name"].(string)
	given, err := readZone(text, name)
	if err != nil {
		return err
	}
	domain, err := importDomain(ctx, plan, given, options["account"])
	if err != nil {
		return err
	}
	for _, rtype := range given.dropped {
		plan.Warn(message.New("records of the type %s are left out", rtype))
	}
	replace, _ := options["replace"].(bool)
	return importRecords(ctx, plan, domain, given, replace)
}

// given is a zone as somebody else wrote it.
type given struct {
	name    string
	soa     *dns.SOA
	records []written
	dropped []string // types that are left out
}

// written is a record of a source.
type written struct {
	parts
	ttl int64
}

// readZone reads a zone file.
func readZone(text, name string) (*given, error) {
	g := &given{name: name}
	origin := ""
	if name != "" {
		origin = dns.Fqdn(name)
	}
	parser := dns.NewZoneParser(strings.NewReader(text), origin, "")
	parser.SetDefaultTTL(3600)
	parser.SetIncludeAllowed(false)
	count := 0
	for record, ok := parser.Next(); ok; record, ok = parser.Next() {
		if count++; count > maxTransfer {
			return nil, fault.New(fault.Invalid, "the zone has more than %d records", maxTransfer).About("source")
		}
		if err := g.add(record); err != nil {
			return nil, err
		}
	}
	if err := parser.Err(); err != nil {
		return nil, fault.New(fault.Invalid, "the zone file can't be read").Because(err).About("source")
	}
	if g.name == "" && g.soa != nil {
		g.name = plain(strings.ToLower(g.soa.Hdr.Name))
	}
	if g.name == "" {
		return nil, fault.New(fault.Invalid, "the zone file has no SOA record, and nothing says which zone it is").About("source").
			WithHint("--name example.org")
	}
	return g, nil
}

func (g *given) add(record dns.RR) error {
	header := record.Header()
	rtype := dns.TypeToString[header.Rrtype]
	switch record := record.(type) {
	case *dns.SOA:
		if int64(record.Serial) > maxImported {
			return fault.New(fault.Invalid, "the serial number %d leaves too few for the changes to come", record.Serial).About("source").
				WithHint("import it with a serial number that is at most %d", maxImported)
		}
		g.soa = record
		return nil
	case *dns.RRSIG, *dns.DNSKEY, *dns.NSEC, *dns.NSEC3, *dns.NSEC3PARAM, *dns.CDS, *dns.CDNSKEY:
		if !slices.Contains(g.dropped, rtype) {
			g.dropped = append(g.dropped, rtype)
		}
		return nil
	}
	if !slices.Contains(recordTypes(), rtype) {
		return fault.New(fault.Invalid, "%s has a record of the type %s, which is not possible here", plain(header.Name), rtype).About("source")
	}
	owner, err := value.OwnerName(header.Name)
	if err != nil {
		return fault.AboutField(err, "source")
	}
	p := parts{owner: owner, rtype: rtype}
	if txt, is := record.(*dns.TXT); is {
		p.value = valueOfStrings(canonicalStrings(txt.Txt))
	} else {
		p.value = rdataOf(record)
	}
	if err := checkValue(p.value); err != nil {
		return fault.AboutField(err, "source")
	}
	g.records = append(g.records, written{p, int64(header.Ttl)})
	return nil
}

// canonicalStrings writes strings with the escapes that we write.
func canonicalStrings(all []string) []string {
	canonical := make([]string, len(all))
	for i, one := range all {
		canonical[i] = escapeString(textOf([]string{one}))
	}
	return canonical
}

// importDomain returns the domain of a zone that is imported, made where there is none.
func importDomain(ctx context.Context, plan noun.Planner, g *given, account any) (noun.Row, error) {
	values := noun.Values{}
	if g.soa != nil {
		values = g.fields(plan)
	}
	domain, err := plan.Find(ctx, domainName, g.name)
	switch {
	case err == nil:
		if err := checkAccount(ctx, plan, domain, account); err != nil {
			return domain, err
		}
		domain, err = plan.Set(ctx, domain, values)
	case fault.Is(err, fault.NotFound) && account == nil:
		return domain, fault.New(fault.Usage, "there is no domain %s yet, and nothing says whose it is to be", g.name).WithHint("--account acme")
	case fault.Is(err, fault.NotFound):
		values["name"], values["account"] = g.name, account
		domain, err = plan.Add(ctx, domainName, values)
	}
	if err != nil || g.soa == nil {
		return domain, err
	}
	// Slaves that know the zone take only what is newer.
	if int64(g.soa.Serial) < domain.Int("serial") || domain.Int("zone") != 0 {
		return domain, nil
	}
	if _, err := plan.Number(ctx, "serial."+g.name, int64(g.soa.Serial)); err != nil {
		return domain, err
	}
	return domain, renew(ctx, plan, domain.ID)
}

// checkAccount refuses an import into a domain of another account than the one
// that is asked for.
func checkAccount(ctx context.Context, view noun.View, domain noun.Row, account any) error {
	name, given := account.(string)
	if !given {
		return nil
	}
	asked, err := view.Find(ctx, accountName, name)
	if err != nil {
		return err
	}
	if asked.ID == domain.Int("account") {
		return nil
	}
	return fault.New(fault.Conflict, "%s belongs to another account than %s", domain.Text("name"), name).About("domain.account").
		WithHint("orchestra domain set %s --account %s", domain.Text("name"), name)
}

// fields returns what a SOA record says, nothing for what the settings say too.
func (g *given) fields(view noun.View) noun.Values {
	values, defaults := noun.Values{}, view.Settings().DNS
	for field, one := range map[string]struct {
		is    uint32
		usual int64
	}{
		"refresh": {g.soa.Refresh, defaults.Refresh}, "retry": {g.soa.Retry, defaults.Retry}, "expire": {g.soa.Expire, defaults.Expire},
		"minimum": {g.soa.Minttl, defaults.Minimum}, "ttl": {g.soa.Hdr.Ttl, defaults.TTL},
	} {
		values[field] = nil
		if int64(one.is) != one.usual {
			values[field] = int64(one.is)
		}
	}
	if name, err := value.DomainName(g.soa.Ns); err == nil {
		values["mname"] = nil
		if name != g.usualPrimary(defaults) {
			values["mname"] = name
		}
	}
	if email := emailOf(g.soa.Mbox); email != "" {
		values["rname"] = nil
		if email != cmp.Or(defaults.Hostmaster, "hostmaster@"+g.name) {
			values["rname"] = email
		}
	}
	return values
}

// usualPrimary returns the primary name server that the zone has where nobody
// says which; "" where it is not the first one of the settings.
func (g *given) usualPrimary(defaults settings.DNS) string {
	if len(defaults.Nameservers) == 0 {
		return ""
	}
	first, none := defaults.Nameservers[0], true
	for _, record := range g.records {
		if record.owner == g.name && record.rtype == "NS" {
			if strings.EqualFold(plain(record.value), first) {
				return first
			}
			none = false
		}
	}
	if none {
		return first
	}
	return ""
}

// emailOf is the inverse of mailbox; "" where it is no e-mail that is accepted.
func emailOf(mbox string) string {
	for i := 0; i < len(mbox); i++ {
		switch mbox[i] {
		case '\\':
			i++
		case '.':
			local := strings.ReplaceAll(mbox[:i], `\`, "")
			email, err := value.Email(local + "@" + plain(mbox[i+1:]))
			if err != nil {
				return ""
			}
			return email
		}
	}
	return ""
}

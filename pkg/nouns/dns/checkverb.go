package dns

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/value"
)

func checkVerb() noun.Verb {
	return noun.Verb{
		Name: "check", Help: "Compare what the name servers and the parent say of a domain with the database",
		Long: "Each server that has the zone is asked for all its records, and the parent, through a resolver, which name servers and keys it " +
			"knows. Of a signed zone, signatures that run out within three days are named. Ends with 11 where anything differs, and with 7 " +
			"where a server does not answer.",
		Example: "orchestra domain check example.org --resolver 192.0.2.1",
		Options: []noun.Field{
			{Name: "resolver", Type: noun.Parsed{Label: "address", Canonical: value.HostAddress},
				Help: "The resolver that is asked about the parent; the system's where none is given", Example: "192.0.2.1"},
		},
		Show: showCheck,
	}
}

// report gathers what a check finds.
type report struct {
	table  noun.Table
	now    time.Time
	silent []string // those that did not answer
}

func (r *report) add(server, name, rtype, wanted, found string, ok bool) {
	r.table.Rows = append(r.table.Rows, noun.Values{
		"server": server, "owner": plain(name), "type": rtype, "wanted": wanted, "found": found, "ok": ok,
	})
	r.table.Differs = r.table.Differs || !ok
}

func showCheck(ctx context.Context, view noun.View, domain noun.Row, options noun.Values) (noun.Table, error) {
	z, err := zoneFor(ctx, view, domain, served)
	if err != nil {
		return noun.Table{}, err
	}
	servers, err := nameServers(ctx, view, z.apex)
	if err != nil {
		return noun.Table{}, err
	}
	if len(servers) == 0 {
		return noun.Table{}, fault.New(fault.Conflict, "the zone %s is on no server", z.name()).WithHint("orchestra route list")
	}
	r := &report{table: noun.Table{Columns: []string{"server", "owner", "type", "wanted", "found", "ok"}}, now: view.Now()}
	for _, server := range servers {
		r.compare(ctx, server, z)
	}
	resolver, _ := options["resolver"].(string)
	r.parent(ctx, resolver, z, servers)
	r.table.Failed = r.unanswered()
	return r.table, nil
}

// parentName is what stands for the parent where servers are named.
const parentName = "parent"

// unanswered is that some did not answer, nil where all did.
func (r *report) unanswered() error {
	if len(r.silent) == 0 {
		return nil
	}
	e := fault.New(fault.Unreachable, "no answer from: %s", strings.Join(r.silent, ", "))
	if r.silent[0] == parentName {
		return e.WithHint("--resolver 192.0.2.1")
	}
	return e.WithHint("orchestra server check %s", r.silent[0])
}

// failed adds a question that a server has no good answer to.
func (r *report) failed(server, name, rtype, wanted string, err error) {
	r.add(server, name, rtype, wanted, oneLine(err), false)
	if !isReached(err) && !slices.Contains(r.silent, server) {
		r.silent = append(r.silent, server)
	}
}

// compare asks one server for the whole zone. What agrees is one row.
func (r *report) compare(ctx context.Context, server nameServer, z *zone) {
	name := dns.Fqdn(z.name())
	answer, err := ask(ctx, server.address, name, dns.TypeSOA, false)
	wanted := strconv.FormatUint(uint64(z.soa.Serial), 10)
	if err != nil {
		r.failed(server.name, name, "SOA", wanted, err)
		return
	}
	soa := soaOf(answer)
	if soa == nil || !answer.Authoritative {
		r.add(server.name, name, "SOA", wanted, "", false)
		return
	}
	// A server may be ahead: it went on to a newer number where an operation was undone, or it signs.
	r.add(server.name, name, "SOA", wanted, strconv.FormatUint(uint64(soa.Serial), 10), !olderThan(soa.Serial, z.soa.Serial))
	sets := z.sets()
	for i, said := range askAll(ctx, server, sets) {
		one, rtype, wanted := sets[i], dns.TypeToString[sets[i].rtype], strings.Join(sets[i].values, ", ")
		switch {
		case said.err != nil:
			r.failed(server.name, one.name, rtype, wanted, said.err)
		case said.asked && !slices.Equal(said.values, one.values):
			r.add(server.name, one.name, rtype, wanted, strings.Join(said.values, ", "), false)
		}
	}
	if z.apex.Bool("dnssec") && !slices.Contains(r.silent, server.name) {
		r.signatures(ctx, server, name)
	}
}

// olderThan compares serial numbers (RFC 1982).
func olderThan(a, b uint32) bool { return a != b && int32(a-b) < 0 }

func soaOf(answer *dns.Msg) *dns.SOA {
	for _, record := range answer.Answer {
		if soa, is := record.(*dns.SOA); is {
			return soa
		}
	}
	return nil
}

// soon is how long before its end a signature is named. BIND and PowerDNS make
// new ones earlier than that.
const soon = 3 * 24 * time.Hour

// signatures looks at the signatures of the zone's own records.
func (r *report) signatures(ctx context.Context, server nameServer, name string) {
	for _, rtype := range []uint16{dns.TypeSOA, dns.TypeDNSKEY} {
		answer, err := ask(ctx, server.address, name, rtype, false)
		if err != nil {
			r.failed(server.name, name, "RRSIG "+dns.TypeToString[rtype], "", err)
			continue
		}
		signed := false
		for _, record := range answer.Answer {
			if signature, is := record.(*dns.RRSIG); is && signature.TypeCovered == rtype {
				signed = true
				ends := time.Unix(int64(signature.Expiration), 0).UTC()
				r.add(server.name, name, "RRSIG "+dns.TypeToString[rtype], "", ends.Format(time.RFC3339), ends.Sub(r.now) > soon)
			}
		}
		if !signed {
			r.add(server.name, name, "RRSIG "+dns.TypeToString[rtype], "", "", false)
		}
	}
}

// parent asks, through a resolver, which servers and keys the parent knows.
func (r *report) parent(ctx context.Context, resolver string, z *zone, servers []nameServer) {
	address, err := resolverAddress(resolver)
	name := dns.Fqdn(z.name())
	if err != nil {
		r.failed(parentName, name, "NS", "", err)
		return
	}
	var wanted []string
	for _, one := range z.sets() {
		if one.name == name && one.rtype == dns.TypeNS {
			for _, record := range one.values {
				_, host, _ := strings.Cut(record, " ")
				wanted = append(wanted, host)
			}
		}
	}
	r.delegated(ctx, address, name, dns.TypeNS, wanted)
	if !z.apex.Bool("dnssec") {
		return
	}
	if keys, err := delegationSigners(ctx, servers, z.name()); err == nil {
		r.delegated(ctx, address, name, dns.TypeDS, keys)
	}
}

// delegated compares one kind of what the parent says, without times to live.
func (r *report) delegated(ctx context.Context, address, name string, rtype uint16, wanted []string) {
	answer, err := ask(ctx, address, name, rtype, true)
	if err != nil {
		r.failed(parentName, name, dns.TypeToString[rtype], strings.Join(wanted, ", "), err)
		return
	}
	var found []string
	for _, text := range valuesOf(answer, name, rtype) {
		_, text, _ = strings.Cut(text, " ")
		found = append(found, text)
	}
	slices.Sort(wanted)
	slices.Sort(found)
	r.add(parentName, name, dns.TypeToString[rtype], strings.Join(wanted, ", "), strings.Join(found, ", "), slices.Equal(wanted, found))
}

func resolverAddress(given string) (string, error) {
	if given != "" {
		return net.JoinHostPort(given, "53"), nil
	}
	config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil || len(config.Servers) == 0 {
		return "", fault.New(fault.Unreachable, "no resolver is known here").WithHint("--resolver 192.0.2.1")
	}
	return net.JoinHostPort(config.Servers[0], config.Port), nil
}

func oneLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

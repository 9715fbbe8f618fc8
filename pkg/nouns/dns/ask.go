package dns

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"orchestra/pkg/noun"
)

// askTimeout is how long a name server may take for one answer, and askAtOnce
// how many questions it is asked at the same time.
const (
	askTimeout = 3 * time.Second
	askAtOnce  = 16
)

// nameServer is a server that has a zone.
type nameServer struct{ name, address string }

// nameServers returns the servers on which a domain is, by name.
func nameServers(ctx context.Context, view noun.View, domain noun.Row) ([]nameServer, error) {
	places, err := view.Places(ctx, domainName, domain.ID)
	if err != nil {
		return nil, err
	}
	var ids []any
	for _, servers := range places {
		for _, id := range servers {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := view.Select(ctx, serverName, noun.Where("id", ids...))
	if err != nil {
		return nil, err
	}
	var all []nameServer
	for _, row := range rows {
		if address := row.Text("address"); address != "" {
			all = append(all, nameServer{row.Text("name"), net.JoinHostPort(address, "53")})
		}
	}
	return all, nil
}

// ask asks a name server one question, over TCP where the answer is too long.
func ask(ctx context.Context, address, name string, rtype uint16, recursive bool) (*dns.Msg, error) {
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(name), rtype)
	question.RecursionDesired = recursive
	question.SetEdns0(1232, true)
	client := &dns.Client{Timeout: askTimeout}
	answer, _, err := client.ExchangeContext(ctx, question, address)
	if err == nil && answer.Truncated {
		client.Net = "tcp"
		answer, _, err = client.ExchangeContext(ctx, question, address)
	}
	if err == nil && answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
		err = errors.New(dns.RcodeToString[answer.Rcode])
	}
	return answer, err
}

// valuesOf returns what an answer says of a name and type, in one form and order.
func valuesOf(answer *dns.Msg, name string, rtype uint16) []string {
	var values []string
	for _, record := range append(slices.Clone(answer.Answer), answer.Ns...) {
		header := record.Header()
		if header.Rrtype == rtype && strings.EqualFold(header.Name, dns.Fqdn(name)) {
			values = append(values, valueOf(record))
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// valueOf returns a record's value with its time to live.
func valueOf(record dns.RR) string {
	record = dns.Copy(record)
	lowerNames(record)
	return strconv.FormatUint(uint64(record.Header().Ttl), 10) + " " + rdataOf(record)
}

// set is all records of one name and type.
type set struct {
	name   string
	rtype  uint16
	values []string
}

// sets returns the records of a zone by name and type.
func (z *zone) sets() []set {
	var all []set
	for _, record := range z.records {
		header := record.Header()
		if last := len(all) - 1; last >= 0 && all[last].name == header.Name && all[last].rtype == header.Rrtype {
			all[last].values = append(all[last].values, valueOf(record))
			continue
		}
		all = append(all, set{header.Name, header.Rrtype, []string{valueOf(record)}})
	}
	for _, one := range all {
		slices.Sort(one.values)
	}
	return all
}

// askAll asks a server for all sets of a zone; answers[i] is that to sets[i].
func askAll(ctx context.Context, server nameServer, sets []set) (answers [][]string, err error) {
	answers = make([][]string, len(sets))
	errs := make([]error, len(sets))
	slots := make(chan struct{}, askAtOnce)
	var waits sync.WaitGroup
	for i, one := range sets {
		slots <- struct{}{}
		waits.Go(func() {
			defer func() { <-slots }()
			if answer, err := ask(ctx, server.address, one.name, one.rtype, false); err != nil {
				errs[i] = err
			} else {
				answers[i] = valuesOf(answer, one.name, one.rtype)
			}
		})
	}
	waits.Wait()
	return answers, errors.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil })...)
}

package dns

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"orchestra/pkg/noun"
)

// askTimeout is how long a name server may take for one answer, and askAtOnce
// how many questions it is asked at the same time. After as many in a row as
// maxSilence that were not answered, it is asked no more.
const (
	askTimeout = 3 * time.Second
	askAtOnce  = 16
	maxSilence = 3
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

// refusedWith is that a name server answered, but with an error: it was reached.
type refusedWith int

// Error implements error.
func (r refusedWith) Error() string { return dns.RcodeToString[int(r)] }

// isReached tells whether a server answered, whatever it said.
func isReached(err error) bool {
	var refused refusedWith
	return err == nil || errors.As(err, &refused)
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
		err = refusedWith(answer.Rcode)
	}
	return answer, err
}

// valuesOf returns what an answer says of a name and type, in one form and order.
// What is at a delegation is beside the answer, and its glue behind that.
func valuesOf(answer *dns.Msg, name string, rtype uint16) []string {
	var values []string
	for _, record := range slices.Concat(answer.Answer, answer.Ns, answer.Extra) {
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

// sets returns the records of a zone by name and type. Addresses below a
// delegation that no name server of it has are in no answer, and so in no set.
func (z *zone) sets() []set {
	var all []set
	names := z.index()
	for _, record := range z.records {
		header := record.Header()
		if cut := z.cutAbove(names, header.Name); cut != "" && !z.delegates(cut, header.Name) {
			continue
		}
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

// delegates tells whether a host is a name server of a delegated name.
func (z *zone) delegates(cut, host string) bool {
	return slices.ContainsFunc(z.records, func(record dns.RR) bool {
		ns, is := record.(*dns.NS)
		return is && record.Header().Name == cut && ns.Ns == host
	})
}

// answer is what a server says to the question for one set.
type answer struct {
	values []string
	err    error
	asked  bool // false where it was no more asked, since it had ceased to answer
}

// askAll asks a server for all sets of a zone; answers[i] is that to sets[i].
func askAll(ctx context.Context, server nameServer, sets []set) []answer {
	answers := make([]answer, len(sets))
	slots := make(chan struct{}, askAtOnce)
	var silence atomic.Int32 // questions in a row that were not answered
	var waits sync.WaitGroup
	for i, one := range sets {
		slots <- struct{}{}
		if silence.Load() >= maxSilence {
			break
		}
		waits.Go(func() {
			defer func() { <-slots }()
			said, err := ask(ctx, server.address, one.name, one.rtype, false)
			answers[i] = answer{err: err, asked: true}
			if err == nil {
				answers[i].values = valuesOf(said, one.name, one.rtype)
			}
			if isReached(err) {
				silence.Store(0)
			} else {
				silence.Add(1)
			}
		})
	}
	waits.Wait()
	return answers
}

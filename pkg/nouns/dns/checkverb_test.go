package dns

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/settings"
)

// serve answers questions at an address of loopback; nil is no answer at all.
func serve(t *testing.T, handle func(question dns.Question) *dns.Msg) nameServer {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	server := &dns.Server{PacketConn: socket, NotifyStartedFunc: func() { close(ready) }}
	server.Handler = dns.HandlerFunc(func(to dns.ResponseWriter, asked *dns.Msg) {
		if answer := handle(asked.Question[0]); answer != nil {
			rcode := answer.Rcode
			answer.SetReply(asked)
			answer.Rcode, answer.Authoritative = rcode, true
			_ = to.WriteMsg(answer)
		}
	})
	go func() { _ = server.ActivateAndServe() }()
	<-ready
	t.Cleanup(func() { _ = server.Shutdown() })
	return nameServer{"h11", socket.LocalAddr().String()}
}

// zoneWith makes example.org of records; their time to live is an hour.
func zoneWith(t *testing.T, values noun.Values, records ...string) *zone {
	t.Helper()
	apex := noun.Values{"name": "example.org", "serial": int64(7)}
	for name, value := range values {
		apex[name] = value
	}
	row := noun.Row{Noun: domainName, ID: 1, Values: apex}
	z := &zone{apex: row, domains: []noun.Row{row}}
	rows := make([]noun.Row, len(records))
	for i, text := range records {
		p, err := split(text)
		if err != nil {
			t.Fatal(err)
		}
		rows[i] = noun.Row{Noun: recordName, Values: noun.Values{"name": text, "owner": p.owner, "type": p.rtype, "value": p.value}}
	}
	defaults := settings.Default().DNS
	defaults.TTL = 3600
	if err := z.fill(rows, defaults); err != nil {
		t.Fatal(err)
	}
	return z
}

// answered is a message with records, each for the section that it stands in.
func answered(t *testing.T, answer, authority, additional []string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	for section, texts := range map[*[]dns.RR][]string{&m.Answer: answer, &m.Ns: authority, &m.Extra: additional} {
		for _, text := range texts {
			record, err := dns.NewRR(text)
			if err != nil {
				t.Error(err)
			}
			*section = append(*section, record)
		}
	}
	return m
}

// soaLine is the SOA record of zoneWith.
const soaLine = "example.org. 3600 IN SOA ns1.example.net. hostmaster.example.org. 7 1 1 1 1"

// wrong returns what a check found that is not as it should be.
func (r *report) wrong() []string {
	var all []string
	for _, row := range r.table.Rows {
		if row["ok"] == false {
			all = append(all, fmt.Sprint(row["owner"], " ", row["type"], " ", row["found"]))
		}
	}
	return all
}

func TestSignaturesAreNamedThreeDaysBeforeTheirEnd(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		left time.Duration
		ok   bool
	}{
		{14 * 24 * time.Hour, true}, // made just now
		{5 * 24 * time.Hour, true},  // the last moment before BIND makes it anew
		{3 * 24 * time.Hour, false}, {-time.Hour, false},
	} {
		server := serve(t, func(question dns.Question) *dns.Msg {
			return answered(t, []string{fmt.Sprintf("example.org. 3600 IN RRSIG %s 13 2 3600 %s 20261101000000 1 example.org. AAAA",
				dns.TypeToString[question.Qtype], now.Add(test.left).Format("20060102150405"))}, nil, nil)
		})
		r := &report{now: now}
		r.signatures(t.Context(), server, "example.org.")
		if len(r.table.Rows) != 2 || r.table.Differs == test.ok {
			t.Errorf("%s left: %v", test.left, r.table.Rows)
		}
	}
}

func TestGlueIsNotMissing(t *testing.T) {
	z := zoneWith(t, nil, "sub.example.org NS ns.sub.example.org.", "ns.sub.example.org A 192.0.2.53", "no.sub.example.org A 192.0.2.54")
	glue := "192.0.2.53"
	server := serve(t, func(question dns.Question) *dns.Msg {
		if question.Qtype == dns.TypeSOA {
			return answered(t, []string{soaLine}, nil, nil)
		}
		return answered(t, nil, []string{"sub.example.org. 3600 IN NS ns.sub.example.org."}, []string{"ns.sub.example.org. 3600 IN A " + glue})
	})
	r := &report{}
	r.compare(t.Context(), server, z)
	if wrong := r.wrong(); len(wrong) > 0 {
		t.Errorf("named as wrong: %q", wrong)
	}
	glue = "192.0.2.99"
	r.compare(t.Context(), server, z)
	if wrong := r.wrong(); len(wrong) != 1 || wrong[0] != "ns.sub.example.org A 3600 192.0.2.99" {
		t.Errorf("another glue: %q", wrong)
	}
}

func TestAnErrorHidesNothingElse(t *testing.T) {
	z := zoneWith(t, nil, "a.example.org A 192.0.2.1", "b.example.org A 192.0.2.2", "c.example.org A 192.0.2.3")
	server := serve(t, func(question dns.Question) *dns.Msg {
		switch question.Name {
		case "a.example.org.":
			return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}
		case "b.example.org.":
			return new(dns.Msg)
		case "c.example.org.":
			return answered(t, []string{"c.example.org. 3600 IN A 192.0.2.3"}, nil, nil)
		}
		return answered(t, []string{soaLine}, nil, nil)
	})
	r := &report{}
	r.compare(t.Context(), server, z)
	if got := strings.Join(r.wrong(), ", "); got != "a.example.org A SERVFAIL, b.example.org A " {
		t.Errorf("named as wrong: %q", got)
	}
	if err := r.unanswered(); err != nil {
		t.Errorf("a server that answers with an error is called silent: %v", err)
	}
}

func TestASilentServerIsAskedNoMore(t *testing.T) {
	var records []string
	for i := range 200 {
		records = append(records, fmt.Sprintf("h%d.example.org A 192.0.2.1", i))
	}
	z := zoneWith(t, noun.Values{"dnssec": true}, records...)
	var asked atomic.Int32
	server := serve(t, func(question dns.Question) *dns.Msg {
		if asked.Add(1); question.Qtype == dns.TypeSOA {
			return answered(t, []string{soaLine}, nil, nil)
		}
		return nil
	})
	r := &report{}
	began := time.Now()
	r.compare(t.Context(), server, z)
	if took := time.Since(began); took > 3*askTimeout || asked.Load() > 3*askAtOnce {
		t.Errorf("it was asked %d times, in %s", asked.Load(), took)
	}
	if err := r.unanswered(); !fault.Is(err, fault.Unreachable) || !strings.Contains(err.Error(), "h11") {
		t.Errorf("it ends with %v", err)
	}
}

package operation

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// What people read of a lost server says what happened to it, and nothing of
// what the panel was reading just then.
func TestALostServerIsToldInOneSentence(t *testing.T) {
	silent := fault.New(fault.Unreachable, "server %s (%s) stopped answering", "h12", "192.0.2.12")
	for name, test := range map[string]struct {
		failure error
		want    string
	}{
		"silent": {fmt.Errorf("%w: header: %w", wire.ErrBroken, silent), "server h12 (192.0.2.12) stopped answering"},
		"broken": {fmt.Errorf("%w: header: %w", wire.ErrBroken, errors.New("half")), "what it sent was cut off or damaged: header: half"},
		"ended":  {nil, "the connection has ended"},
	} {
		if got := (&link{failure: test.failure}).ended().Error(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	r := &run{}
	asked := r.observed(&lostError{server: Server{Name: "h12"}, cause: silent})
	if strings.Contains(asked.Error(), "nothing was changed") || !fault.Is(asked, fault.Unreachable) {
		t.Errorf("a question that was not answered says %q", asked)
	}
}

func TestAnOutageHasNoLengthOfNothing(t *testing.T) {
	r := &run{job: &job{unreached: map[int64]error{}}, resting: map[int64]rest{1: {lasts: 2 * time.Millisecond, left: time.Minute}}}
	if why := r.owedWhy(Server{ID: 1, Name: "h12", Enabled: true}).String(); !strings.Contains(why, "out of reach for 1s ") {
		t.Errorf("it says %q", why)
	}
}

// A cautious request takes nothing from any server, and says from which it would.
func TestACautiousRequestTakesNothingAway(t *testing.T) {
	p := newPlan()
	p.servers = map[int64]Server{1: {Name: "h11"}, 2: {Name: "h12"}}
	if takes := p.takesAway(); takes != nil {
		t.Errorf("a plan without anything takes away: %v", takes)
	}
	p.unplace = []store.Placement{
		{Noun: "item", Object: 1, Backend: "files", Server: 2}, {Noun: "item", Object: 2, Backend: "files", Server: 2},
		{Noun: "item", Object: 1, Backend: "mail", Server: 2}, {Noun: "item", Object: 3, Backend: "files", Server: 9}, // one that is given up
	}
	takes := p.takesAway()
	if takes == nil || takes.Objects != 2 || strings.Join(takes.Servers, " ") != "h12" {
		t.Errorf("it says %v", takes)
	}
}

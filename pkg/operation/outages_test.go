package operation

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/fault"
	"orchestra/pkg/remote"
	"orchestra/pkg/store"
)

// restingPanel is a panel with two servers of which the second may wait and is
// down: one operation has found that out.
func restingPanel(t *testing.T) (*testPanel, []*fakeServer) {
	t.Helper()
	servers := fakes(2)
	p := newTestPanel(t, queueing(2), connectTo(servers))
	p.options.Settings.SSH.RetryAfter = time.Minute
	p.must("account", addAccount("acme"))
	p.must("add", addItem("zero", "acme", "v1"))
	servers[1].down = true
	if o, tries := p.must("add", addItem("first", "acme", "v1")), servers[1].tries(); tries == 0 || !owesTo(o, 1) {
		t.Fatalf("%d tries, %+v", tries, o.Servers)
	}
	servers[1].tries()
	return p, servers
}

// tries returns how often the server was tried since it was last asked.
func (f *fakeServer) tries() int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	tries := f.starts
	f.starts = 0
	return tries
}

func owesTo(o *Outcome, server int) bool { return o.Servers[server].Dirty }

func (p *testPanel) outages() map[int64]store.Outage {
	p.t.Helper()
	var outages map[int64]store.Outage
	if err := p.store.View(context.Background(), func(tx *store.Tx) error {
		var err error
		outages, err = tx.Outages(context.Background())
		return err
	}); err != nil {
		p.t.Fatal(err)
	}
	return outages
}

func TestAServerOutOfReachIsLeftAloneForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, servers := restingPanel(t)
		for _, name := range []string{"a", "b", "c"} {
			o := p.must("add", addItem(name, "acme", "v1"))
			if tries := servers[1].tries(); tries != 0 || !owesTo(o, 1) {
				t.Fatalf("%s: %d tries, %+v", name, tries, o.Servers)
			}
			if len(o.Warnings) != 1 || !strings.Contains(o.Warnings[0].String(), "is not tried again for") {
				t.Errorf("%s: warnings %v", name, o.Warnings)
			}
			time.Sleep(10 * time.Second)
		}
		// To look, and to set what is so already, is no reason to try either.
		preview, err := p.Preview(context.Background(), Request{Command: "add", Mutate: addItem("d", "acme", "v1")})
		if err != nil || preview.Servers[1].Owed.IsZero() || preview.Servers[1].Err != nil {
			t.Errorf("%v %+v", err, preview)
		}
		if o := p.must("set", setItem("a", "value", "v1")); o.Number != 0 || len(o.Warnings) != 1 {
			t.Errorf("%+v", o)
		}
		if tries := servers[1].tries(); tries != 0 {
			t.Errorf("%d tries", tries)
		}
		// After it one operation tries, once; then it rests again.
		time.Sleep(40 * time.Second)
		for i, want := range []int{1, 0, 0} {
			o := p.must("set", setItem("a", "value", strings.Repeat("x", i+2)))
			if tries := servers[1].tries(); tries != want || !owesTo(o, 1) {
				t.Errorf("set %d: %d tries, %v", i, tries, o.Warnings)
			}
		}
		// Back, it is seen when the rest is over, and then has everything.
		servers[1].down = false
		time.Sleep(6 * time.Minute)
		p.must("set", setItem("b", "value", "v9"))
		if diff := cmp.Diff(p.items(), servers[1].values()); diff != "" || len(p.dirty()) != 0 || len(p.outages()) != 0 {
			t.Error(diff, p.dirty(), p.outages())
		}
	})
}

func TestSomeCommandsAlwaysTry(t *testing.T) {
	for name, try := range map[string]func(*testPanel) error{
		"recover": func(p *testPanel) error { _, _, err := p.Recover(context.Background()); return err },
		"check": func(p *testPanel) error {
			_, _, err := p.Probe(context.Background(), "h12")
			if fault.Is(err, fault.Unreachable) {
				err = nil
			}
			return err
		},
		"a secret": func(p *testPanel) error {
			_, err := p.run("send", sendSecret("s3cret"))
			if !fault.Is(err, fault.Unreachable) {
				return err
			}
			return nil
		},
		"a route that fails": func(p *testPanel) error {
			p.topology.routes[1].Queue = false
			_, err := p.run("add", addItem("other", "acme", "v1"))
			p.topology.routes[1].Queue = true
			if !fault.Is(err, fault.Unreachable) || fault.KindOf(err).ExitCode() != 7 {
				return fault.New(fault.Internal, "it said %v", err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, servers := restingPanel(t)
			if name == "a secret" { // of an object that is there
				servers[1].down = false
				if _, _, err := p.Recover(context.Background()); err != nil {
					t.Fatal(err)
				}
				p.must("add", addItem("one", "acme", "v1"))
				servers[1].down = true
				p.must("add", addItem("two", "acme", "v1"))
				servers[1].tries()
			}
			if err := try(p); err != nil {
				t.Fatal(err)
			}
			if servers[1].tries() == 0 {
				t.Error("it was not tried")
			}
			servers[1].down = false
			if name != "recover" && name != "check" {
				return
			}
			if err := try(p); err != nil || len(p.outages()) != 0 {
				t.Error("it has answered:", err, p.outages())
			}
			// An answer ends it: the next operation reaches it.
			if o := p.must("add", addItem("after", "acme", "v1")); owesTo(o, 1) || len(p.dirty()) != 0 {
				t.Errorf("%+v %v", o, p.dirty())
			}
		})
	}
}

func TestWhatAnAnswerAndAFailureLeave(t *testing.T) {
	p, servers := restingPanel(t)
	first := p.outages()[2]
	if first.Since.IsZero() || len(p.outages()) != 1 {
		t.Fatal(p.outages())
	}
	if _, _, err := p.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	if again := p.outages()[2]; again.Since != first.Since || !again.Tried.After(first.Tried) {
		t.Errorf("%v, then %v", first, again)
	}
	servers[1].down = false
	if _, _, err := p.Recover(context.Background()); err != nil || len(p.outages()) != 0 {
		t.Fatal(err, p.outages())
	}
}

func TestTwoCommandsAtOnceLockNoServerOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, servers := restingPanel(t)
		for round := range 4 {
			time.Sleep(6 * time.Minute)
			var group sync.WaitGroup
			for _, name := range []string{"zero", "first"} {
				group.Go(func() {
					if _, err := p.run("set", setItem(name, "value", strings.Repeat("y", round+1))); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
		}
		if servers[1].tries() < 4 {
			t.Error("it was tried too seldom")
		}
		servers[1].down = false
		time.Sleep(longestRest*time.Minute + time.Second)
		p.must("set", setItem("zero", "value", "v3"))
		if diff := cmp.Diff(p.items(), servers[1].values()); diff != "" || len(p.dirty()) != 0 {
			t.Error(diff, p.dirty())
		}
	})
}

func TestHowLongAServerRests(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, test := range map[string]struct {
		since, tried time.Duration // ago
		after        time.Duration
		left         time.Duration // 0: it is tried
	}{
		"just found":                       {0, 0, time.Minute, time.Minute},
		"found a while ago":                {20 * time.Second, 20 * time.Second, time.Minute, 40 * time.Second},
		"rested":                           {time.Minute, time.Minute, time.Minute, 0},
		"tried a second time":              {100 * time.Second, 0, time.Minute, 100 * time.Second},
		"out for long":                     {24 * time.Hour, 0, time.Minute, 5 * time.Minute},
		"out for long, rested":             {24 * time.Hour, 5 * time.Minute, time.Minute, 0},
		"never left alone":                 {time.Hour, 0, 0, 0},
		"tried in the future":              {time.Hour, -time.Second, time.Minute, 0},
		"tried far in the future":          {-1000 * time.Hour, -1000 * time.Hour, time.Minute, 0},
		"began in the future":              {-time.Hour, 10 * time.Second, time.Minute, 50 * time.Second},
		"restored from an old backup":      {1000 * time.Hour, 999 * time.Hour, time.Minute, 0},
		"restored, of a clock before 1970": {1 << 62, 1 << 62, time.Minute, 0},
	} {
		rest, resting := restOf(store.Outage{Since: ago(test.since), Tried: ago(test.tried)}, now, test.after)
		if resting != (test.left > 0) || rest.left != test.left || rest.lasts < 0 {
			t.Errorf("%s: %v %v", name, resting, rest)
		}
	}
}

func TestAClockThatWasSetBackLocksNobodyOut(t *testing.T) {
	p, servers := restingPanel(t)
	err := p.store.Update(context.Background(), func(tx *store.Tx) error {
		return tx.BeginOutages(context.Background(), []int64{2}, time.Now().Add(1000*time.Hour))
	})
	if err != nil {
		t.Fatal(err)
	}
	p.must("add", addItem("one", "acme", "v1"))
	if servers[1].tries() == 0 {
		t.Error("a time in the future keeps it from being tried")
	}
	if outage := p.outages()[2]; outage.Tried.After(time.Now()) || outage.Since.After(time.Now()) {
		t.Error(outage)
	}
}

// After its rest a server is not waited for as long as one that was never away.
func TestAServerThatRestedIsTriedBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := fakes(2)
		var waited []time.Duration
		down := false
		connect := func(ctx context.Context, server Server) (remote.Transport, error) {
			if server.ID != 2 || !down {
				return fakeTransport{servers[server.ID-1]}, nil
			}
			began := time.Now()
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
			}
			waited = append(waited, time.Since(began))
			return nil, fault.New(fault.Unreachable, "no answer")
		}
		p := newTestPanel(t, queueing(2), connect)
		p.options.Settings.SSH.RetryAfter = time.Minute
		p.must("account", addAccount("acme"))
		p.must("add", addItem("one", "acme", "v1"))
		down = true
		p.must("set", setItem("one", "value", "v2"))
		time.Sleep(2 * time.Minute)
		p.must("set", setItem("one", "value", "v3"))
		if diff := cmp.Diff([]time.Duration{10 * time.Second, briefTimeout}, waited); diff != "" {
			t.Error(diff)
		}
		time.Sleep(10 * time.Minute)
		p.topology.routes[1].Queue = false
		if _, err := p.run("set", setItem("one", "value", "v4")); !fault.Is(err, fault.Unreachable) {
			t.Error(err)
		}
		if waited[len(waited)-1] != 10*time.Second {
			t.Error("one that must be reached is waited for:", waited)
		}
	})
}

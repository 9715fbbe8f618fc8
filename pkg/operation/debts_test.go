package operation

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"orchestra/pkg/fault"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

func losing(server *fakeServer, word wire.Word, before bool) {
	server.cut = func(heard wire.Word, is bool) bool {
		if heard == word && is == before {
			server.down = true
			return true
		}
		return false
	}
}

// A server that was lost while it kept is not asked to undo what is committed,
// whatever it had come to, and follows again once it is back.
func TestAServerThatWasDisabledWhileItKeptComesBack(t *testing.T) {
	for _, test := range []struct {
		name   string
		before bool // KEEP never arrived
		forget bool
	}{{"it has kept", false, false}, {"it is active", true, false}, {"it has forgotten", false, true}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				servers := fakes(2)
				p := newTestPanel(t, threeServers(2), connectTo(servers))
				p.must("account", addAccount("acme"))
				p.must("add", addItem("one", "acme", "v1"))
				losing(servers[1], wire.WordKeep, test.before)
				o, err := p.run("set", setItem("one", "value", "v2"))
				if !fault.Is(err, fault.Unrecovered) || p.state(o.Number) != store.Committed {
					t.Fatal(err)
				}
				p.topology.servers[1].Enabled = false
				if _, _, err := p.Recover(context.Background()); err != nil || p.state(o.Number) != store.Done {
					t.Fatal(err)
				}
				p.topology.servers[1].Enabled = true
				servers[1].cut, servers[1].down, servers[1].words = nil, false, nil
				if test.forget {
					delete(servers[1].ended, o.ID)
				}
				for range 2 {
					p.must("set", setItem("one", "value", "v3"))
					p.must("set", setItem("one", "value", "v4"))
				}
				if servers[1].words[0] != wire.WordKeep {
					t.Error("it heard", servers[1].words)
				}
				if diff := cmp.Diff(p.items(), servers[1].values()); diff != "" || len(servers[1].staged) != 0 || len(p.dirty()) != 0 {
					t.Error(diff, servers[1].staged, p.dirty())
				}
			})
		})
	}
}

// What undoing a debt finds kept is settled too.
func TestADebtIsSettledByTheOtherEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := fakes(2)
		p := newTestPanel(t, queueing(2), connectTo(servers))
		p.must("account", addAccount("acme"))
		losing(servers[1], wire.WordReload, false)
		o := p.must("add", addItem("one", "acme", "v1"))
		delete(servers[1].staged, o.ID)
		servers[1].ended[o.ID] = wire.StateKept
		servers[1].cut, servers[1].down = nil, false
		p.must("the next", addItem("two", "acme", "v1"))
		if diff := cmp.Diff(p.items(), servers[1].values()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestARecoveryAcceptsTheOtherEndAndConverges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, kept := range []bool{true, false} {
			servers := fakes(2)
			p := newTestPanel(t, threeServers(2), connectTo(servers))
			p.must("account", addAccount("acme"))
			word, state := wire.WordKeep, wire.StateUndone
			if kept {
				word, state = wire.WordReload, wire.StateKept
			}
			losing(servers[1], word, true)
			o, err := p.run("add", addItem("one", "acme", "v1"))
			if !fault.Is(err, fault.Unrecovered) {
				t.Fatal(err)
			}
			delete(servers[1].staged, o.ID)
			servers[1].ended[o.ID] = state
			if !kept {
				clear(servers[1].live)
			}
			servers[1].cut, servers[1].down = nil, false
			if _, _, err := p.Recover(context.Background()); err != nil || !p.state(o.Number).Ended() {
				t.Fatal(kept, err)
			}
			if diff := cmp.Diff(p.items(), servers[1].values()); diff != "" || len(p.dirty()) != 0 {
				t.Error(kept, diff, p.dirty())
			}
		}
	})
}

func TestAQueueServerLostAfterTheCommitKeepsBeforeAnythingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, before := range []bool{true, false} {
			servers := fakes(2)
			p := newTestPanel(t, queueing(2), connectTo(servers))
			p.must("account", addAccount("acme"))
			losing(servers[1], wire.WordKeep, before)
			o := p.must("add", addItem("one", "acme", "v1"))
			if o.State != store.Done || o.Servers[1].Outcome != store.OutcomeOwing || !o.Servers[1].Dirty {
				t.Fatalf("%+v", o)
			}
			servers[1].cut, servers[1].down, servers[1].words = nil, false, nil
			p.must("set", setItem("one", "value", "v2"))
			if servers[1].words[0] != wire.WordKeep || len(servers[1].staged) != 0 {
				t.Error(servers[1].words, servers[1].staged)
			}
			if diff := cmp.Diff(p.items(), servers[1].values()); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestAServerOfAnotherVersionIsRefused(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, queueing(1), connectTo(servers))
	p.must("account", addAccount("acme"))
	servers[0].hello = func(h *wire.Hello) { h.Version = 2 }
	_, err := p.run("add", addItem("one", "acme", "v1"))
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "version 2") || len(servers[0].words) != 0 {
		t.Fatal(err, servers[0].words)
	}
}

func TestAnOpenOperationThatThisDatabaseDoesNotKnowIsNoticed(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, threeServers(1), connectTo(servers))
	p.must("account", addAccount("acme"))
	o := p.must("add", addItem("one", "acme", "v1"))
	open := o.ID
	servers[0].hello = func(h *wire.Hello) { h.Open = []wire.OpenOperation{{Operation: open, State: wire.StateStaging}} }
	p.must("one that it knows", addItem("two", "acme", "v1"))
	open = store.NewOperationID()
	_, err := p.run("one that it does not", addItem("three", "acme", "v1"))
	if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.HintOf(err).String(), "server adopt h11") {
		t.Fatal(err)
	}
}

// A server that beats for ever, and never comes to what it is asked, ends with
// 9, is named, and does not keep the others from undoing.
func TestAnInterruptionDoesNotWaitForeverForAServerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := fakes(2)
		p := newTestPanel(t, threeServers(2), connectTo(servers))
		p.must("account", addAccount("acme"))
		ctx, cancel := context.WithCancel(context.Background())
		servers[1].busy = func(word wire.Word) bool {
			if word == wire.WordReload {
				cancel()
			}
			return word == wire.WordReload || word == wire.WordUndo
		}
		defer time.Sleep(time.Minute) // the server notices
		_, err := p.Run(ctx, Request{Command: "add", Mutate: addItem("one", "acme", "v1")})
		if !fault.Is(err, fault.Unrecovered) || !strings.Contains(err.Error(), "h12") || strings.Contains(err.Error(), "h11") {
			t.Fatal(err)
		}
		if len(servers[0].staged) != 0 || len(servers[0].values()) != 0 {
			t.Error("h11 has not undone")
		}
	})
}

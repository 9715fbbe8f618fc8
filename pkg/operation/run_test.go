package operation

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"orchestra/pkg/fault"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

func TestAChangeReachesAllServers(t *testing.T) {
	servers := fakes(3)
	p := newTestPanel(t, threeServers(3), connectTo(servers))
	if o, err := p.run("account add acme", addAccount("acme")); err != nil || o.State != store.Done {
		t.Fatal(o, err)
	}
	o, err := p.run("item add one", addItem("one", "acme", "v1"))
	if err != nil {
		t.Fatal(err)
	}
	if o.State != store.Done || len(o.Servers) != 3 || o.Servers[0].Outcome != store.OutcomeKept {
		t.Fatalf("%+v", o)
	}
	for _, server := range servers {
		if diff := cmp.Diff(p.items(), server.values()); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := p.run("item set one", setItem("one", "value", "v2")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.run("item delete one", deleteItem("one")); err != nil {
		t.Fatal(err)
	}
	for _, server := range servers {
		if len(server.live) != 0 || len(server.staged) != 0 {
			t.Error(server.live, server.staged)
		}
	}
}

func TestAFailureInAnyPhaseOnAnyServerLeavesNothing(t *testing.T) {
	for _, word := range []wire.Word{wire.WordStage, wire.WordPublish, wire.WordReload} {
		for failing := range 3 {
			for _, n := range []int{3, failing + 1} {
				servers := fakes(n)
				p := newTestPanel(t, threeServers(int64(n)), connectTo(servers))
				if _, err := p.run("account add acme", addAccount("acme")); err != nil {
					t.Fatal(err)
				}
				if _, err := p.run("item add one", addItem("one", "acme", "v1")); err != nil {
					t.Fatal(err)
				}
				before := p.items()
				servers[failing].answer = func(heard wire.Word) *wire.Failure {
					if heard == word {
						return &wire.Failure{Step: "files", Phase: "publish", Message: "refused"}
					}
					return nil
				}
				o, err := p.run("item set one", setItem("one", "value", "v2"))
				if !fault.Is(err, fault.Failed) {
					t.Fatalf("%s on %d of %d: %v", word, failing, n, err)
				}
				if o.State != store.Undone || p.state(o.Number) != store.Undone {
					t.Errorf("%s on %d of %d: %s", word, failing, n, o.State)
				}
				for _, server := range servers {
					if diff := cmp.Diff(before, server.values()); diff != "" {
						t.Errorf("%s on %d of %d, server %s: %s", word, failing, n, server.name, diff)
					}
				}
				if diff := cmp.Diff(before, p.items()); diff != "" {
					t.Error(diff)
				}
			}
		}
	}
}

func TestAServerOutOfReachChangesNothing(t *testing.T) {
	servers := fakes(3)
	p := newTestPanel(t, threeServers(3), connectTo(servers))
	if _, err := p.run("account add acme", addAccount("acme")); err != nil {
		t.Fatal(err)
	}
	servers[1].down = true
	_, err := p.run("item add one", addItem("one", "acme", "v1"))
	if !fault.Is(err, fault.Unreachable) {
		t.Fatal(err)
	}
	if len(p.items()) != 0 || len(servers[0].live) != 0 {
		t.Error(p.items(), servers[0].live)
	}
	servers[1].down = false
	if _, err := p.run("item add one", addItem("one", "acme", "v1")); err != nil {
		t.Fatal(err)
	}
}

func TestALostServerLeavesTheOperationOpenUntilItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, word := range []wire.Word{wire.WordStage, wire.WordPublish, wire.WordReload, wire.WordKeep} {
			servers := fakes(3)
			p := newTestPanel(t, threeServers(3), connectTo(servers))
			if _, err := p.run("account add acme", addAccount("acme")); err != nil {
				t.Fatal(err)
			}
			servers[2].cut = func(heard wire.Word, before bool) bool {
				if heard == word && !before {
					servers[2].down = true
					return true
				}
				return false
			}
			o, err := p.run("item add one", addItem("one", "acme", "v1"))
			if !fault.Is(err, fault.Unrecovered) {
				t.Fatalf("%s: %v", word, err)
			}
			want := store.Undoing
			if word == wire.WordKeep {
				want = store.Committed
			}
			if p.state(o.Number) != want {
				t.Fatalf("%s: %s", word, p.state(o.Number))
			}
			if _, err := p.run("item add two", addItem("two", "acme", "v1")); !fault.Is(err, fault.Unrecovered) {
				t.Fatalf("%s: an account with an open operation: %v", word, err)
			}
			servers[2].cut, servers[2].down = nil, false
			recovered, _, err := p.Recover(context.Background())
			if err != nil || len(recovered) != 1 || !recovered[0].State.Ended() {
				t.Fatalf("%s: %+v %v", word, recovered, err)
			}
			if recovered, _, err := p.Recover(context.Background()); err != nil || len(recovered) != 0 {
				t.Fatalf("%s: the second time: %+v %v", word, recovered, err)
			}
			for _, server := range servers {
				if diff := cmp.Diff(p.items(), server.values()); diff != "" {
					t.Errorf("%s: %s", word, diff)
				}
			}
		}
	})
}

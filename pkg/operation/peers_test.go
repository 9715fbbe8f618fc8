package operation

import (
	"context"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// peerTopology has its servers in the database; items of h11 are what is mastered
// there, and h12 and h13 are slaves.
type peerTopology struct{ simTopology }

func (peerTopology) Routes(context.Context, noun.View) ([]Route, error) {
	return []Route{
		{ID: 11, Backend: "master", Server: 1}, {ID: 12, Backend: "slave", Server: 2, After: []int64{11}},
		{ID: 13, Backend: "slave", Server: 3, After: []int64{11}}, {ID: 14, Backend: "files", Server: 3},
	}, nil
}

func newPeers(t *testing.T, addresses ...string) (*testPanel, []*fakeServer) {
	t.Helper()
	servers := fakes(3)
	p := newTestPanel(t, &testTopology{}, connectTo(servers))
	opened, err := store.Create(context.Background(), store.Options{Path: filepath.Join(t.TempDir(), "peers.db"), Registry: simRegistry(t)})
	if err != nil {
		t.Fatal(err)
	}
	p.store.Close()
	p.store, p.options.Store, p.options.Registry, p.options.Topology = opened, opened, opened.Registry(), peerTopology{}
	p.options.Backends = testBackends{
		filesBackend, {Name: "master", Noun: "item", Kind: backend.Serve, Peers: []string{"slave"}},
		{Name: "slave", Noun: "item", Kind: backend.Serve, Peers: []string{"master"}},
	}
	p.Coordinator = New(p.options)
	for i, address := range addresses {
		p.must("server", func(ctx context.Context, plan noun.Planner) error {
			_, err := plan.Add(ctx, "server", noun.Values{"name": "h1" + string(rune('1'+i)), "address": address})
			return err
		})
	}
	p.must("account", addAccount("acme"))
	return p, servers
}

func TestAnotherAddressIsToldToPeers(t *testing.T) {
	p, servers := newPeers(t, "192.0.2.11", "192.0.2.12", "192.0.2.13")
	p.must("add", addItem("one", "acme", "v1"))
	want := func(server int, key, address string) {
		t.Helper()
		if live := servers[server].live[key]; !strings.Contains(live, address) {
			t.Errorf("%s was told %s, without %s", servers[server].name, live, address)
		}
	}
	want(0, "master/one", `192.0.2.12`)
	want(1, "slave/one", `192.0.2.11`)
	heard := []int{len(servers[0].words), len(servers[1].words), len(servers[2].words)}
	files := maps.Clone(servers[2].live)
	p.must("another address", setRow("server", "h11", noun.Values{"address": "192.0.2.111"}))
	want(1, "slave/one", `192.0.2.111`)
	want(2, "slave/one", `192.0.2.111`)
	if len(servers[0].words) != heard[0] || servers[2].live["files/one"] != files["files/one"] {
		t.Error("who knows nothing of the address was told")
	}
	p.must("another address of a slave", setRow("server", "h13", noun.Values{"address": "2001:db8::13"}))
	want(0, "master/one", `2001:db8::13`)
	heard[0], heard[1] = len(servers[0].words), len(servers[1].words)
	p.must("no other address", setRow("server", "h13", noun.Values{"name": "other"}))
	if len(servers[0].words) != heard[0] || len(servers[1].words) != heard[1] {
		t.Error("they were told of a name")
	}
}

func TestAPeerNeedsAnIPAddress(t *testing.T) {
	for _, unsuited := range []string{"", "ns1.example.net"} {
		p, _ := newPeers(t, "192.0.2.11", unsuited, "192.0.2.13")
		_, err := p.run("add", addItem("one", "acme", "v1"))
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "the IP address of the server h12") {
			t.Fatalf("%q: %v", unsuited, err)
		}
		p.must("an address", setRow("server", "h12", noun.Values{"address": "192.0.2.12"}))
		p.must("add", addItem("one", "acme", "v1"))
		if _, err := p.run("a name", setRow("server", "h12", noun.Values{"address": "ns1.example.net"})); !fault.Is(err, fault.Conflict) {
			t.Errorf("a name instead: %v", err)
		}
	}
}

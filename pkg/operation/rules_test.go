package operation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

func TestWaves(t *testing.T) {
	on := func(server int64, name string, actions ...string) *step {
		s := &step{server: server, backend: &backend.Backend{Name: name}}
		for _, action := range append(actions, "save")[:max(1, len(actions))] {
			s.objects = append(s.objects, backend.Object{Action: action})
		}
		return s
	}
	route := func(id int64, name string, server int64, after ...int64) Route {
		return Route{ID: id, Backend: name, Server: server, After: after}
	}
	for _, test := range []struct {
		name   string
		steps  []*step
		routes []Route
		want   map[string]int
		kind   fault.Kind
	}{
		{"no order", []*step{on(1, "a"), on(2, "a")}, []Route{route(1, "a", 1), route(2, "a", 2)}, map[string]int{"a1": 1, "a2": 1}, 0},
		{"one after another", []*step{on(1, "a"), on(2, "b")}, []Route{route(1, "a", 1), route(2, "b", 2, 1)}, map[string]int{"a1": 1, "b2": 2}, 0},
		{
			"over a route that is not used",
			[]*step{on(1, "a"), on(3, "c")},
			[]Route{route(1, "a", 1), route(2, "b", 2, 1), route(3, "c", 3, 2)},
			map[string]int{"a1": 1, "c3": 2}, 0,
		},
		{"on one server", []*step{on(1, "a"), on(1, "b")}, []Route{route(1, "a", 1, 2), route(2, "b", 1)}, map[string]int{"a1": 2, "b1": 1}, 0},
		{"only deletions go the other way", []*step{on(1, "a", "delete"), on(2, "b", "delete")}, []Route{route(1, "a", 1), route(2, "b", 2, 1)}, map[string]int{"a1": 2, "b2": 1}, 0},
		{"a deletion among others does not", []*step{on(1, "a", "delete"), on(2, "b", "save")}, []Route{route(1, "a", 1), route(2, "b", 2, 1)}, map[string]int{"a1": 1, "b2": 2}, 0},
		{"a ring", []*step{on(1, "a"), on(2, "b")}, []Route{route(1, "a", 1, 2), route(2, "b", 2, 1)}, nil, fault.Conflict},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := waves(test.steps, test.routes, map[int64]Server{1: {Name: "h11"}})
			if test.kind != 0 {
				if !fault.Is(err, test.kind) {
					t.Fatal(err)
				}
				return
			}
			got := map[string]int{}
			for _, s := range test.steps {
				got[s.backend.Name+string(rune('0'+s.server))] = s.wave
			}
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Fatal(diff, err)
			}
		})
	}
}

func TestAWaveIsPublishedAfterTheOneBefore(t *testing.T) {
	servers := fakes(2)
	topology := threeServers(2)
	topology.routes[0].After = []int64{topology.routes[1].ID} // h11 after h12
	p := newTestPanel(t, topology, connectTo(servers))
	p.must("account", addAccount("acme"))
	var order []string
	for _, server := range servers {
		server.answer = func(word wire.Word) *wire.Failure {
			if word == wire.WordPublish || word == wire.WordUndo {
				order = append(order, string(word)+" "+server.name)
			}
			if word == wire.WordReload && server.name == "h11" {
				return &wire.Failure{Step: "files", Phase: "reload", Message: "no"}
			}
			return nil
		}
	}
	if _, err := p.run("add", addItem("one", "acme", "v1")); !fault.Is(err, fault.Failed) {
		t.Fatal(err)
	}
	want := []string{"PUBLISH h12", "PUBLISH h11", "UNDO h11", "UNDO h12"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Fatal(diff)
	}
}

// A server may have steps before and behind those of another: as a name server that is
// the master of some zones and the slave of others.
func TestDaemonsAreToldInTheWavesOfTheirSteps(t *testing.T) {
	servers := fakes(2)
	topology := threeServers(2)
	topology.routes[1].After = []int64{11} // h12 after h11, and h11's other backend after both
	topology.routes = append(topology.routes, Route{ID: 13, Backend: "more", Server: 1, After: []int64{12}})
	p := newTestPanel(t, topology, connectTo(servers))
	more := *filesBackend
	more.Name = "more"
	p.options.Backends = testBackends{filesBackend, &more}
	p.Coordinator = New(p.options)
	p.must("account", addAccount("acme"))
	var order []string
	for _, server := range servers {
		server.reloads = func(steps []string) { order = append(order, server.name+" "+strings.Join(steps, " ")) }
	}
	p.must("add", addItem("one", "acme", "v1"))
	if diff := cmp.Diff([]string{"h11 files", "h12 files", "h11 more"}, order); diff != "" {
		t.Error(diff)
	}
}

func TestAnObjectFollowsItsRoutes(t *testing.T) {
	servers := fakes(2)
	topology := threeServers(2)
	where := "h11"
	topology.match = func(route Route, _ noun.Row) bool { return route.Server == 1 == (where == "h11") }
	p := newTestPanel(t, topology, connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("one", "acme", "v1"))
	if len(servers[0].values()) != 1 || len(servers[1].values()) != 0 {
		t.Fatal(servers[0].values(), servers[1].values())
	}
	where = "h12"
	p.must("set", setItem("one", "value", "v2"))
	if len(servers[0].values()) != 0 || servers[1].values()["one"] != "v2" {
		t.Fatal(servers[0].values(), servers[1].values())
	}
	where = "h11"
	p.must("a deletion goes to where it is", deleteItem("one"))
	if len(servers[1].values()) != 0 {
		t.Fatal(servers[1].values())
	}
}

func TestWhatTellsServersNothingNewDoesNotGoThere(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, threeServers(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("one", "acme", "v1"))
	heard := len(servers[0].words)
	o := p.must("a note", setItem("one", "note", "told to nobody"))
	if len(servers[0].words) != heard || o.State != store.Done || o.Number == 0 {
		t.Fatal(servers[0].words, o)
	}
	if o := p.must("the same once more", setItem("one", "note", "told to nobody")); o.Number != 0 || len(o.Changes) != 0 {
		t.Fatalf("nothing was to be done: %+v", o)
	}
}

func TestWhatIsRelatedIsToldAgain(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, threeServers(1), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("account", addAccount("bob"))
	p.must("add", addItem("one", "acme", "v1"))
	p.must("add", addItem("two", "bob", "v1"))
	p.must("label", simLabel("acme", "gold").mutate)
	if !strings.Contains(servers[0].live["files/one"], "gold") || strings.Contains(servers[0].live["files/two"], "gold") {
		t.Fatal(servers[0].live)
	}
}

func TestAnotherPanelAndARestoredDatabaseAreNoticed(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, threeServers(1), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("one", "acme", "v1"))
	other := newTestPanel(t, threeServers(1), connectTo(servers))
	other.must("account", addAccount("acme"))
	if _, err := other.run("add", addItem("one", "acme", "v1")); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.HintOf(err).String(), "server adopt h11") {
		t.Fatal("a second panel:", err)
	}
	if len(other.items()) != 0 {
		t.Fatal("it was written all the same")
	}
	backup := t.TempDir() + "/backup.db"
	if err := p.store.Backup(context.Background(), backup); err != nil {
		t.Fatal(err)
	}
	p.must("after the backup", addItem("two", "acme", "v1"))
	restored, err := store.Open(context.Background(), store.Options{Path: backup, Registry: p.options.Registry})
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	q := &testPanel{t: t, store: restored, topology: p.topology, options: p.options}
	q.options.Store = restored
	q.Coordinator = New(q.options)
	for range 3 { // it must not be forgotten by trying
		if _, err := q.run("add", addItem("three", "acme", "v1")); !fault.Is(err, fault.Conflict) {
			t.Fatal("a restored backup:", err)
		}
	}
	if _, err := q.Adopt(context.Background(), "h11", Request{Command: "server adopt h11"}); err != nil {
		t.Fatal(err)
	}
	q.must("after it is adopted", addItem("three", "acme", "v1"))
	if got := servers[0].values(); got["one"] != "v1" || got["three"] != "v1" {
		t.Fatal(got)
	}
	if _, err := p.run("the lost one", addItem("four", "acme", "v1")); !fault.Is(err, fault.Conflict) {
		t.Fatal("the database that was replaced:", err)
	}
	servers[0].panel, servers[0].sequence = "", 0
	if _, err := q.run("add", addItem("five", "acme", "v1")); !fault.Is(err, fault.Conflict) {
		t.Fatal("a server that was installed anew:", err)
	}
}

func TestAnInterruptionUndoes(t *testing.T) {
	for _, word := range []wire.Word{wire.WordStage, wire.WordPublish, wire.WordReload} {
		servers := fakes(2)
		p := newTestPanel(t, threeServers(2), connectTo(servers))
		p.must("account", addAccount("acme"))
		ctx, cancel := context.WithCancel(context.Background())
		servers[1].answer = func(heard wire.Word) *wire.Failure {
			if heard == word {
				cancel()
				time.Sleep(5 * time.Millisecond)
			}
			return nil
		}
		o, err := p.Run(ctx, Request{Command: "add", Mutate: addItem("one", "acme", "v1")})
		if !fault.Is(err, fault.Interrupted) || p.state(o.Number) != store.Undone {
			t.Fatal(word, err)
		}
		for _, server := range servers {
			if len(server.values()) != 0 || len(server.staged) != 0 {
				t.Error(word, server.name, server.values())
			}
		}
	}
}

func TestAtMostOneActWithoutAWayBack(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, threeServers(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	servers[1].pivot = true
	p.must("one", addItem("one", "acme", "v1"))
	if i := slices.Index(servers[1].words, wire.WordPivot); i < 0 || servers[1].words[i-1] != wire.WordReload || servers[1].words[i+1] != wire.WordKeep {
		t.Fatal("the pivot is the last act before the commit:", servers[1].words)
	}
	servers[0].pivot = true
	if _, err := p.run("two", addItem("two", "acme", "v1")); !fault.Is(err, fault.Failed) {
		t.Fatal(err)
	}
	if len(servers[0].values()) != 1 {
		t.Error(servers[0].values())
	}
}

func TestAPreviewTellsAndWritesNothing(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, threeServers(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	servers[1].down = true
	preview, err := p.Preview(context.Background(), Request{Mutate: addItem("one", "acme", "v1")})
	if err != nil || len(preview.Changes) != 1 || len(preview.Servers) != 2 {
		t.Fatalf("%+v %v", preview, err)
	}
	if got := preview.Servers[0].Steps; len(got) != 1 || len(got[0].Differences) != 1 || !fault.Is(preview.Servers[1].Err, fault.Unreachable) {
		t.Fatalf("%+v", preview.Servers)
	}
	if len(p.items()) != 0 || len(servers[0].live) != 0 || servers[0].panel != "" {
		t.Error("something was written")
	}
	var operations []store.Operation
	p.store.View(context.Background(), func(tx *store.Tx) error {
		operations, _ = tx.Operations(context.Background(), store.LogQuery{})
		return nil
	})
	if len(operations) != 1 {
		t.Error(operations)
	}
}

func TestASetupThatLocksUsOutIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := fakes(1)
		p := newTestPanel(t, threeServers(1), connectTo(servers))
		verifying := *filesBackend
		verifying.VerifyLogin = true
		p.options.Backends = testBackends{&verifying}
		p.Coordinator = New(p.options)
		if o, err := p.Setup(context.Background(), "files", "h11", map[string]string{"value": "x"}, Request{Command: "setup"}); err != nil || o.State != store.Done {
			t.Fatal(err)
		}
		if len(servers[0].live) != 1 {
			t.Fatal(servers[0].live)
		}
		servers[0].answer = func(word wire.Word) *wire.Failure {
			if word == wire.WordReload {
				servers[0].down = true
			}
			if word == wire.WordUndo {
				servers[0].down = false
			}
			return nil
		}
		o, err := p.Setup(context.Background(), "files", "h11", map[string]string{"value": "y"}, Request{Command: "setup"})
		if !fault.Is(err, fault.Failed) || o.State != store.Undone {
			t.Fatal(err)
		}
		if !strings.Contains(servers[0].live["files/h11"], `"x"`) {
			t.Fatal(servers[0].live)
		}
	})
}

func TestTheJournalHoldsNoSecret(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, threeServers(1), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("one", "acme", "v1"))
	o := p.must("set", setItem("one", "password", "s3cret-hash"))
	var record *store.OperationRecord
	err := p.store.View(context.Background(), func(tx *store.Tx) error {
		var err error
		record, err = tx.Operation(context.Background(), o.Number)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := record.Changes[0].After["password"]; got != "(secret, changed)" {
		t.Errorf("%v", got)
	}
	if len(record.Phases) < 5 {
		t.Errorf("the log tells too little: %+v", record.Phases)
	}
}

func TestNothingBeginsOnAFullDisk(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, threeServers(1), connectTo(servers))
	p.options.Free = func(string) (uint64, error) { return 1 << 20, nil }
	p.Coordinator = New(p.options)
	if _, err := p.run("account", addAccount("acme")); !fault.Is(err, fault.Internal) {
		t.Fatal(err)
	}
}

func TestTwoOperationsOfDifferentAccountsRunAtOnce(t *testing.T) {
	servers := fakes(3)
	p := newTestPanel(t, threeServers(3), connectTo(servers))
	const n = 8
	for i := range n {
		p.must("account", addAccount("account"+string(rune('a'+i))))
	}
	failed := make(chan error, n)
	for i := range n {
		go func() {
			name := string(rune('a' + i))
			_, err := p.run("add "+name, addItem("item"+name, "account"+name, "v1"))
			failed <- err
		}()
	}
	var all error
	for range n {
		all = errors.Join(all, <-failed)
	}
	if all != nil || len(p.items()) != n {
		t.Fatal(all, p.items())
	}
	for _, server := range servers {
		if diff := cmp.Diff(p.items(), server.values()); diff != "" {
			t.Error(diff)
		}
	}
}

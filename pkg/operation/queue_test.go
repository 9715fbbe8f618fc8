package operation

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// queueing is a topology whose last server may be brought up to date later.
func queueing(n int64) *testTopology {
	t := threeServers(n)
	t.routes[n-1].Queue = true
	return t
}

func (p *testPanel) must(command string, mutate func(context.Context, noun.Planner) error) *Outcome {
	p.t.Helper()
	o, err := p.run(command, mutate)
	if err != nil {
		p.t.Fatalf("%s: %v", command, err)
	}
	return o
}

func (p *testPanel) dirty() []store.Dirty {
	p.t.Helper()
	var marks []store.Dirty
	err := p.store.View(context.Background(), func(tx *store.Tx) error {
		var err error
		marks, err = tx.DirtyMarks(context.Background(), nil)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return marks
}

func TestAQueueRouteIsConvergedFromTheRowsAsTheyAre(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, queueing(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("kept", "acme", "v1"))
	p.must("add", addItem("gone", "acme", "v1"))
	servers[1].down = true
	o := p.must("add while it is down", addItem("new", "acme", "v1"))
	if len(o.Servers) != 2 || !o.Servers[1].Dirty || o.State != store.Done {
		t.Fatalf("%+v", o)
	}
	p.must("set", setItem("kept", "value", "v2"))
	p.must("set again", setItem("kept", "value", "v3"))
	p.must("delete", deleteItem("gone"))
	p.must("added and gone", addItem("brief", "acme", "v1"))
	p.must("added and gone", deleteItem("brief"))
	if len(p.dirty()) != 4 {
		t.Fatalf("%+v", p.dirty())
	}
	servers[1].down = false
	p.must("the next operation", addItem("after", "acme", "v1"))
	for _, server := range servers {
		if diff := cmp.Diff(p.items(), server.values()); diff != "" {
			t.Error(server.name, diff)
		}
	}
	if marks := p.dirty(); len(marks) != 0 {
		t.Error(marks)
	}
}

func TestRecoverConvergesWhatIsBack(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, queueing(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	servers[1].down = true
	p.must("add", addItem("one", "acme", "v1"))
	if _, _, err := p.Recover(context.Background()); err != nil {
		t.Fatal("a server that is still out of reach is no failure:", err)
	}
	servers[1].down = false
	if _, _, err := p.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.items(), servers[1].values()); diff != "" {
		t.Error(diff)
	}
}

func TestAQueueServerLostAfterStagingUndoesBeforeAnythingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, word := range []wire.Word{wire.WordStage, wire.WordPublish, wire.WordReload} {
			servers := fakes(3)
			p := newTestPanel(t, queueing(3), connectTo(servers))
			p.must("account", addAccount("acme"))
			p.must("add", addItem("one", "acme", "v1"))
			servers[2].cut = func(heard wire.Word, before bool) bool {
				if heard == word && !before {
					servers[2].down = true
					return true
				}
				return false
			}
			o := p.must("set", setItem("one", "value", "v2"))
			if !o.Servers[2].Dirty {
				t.Fatalf("%s: %+v", word, o.Servers)
			}
			servers[2].cut, servers[2].down, servers[2].words = nil, false, nil
			p.must("the next", addItem("two", "acme", "v1"))
			if servers[2].words[0] != wire.WordUndo {
				t.Errorf("%s: it heard %v first", word, servers[2].words)
			}
			if diff := cmp.Diff(p.items(), servers[2].values()); diff != "" || len(servers[2].staged) != 0 {
				t.Error(word, diff, servers[2].staged)
			}
		}
	})
}

func TestACheckersFailureFailsOnAQueueRouteToo(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, queueing(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	servers[1].answer = func(word wire.Word) *wire.Failure {
		if word == wire.WordPublish {
			return &wire.Failure{Step: "files", Phase: "publish", Message: "the checker refuses it"}
		}
		return nil
	}
	if _, err := p.run("add", addItem("one", "acme", "v1")); !fault.Is(err, fault.Failed) {
		t.Fatal(err)
	}
	if len(p.items()) != 0 || len(servers[0].values()) != 0 {
		t.Error("something is left")
	}
}

func TestWhatIsStoredNowhereCantBeQueued(t *testing.T) {
	send := func(ctx context.Context, plan noun.Planner) error {
		row, err := plan.Find(ctx, "item", "one")
		if err != nil {
			return err
		}
		return plan.Send(ctx, row, "set-password", map[string]noun.Confidential{"secret": "s3cret"})
	}
	servers := fakes(2)
	p := newTestPanel(t, queueing(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("one", "acme", "v1"))
	p.must("send", send)
	servers[1].down = true
	if _, err := p.run("send", send); !fault.Is(err, fault.Unreachable) {
		t.Fatal(err)
	}
	servers[1].down = false
	p.topology.servers[1].Enabled = false
	if _, err := p.run("send", send); !fault.Is(err, fault.Conflict) {
		t.Fatal("to a disabled server:", err)
	}
}

func TestADisabledServerGetsMarksAndIsNotContacted(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, threeServers(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("one", "acme", "v1"))
	p.topology.servers[1].Enabled = false
	before := servers[1].starts
	p.must("set", setItem("one", "value", "v2"))
	if servers[1].starts != before || len(p.dirty()) != 1 {
		t.Fatal(servers[1].starts, p.dirty())
	}
	p.topology.servers[1].Enabled = true
	p.must("set", setItem("one", "value", "v3"))
	if diff := cmp.Diff(p.items(), servers[1].values()); diff != "" || len(p.dirty()) != 0 {
		t.Error(diff, p.dirty())
	}
}

func warns(o *Outcome) []string {
	texts := []string{}
	for _, warning := range o.Warnings {
		texts = append(texts, warning.String())
	}
	return texts
}

func TestEachOperationSaysWhatItLeavesOwed(t *testing.T) {
	for _, disabled := range []bool{false, true} {
		servers := fakes(2)
		p := newTestPanel(t, queueing(2), connectTo(servers))
		p.must("account", addAccount("acme"))
		p.must("add", addItem("one", "acme", "v1"))
		want := []string{"h12 is out of reach: what concerns it is owed to it"}
		if servers[1].down = !disabled; disabled {
			p.topology.servers[1].Enabled = false
			want = []string{"h12 is disabled: what concerns it is owed to it"}
		}
		for _, value := range []string{"v2", "v3", "v4"} {
			o := p.must("set", setItem("one", "value", value))
			if diff := cmp.Diff(want, warns(o)); diff != "" {
				t.Error(value, diff)
			}
			if len(o.Servers) != 2 || o.Servers[1].Outcome != store.OutcomeQueued || !o.Servers[1].Dirty {
				t.Errorf("%s: %+v", value, o.Servers)
			}
			var record *store.OperationRecord
			if err := p.store.View(context.Background(), func(tx *store.Tx) (err error) {
				record, err = tx.Operation(context.Background(), o.Number)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if len(record.Servers) != 2 || record.Servers[1].Outcome != store.OutcomeQueued {
				t.Errorf("%s: %+v", value, record.Servers)
			}
		}
		o := p.must("nothing to change", setItem("one", "value", "v4"))
		if diff := cmp.Diff(want, warns(o)); diff != "" || o.Number != 0 {
			t.Error(diff, o.Number)
		}
		preview, err := p.Preview(context.Background(), Request{Mutate: setItem("one", "value", "v5")})
		if err != nil || len(preview.Servers) != 2 || preview.Servers[1].Owed.String() != want[0] || preview.Servers[1].Err != nil {
			t.Errorf("%+v %v", preview, err)
		}
		servers[1].down = false
		p.topology.servers[1].Enabled = true
		o = p.must("nothing to change", setItem("one", "value", "v4"))
		if diff := cmp.Diff(p.items(), servers[1].values()); diff != "" || len(o.Warnings) != 0 || len(p.dirty()) != 0 {
			t.Error("it was not brought up to date:", diff, o.Warnings, p.dirty())
		}
	}
}

func TestAnUndoneOperationOwesNothing(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, queueing(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.topology.servers[1].Enabled = false
	servers[0].answer = func(word wire.Word) *wire.Failure {
		if word == wire.WordPublish {
			return &wire.Failure{Step: "files", Phase: "publish", Message: "the checker refuses it"}
		}
		return nil
	}
	o, err := p.run("add", addItem("one", "acme", "v1"))
	if !fault.Is(err, fault.Failed) || len(o.Warnings) != 0 || o.Servers[1].Outcome != store.OutcomeUntouched || len(p.dirty()) != 0 {
		t.Fatalf("%v %+v %v", err, o, p.dirty())
	}
}

func TestRecoverSaysWhatIsOwed(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, queueing(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	servers[1].down = true
	p.must("add", addItem("one", "acme", "v1"))
	p.must("add", addItem("two", "acme", "v1"))
	recovering := func() Brought {
		t.Helper()
		_, brought, err := p.Recover(context.Background())
		if err != nil || len(brought) != 1 {
			t.Fatal(brought, err)
		}
		return brought[0]
	}
	if one := recovering(); one.Owed != 2 || one.Why.String() != "h12 is out of reach: changes owed to it: 2" {
		t.Errorf("%+v", one)
	}
	p.topology.servers[1].Enabled = false
	if one := recovering(); one.Owed != 2 || one.Why.String() != "h12 is disabled: changes owed to it: 2" {
		t.Errorf("%+v", one)
	}
	p.topology.servers[1].Enabled, servers[1].down = true, false
	if one := recovering(); one.Owed != 0 || one.Objects != 2 || one.Number == 0 || !one.Why.IsZero() {
		t.Errorf("%+v", one)
	}
}

func TestAChangedHostKeyStopsAnOperationAlsoWhereItCouldWait(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, queueing(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	servers[1].other = true
	for range 2 { // nor is it left alone for a while, as one out of reach is
		if _, err := p.run("add", addItem("one", "acme", "v1")); !fault.Is(err, fault.Conflict) {
			t.Fatalf("a stranger in the place of a server: %v", err)
		}
	}
	if len(p.items()) != 0 || len(p.dirty()) != 0 || len(servers[0].values()) != 0 {
		t.Error("something of it was done, or is owed to a stranger")
	}
	servers[1].other = false
	p.must("add", addItem("one", "acme", "v1"))
	// What is owed waits too, and says why.
	servers[1].down = true
	p.must("set", setItem("one", "value", "v2"))
	servers[1].down, servers[1].other = false, true
	_, brought, err := p.Recover(context.Background())
	if err == nil && (len(brought) != 1 || !fault.Is(brought[0].Err, fault.Conflict)) {
		t.Errorf("%v %+v", err, brought)
	}
}

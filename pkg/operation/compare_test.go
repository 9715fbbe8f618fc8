package operation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/wire"
)

func (p *testPanel) compare(selection Selection) *Comparison {
	p.t.Helper()
	comparison, err := p.Compare(context.Background(), selection)
	if err != nil {
		p.t.Fatal(err)
	}
	return comparison
}

// differing are the reasons by server and resource.
func (c *Comparison) differing() map[string]string {
	found := map[string]string{}
	for _, server := range c.Servers {
		if server.Err != nil {
			found[server.Server] = fault.KindOf(server.Err).String()
		}
		for _, step := range server.Steps {
			for _, one := range step.Differences {
				found[server.Server+" "+one.Resource] = one.Reason
			}
		}
	}
	return found
}

// heard is how often a server heard a word.
func (f *fakeServer) heard(word wire.Word) int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return len(slices.DeleteFunc(slices.Clone(f.words), func(w wire.Word) bool { return w != word }))
}

func TestCompareFindsWhatDiffers(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, threeServers(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("account", addAccount("other"))
	p.must("add", addItem("one", "acme", "v1"))
	p.must("add", addItem("two", "other", "v1"))
	servers[1].live["files/two"] = "edited by hand"
	all := map[string]string{"h12 files/two": "changed"}
	for _, one := range []struct {
		selection Selection
		objects   int
		want      map[string]string
	}{
		{Selection{}, 4, all},
		{Selection{Noun: "item"}, 4, all},
		{Selection{Account: "other"}, 2, all},
		{Selection{Account: "acme"}, 2, map[string]string{}},
		{Selection{Noun: "item", Names: []string{"one"}}, 2, map[string]string{}},
		{Selection{Servers: []string{"h11"}}, 2, map[string]string{}},
		{Selection{Backends: []string{"files"}, Servers: []string{"h12"}}, 2, all},
	} {
		comparison := p.compare(one.selection)
		if diff := cmp.Diff(one.want, comparison.differing()); diff != "" || comparison.Objects != one.objects {
			t.Errorf("%+v: %d objects %s", one.selection, comparison.Objects, diff)
		}
	}
	for _, wrong := range []Selection{
		{Noun: "item", Names: []string{"one", "nine"}}, {Servers: []string{"h19"}}, {Backends: []string{"nothing"}}, {Account: "nobody"}, {Noun: "nothing"},
	} {
		if _, err := p.Compare(context.Background(), wrong); !fault.Is(err, fault.NotFound) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	if _, err := p.Compare(context.Background(), Selection{Noun: "account"}); !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), "nothing to compare") {
		t.Error(err)
	}
}

func TestABackendWithoutObjectsIsAskedForLeftovers(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, threeServers(1), connectTo(servers))
	p.must("account", addAccount("acme"))
	servers[0].says = func(word wire.Word, report *wire.Report) {
		if word == wire.WordObserved && len(report.Steps) == 1 {
			report.Steps[0].Differences = append(report.Steps[0].Differences, wire.Difference{Kind: "user", Resource: "stray", Reason: wire.ReasonLeftOver})
		}
	}
	if diff := cmp.Diff(map[string]string{"h11 stray": "left-over"}, p.compare(Selection{}).differing()); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyAWholeComparisonAsksForLeftovers(t *testing.T) {
	for _, one := range []struct {
		selection Selection
		want      bool
	}{
		{Selection{}, true}, {Selection{Noun: "item"}, true}, {Selection{Servers: []string{"h11"}}, true},
		{Selection{Noun: "item", Names: []string{"one"}}, false}, {Selection{Account: "acme"}, false},
	} {
		if one.selection.whole() != one.want {
			t.Errorf("%+v", one.selection)
		}
	}
}

func TestAServerThatCannotBeAskedHidesNoOther(t *testing.T) {
	servers := fakes(3)
	topology := threeServers(3)
	p := newTestPanel(t, topology, connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("one", "acme", "v1"))
	servers[0].down = true
	servers[1].live["files/one"] = "edited by hand"
	topology.servers[2].Enabled = false
	comparison := p.compare(Selection{})
	want := map[string]string{"h11": fault.Unreachable.String(), "h12 files/one": "changed"}
	if diff := cmp.Diff(want, comparison.differing()); diff != "" {
		t.Error(diff)
	}
	if len(comparison.Warnings) != 1 || !strings.Contains(comparison.Warnings[0].String(), "h13 is disabled") {
		t.Error(comparison.Warnings)
	}
}

func TestWhatIsOwedIsNoHandEdit(t *testing.T) {
	servers := fakes(3)
	topology := threeServers(3)
	topology.routes[1].Queue, topology.routes[2].Queue = true, true
	p := newTestPanel(t, topology, connectTo(servers))
	p.must("account", addAccount("acme"))
	for _, name := range []string{"changed", "gone", "edited"} {
		p.must("add", addItem(name, "acme", "v1"))
	}
	servers[1].down = true
	p.must("set", setItem("changed", "value", "v2"))
	servers[2].down = true
	p.must("set", setItem("changed", "value", "v3"))
	p.must("delete", deleteItem("gone"))
	p.must("add", addItem("fresh", "acme", "v1"))
	servers[1].down, servers[2].down = false, false
	for _, server := range servers[1:] {
		server.live["files/edited"] = "edited by hand"
	}
	before, mutex := map[string]string{}, sync.Mutex{}
	for _, server := range servers[1:] {
		server.says = func(word wire.Word, report *wire.Report) {
			for i := range report.Steps {
				for j, one := range report.Steps[i].Differences {
					// A runtime names the object of each difference.
					report.Steps[i].Differences[j].Object = "item " + strings.TrimPrefix(one.Resource, "files/")
				}
			}
		}
		server.observed = func(object, action, was string) {
			mutex.Lock()
			defer mutex.Unlock()
			before[server.name+" "+object] = action + " " + was
		}
	}
	comparison := p.compare(Selection{})
	want := map[string]string{
		"h12 files/changed": "owed", "h12 files/fresh": "owed", "h12 files/edited": "changed",
		"h13 files/changed": "owed", "h13 files/fresh": "owed", "h13 files/edited": "changed",
	}
	if diff := cmp.Diff(want, comparison.differing()); diff != "" {
		t.Error(diff)
	}
	// Each is told with what it last heard, which differs between the two.
	told := map[string]string{
		"h12 changed": "save v1", "h13 changed": "save v2", "h12 gone": "delete ", "h13 gone": "delete ", "h12 edited": "save v1", "h13 edited": "save v1",
		"h12 fresh": "save ", "h13 fresh": "save ",
	}
	if diff := cmp.Diff(told, before); diff != "" {
		t.Error(diff)
	}
	if len(p.compare(Selection{Noun: "item", Names: []string{"gone"}}).Servers) == 0 {
		t.Error("one that is owed as gone can't be named")
	}
	if n := p.compare(Selection{Account: "acme"}).Objects; n != 3+4+4 {
		t.Error(n)
	}
}

func TestAnOperationAtWorkIsNamed(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, threeServers(1), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("one", "acme", "v1"))
	// Between the look at the rows and the answer, somebody changes them.
	asked := false
	servers[0].says = func(word wire.Word, _ *wire.Report) {
		if word == wire.WordObserved && !asked {
			asked = true
			servers[0].mutex.Unlock()
			p.must("the other", setItem("one", "value", "v2"))
			servers[0].mutex.Lock()
		}
	}
	servers[0].live["files/one"] = "half"
	warnings := p.compare(Selection{}).Warnings
	if len(warnings) != 1 || !strings.Contains(warnings[0].String(), "(the other)") {
		t.Error(warnings)
	}
	servers[0].live["files/one"] = "edited by hand"
	if warnings := p.compare(Selection{}).Warnings; len(warnings) != 0 {
		t.Error(warnings)
	}
}

func TestTheCostOfAComparisonDoesNotGrowWithTheObjects(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, threeServers(2), connectTo(servers))
	p.options.Backends = testBackends{filesBackend, {Name: "parts", Noun: "part", Kind: "serve", Declare: "declare"}}
	p.topology.routes = append(p.topology.routes, Route{ID: 30, Backend: "parts", Server: 1})
	p.Coordinator = New(p.options)
	p.must("account", addAccount("acme"))
	fill := func(from, to int) {
		p.must("fill", func(ctx context.Context, plan noun.Planner) error {
			for n := from; n < to; n++ {
				name := fmt.Sprintf("n%04d", n)
				if err := addItem(name, "acme", "v")(ctx, plan); err != nil {
					return err
				}
				if _, err := plan.Add(ctx, "part", noun.Values{"name": name, "item": name}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	cost := func() (statements int64, sessions, questions, objects int) {
		before, starts, heard := p.statements.Load(), servers[0].starts+servers[1].starts, servers[0].heard(wire.WordObserve)+servers[1].heard(wire.WordObserve)
		comparison := p.compare(Selection{Account: "acme"})
		if len(comparison.differing()) != 0 {
			t.Error(comparison.differing())
		}
		return p.statements.Load() - before, servers[0].starts + servers[1].starts - starts, servers[0].heard(wire.WordObserve) + servers[1].heard(wire.WordObserve) - heard, comparison.Objects
	}
	fill(0, 3)
	few, sessions, questions, objects := cost()
	if sessions != 2 || questions != 2 || objects != 9 {
		t.Errorf("%d sessions, %d questions for %d objects on two servers", sessions, questions, objects)
	}
	fill(3, 300)
	many, sessions, questions, objects := cost()
	if sessions != 2 || questions != 2 || objects != 900 || many != few {
		t.Errorf("%d statements for 9 objects, %d for %d; %d sessions, %d questions", few, many, objects, sessions, questions)
	}
}

func TestStepsThatServersHaveHeardOfOtherwiseAreToldApart(t *testing.T) {
	facts, one, other := map[string]any{"value": "now"}, map[string]any{"value": "one"}, map[string]any{"value": "other"}
	object := func(action string, facts, before map[string]any) []backend.Object {
		return []backend.Object{{Action: action, Noun: "item", ID: 1, Facts: facts, Before: before}}
	}
	for _, test := range []struct {
		a, b []backend.Object
		same bool
	}{
		{object("save", facts, one), object("save", facts, one), true},
		{object("save", facts, one), object("save", facts, other), false},
		{object("save", facts, nil), object("save", facts, one), false},
		{object("delete", one, nil), object("delete", other, nil), false},
		{object("delete", one, nil), object("delete", one, nil), true},
	} {
		if sameObjects(test.a, test.b) != test.same {
			t.Errorf("%v %v", test.a, test.b)
		}
	}
}

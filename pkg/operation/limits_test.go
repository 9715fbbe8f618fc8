package operation

import (
	"context"
	"strings"
	"testing"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

const hostile = "\x1b]0;owned\x07\u202e\xff"

func TestAHostileServersAnswerIsCapped(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, threeServers(1), connectTo(servers))
	p.must("account", addAccount("acme"))
	long := hostile + strings.Repeat("x", 1<<20)
	many := make([]string, 5000)
	for i := range many {
		many[i] = hostile
	}
	servers[0].says = func(word wire.Word, report *wire.Report) {
		for i := range 5000 {
			report.Steps = append(report.Steps, wire.StepReport{Name: hostile + string(rune('a'+i%26)), Output: long[:100]})
		}
		report.Steps = append(report.Steps, wire.StepReport{Name: "files", Output: long, Actions: many, Changed: -1}, wire.StepReport{Name: "files"})
		if word == wire.WordFailed {
			*report.Failure = wire.Failure{Step: long, Phase: long, Resource: long, Message: long, Output: long, Unrestored: many}
		}
	}
	p.must("add", addItem("one", "acme", "v1"))
	servers[0].answer = func(word wire.Word) *wire.Failure {
		if word == wire.WordPublish {
			return &wire.Failure{Phase: "publish"}
		}
		return nil
	}
	o, err := p.run("set", setItem("one", "value", "v2"))
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\x07\u202e") || len(err.Error()) > 64<<10 {
		t.Fatalf("%.300q", err)
	}
	for number := int64(1); number <= o.Number; number++ {
		var record *store.OperationRecord
		if err := p.store.View(context.Background(), func(tx *store.Tx) error {
			record, err = tx.Operation(context.Background(), number)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(record.Phases) > 20 {
			t.Errorf("%d entries", len(record.Phases))
		}
		for _, phase := range record.Phases {
			text := phase.Backend + phase.Resource + phase.Message + phase.Output + strings.Join(phase.Actions, "")
			if len(text) > 128<<10 || strings.ContainsAny(text, "\x1b\x07\u202e") || phase.Changed < 0 {
				t.Errorf("%s: %d bytes, %.200q", phase.Phase, len(text), text)
			}
		}
	}
}

func TestDifferencesAreCapped(t *testing.T) {
	s := newSession(nil, Server{})
	s.steps["files"] = true
	report := wire.Report{Steps: []wire.StepReport{{Name: "files", Differences: make([]wire.Difference, maxDifferences+7)}}}
	report.Steps[0].Differences[0] = wire.Difference{Resource: hostile, Before: strings.Repeat("é", maxOutput), After: hostile}
	s.limit(&report)
	got := report.Steps[0].Differences
	if len(got) != maxDifferences+1 || got[maxDifferences].Resource != "+7" {
		t.Error(len(got), got[len(got)-1])
	}
	if len(got[0].Before) > maxOutput+20 || strings.Contains(got[0].Before, `\x`) || strings.Contains(got[0].Resource+got[0].After, "\x1b") {
		t.Errorf("%.100q", got[0])
	}
}

func sendSecret(secret string) func(context.Context, noun.Planner) error {
	return func(ctx context.Context, plan noun.Planner) error {
		row, err := plan.Find(ctx, "item", "one")
		if err != nil {
			return err
		}
		return plan.Send(ctx, row, "set-password", map[string]noun.Confidential{"secret": noun.Confidential(secret)})
	}
}

// What can't be sent is refused before anything is journaled, on queue routes
// too: no later time would bring it through.
func TestWhatIsMoreThanCanBeSentIsRefused(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, queueing(1), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("one", "acme", "v1"))
	_, err := p.run("send", sendSecret(string(make([]byte, wire.MaxSteps))))
	if !fault.Is(err, fault.Invalid) || fault.HintOf(err).IsZero() || len(p.dirty()) != 0 {
		t.Fatal(err)
	}
	if err := p.store.View(context.Background(), func(tx *store.Tx) error {
		all, err := tx.Operations(context.Background(), store.LogQuery{})
		if len(all) != 2 {
			t.Error(all)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// More than one frame takes goes in parts, staged and observed; where the
// connection is lost, or the server refuses it, everything is as it was.
func TestWhatIsMoreThanAFrameTakesGoesInParts(t *testing.T) {
	servers := fakes(2)
	p := newTestPanel(t, threeServers(2), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("one", "acme", "v1"))
	huge := sendSecret(string(make([]byte, 3*wire.PartSize)))
	if _, err := p.Preview(context.Background(), Request{Command: "send", Mutate: huge}); err != nil {
		t.Fatal(err)
	}
	if o := p.must("send", huge); o.State != store.Done || servers[1].words[len(servers[1].words)-1] != wire.WordKeep {
		t.Fatalf("%+v %v", o, servers[1].words)
	}
	servers[1].cut = func(word wire.Word, before bool) bool { return word == wire.WordStage && before }
	_, err := p.run("send", huge)
	servers[1].cut = nil
	if !fault.Is(err, fault.Unreachable) || len(servers[0].staged)+len(servers[1].staged) != 0 {
		t.Fatal(err)
	}
}

func TestTheSizeOfAStageIsThatOfItsTexts(t *testing.T) {
	b := &backend.Backend{Name: "files"}
	at := func(server int64, text string) *step {
		return &step{server: server, backend: b, wire: wire.Step{Name: "files", Objects: text}}
	}
	p := newPlan()
	p.steps = []*step{at(1, strings.Repeat("x", 600)), at(2, strings.Repeat("x", 1000))}
	if err := fitsIn(p, 1000); err != nil {
		t.Error(err)
	}
	p.steps = append(p.steps, at(1, strings.Repeat("x", 401)))
	if err := fitsIn(p, 1000); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

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

// What does not fit into one frame is refused before anything is journaled, on
// queue routes too: no later time would bring it through.
func TestWhatDoesNotFitIntoAFrameIsRefused(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, queueing(1), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("one", "acme", "v1"))
	huge := string(make([]byte, 50<<20))
	_, err := p.run("send", func(ctx context.Context, plan noun.Planner) error {
		row, err := plan.Find(ctx, "item", "one")
		if err != nil {
			return err
		}
		return plan.Send(ctx, row, "set-password", map[string]noun.Confidential{"secret": noun.Confidential(huge)})
	})
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

func TestTheSizeOfAStageIsThatOfItsJSON(t *testing.T) {
	b := &backend.Backend{Name: "files"}
	at := func(server int64, text string) *step {
		return &step{server: server, backend: b, wire: wire.Step{Name: "files", Objects: text}}
	}
	p := newPlan()
	p.steps = []*step{at(1, strings.Repeat("\x1f", 100)), at(2, strings.Repeat("x", 800))}
	if err := fitsIn(p, 1000); err != nil {
		t.Error(err)
	}
	p.steps = append(p.steps, at(1, strings.Repeat("\x1f", 100)))
	if err := fitsIn(p, 1000); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

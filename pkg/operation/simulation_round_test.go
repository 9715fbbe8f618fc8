package operation

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"orchestra/pkg/fault"
)

// simulate runs one world: a beginning without faults, then the rounds of the
// story, each followed by a recovery and by the oracle. It returns what was
// done, and what went wrong: nil where nothing did.
func simulate(t *testing.T, story simStory, tally *simTally) (told string, failure error) {
	directory, err := fastDirectory()
	must(err)
	defer os.RemoveAll(directory)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, directory, story.seed, tally)
		defer w.end()
		defer func() { told = w.told() }()
		for _, text := range simBeginning(story.shape) {
			if failure = w.begin(text); failure != nil {
				return
			}
		}
		for _, round := range story.rounds {
			if failure = w.round(round); failure != nil {
				return
			}
		}
		failure = w.idempotent()
	})
	return told, failure
}

// begin does what can't fail.
func (w *simWorld) begin(text string) error {
	operation, err := parseOperation(text)
	must(err)
	w.watch.begin(w, false)
	p := w.newPanel()
	defer p.close()
	if _, err := p.Run(context.Background(), Request{Command: text, Mutate: operation.mutate}); err != nil {
		return fmt.Errorf("%s, without any fault: %w", text, err)
	}
	operation.apply(w.model)
	return nil
}

// said is how one command ended.
type said struct {
	operation simOperation
	outcome   *Outcome
	err       error
	crashed   bool
}

func (s said) String() string {
	return fmt.Sprintf("%q said %v (crashed: %v)", s.operation.text, s.err, s.crashed)
}

// round is one command with faults, at times with another one of another
// process beside it, and what must be true after it.
func (w *simWorld) round(round simRound) error {
	operation, err := parseOperation(round.do)
	must(err)
	w.network.quiet()
	w.blamed = false
	w.watch.begin(w, round.beside == "" && !operation.around)
	beside := make(chan said, 1)
	if round.beside != "" {
		other, err := parseOperation(round.beside)
		must(err)
		wait := time.Duration(w.random.IntN(int(12 * time.Millisecond)))
		go func() {
			time.Sleep(wait)
			beside <- w.run(other, nil, context.Background())
		}()
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	all := []said{w.first(ctx, cancel, operation, round)}
	if round.beside != "" {
		all = append(all, <-beside)
	} else if err := w.judge(all[0]); err != nil {
		return err
	}
	for _, one := range all {
		if err := w.contract(one, len(all) == 1); err != nil {
			return err
		}
	}
	w.watch.relax()
	w.heal()
	if err := w.recover(round.later); err != nil {
		return err
	}
	return w.after(all)
}

// after is what must be true once all is recovered.
func (w *simWorld) after(all []said) error {
	check := w.newPanel()
	defer check.close()
	now := w.stored(check.store)
	if err := serial(w.model, now, all); err != nil {
		return err
	}
	for _, m := range w.machines {
		if _, exists := w.model.servers[m.name]; exists && !now.has(m.name) {
			m.forgotten()
		}
	}
	w.model = now
	w.watch.end(now)
	if err := w.agree(check, "after recovery"); err != nil {
		return err
	}
	// Recovering twice is recovering once.
	again, _, err := check.Recover(context.Background())
	if err != nil || len(again) != 0 {
		return fmt.Errorf("a second recovery: %v %w", again, err)
	}
	return w.agree(check, "after a second recovery")
}

// first runs the command of a round, with its faults.
func (w *simWorld) first(ctx context.Context, cancel func(), operation simOperation, round simRound) said {
	for _, m := range w.machines {
		m.changesBefore = m.memory.Changes()
	}
	return w.run(operation, func(p *simPanel) func() {
		w.breakAll(round.faults, p)
		if w.interrupt == 0 {
			return func() {}
		}
		timer := time.AfterFunc(w.interrupt, func() {
			w.trace("SIGINT")
			cancel()
		})
		return func() { timer.Stop() }
	}, ctx)
}

// run is one command of one process.
func (w *simWorld) run(operation simOperation, arrange func(*simPanel) (end func()), ctx context.Context) said {
	p := w.newPanel()
	defer p.close()
	w.trace("— %s", operation.text)
	if arrange != nil {
		defer arrange(p)()
	}
	s := said{operation: operation}
	if operation.run != nil {
		s.outcome, s.err = operation.run(ctx, w, p)
	} else {
		s.outcome, s.err = p.Run(ctx, Request{Command: withoutSecrets(operation.text), Mutate: operation.mutate})
	}
	s.crashed = p.isCrashed()
	w.trace("%s", s)
	w.tally.count(w, p, s)
	return s
}

// simSecret begins every secret of a story, so that one that is left is found.
const simSecret = "s3cret"

// withoutSecrets is a command as the log may show it.
func withoutSecrets(text string) string {
	words := strings.Fields(text)
	for i, word := range words {
		if strings.HasPrefix(word, simSecret) {
			words[i] = "…"
		}
	}
	return strings.Join(words, " ")
}

// heal mends what the faults have broken, in a random order and time.
func (w *simWorld) heal() {
	w.mutex.Lock()
	w.interrupt, w.cramped = 0, false
	w.mutex.Unlock()
	w.network.quiet()
	for _, m := range w.machines {
		m.mend()
	}
	time.Sleep(time.Duration(w.random.IntN(int(30 * time.Second))))
	for _, m := range w.machines {
		if !m.isUp() {
			w.trace("%s boots", m.name)
			m.powerOn()
		}
		if w.random.IntN(2) == 0 {
			m.clock.correct()
		}
	}
	if w.random.IntN(2) == 0 {
		w.clock.correct()
	}
	w.network.healLate(w)
}

// recover recovers, with faults of its own at first, until nothing is left.
// Servers that refuse this database are adopted then, as their refusal says.
func (w *simWorld) recover(faults []string) error {
	var last error
	for try := range 8 {
		p := w.newPanel()
		if try == 0 {
			w.breakAll(faults, p)
		}
		last = w.recoverOnce(p, try)
		if try == 0 && len(faults) > 0 {
			w.heal()
			continue // a server that waits for its convergence is no error
		}
		if last == nil {
			return nil
		}
		time.Sleep(20 * time.Second)
	}
	return fmt.Errorf("it was never recovered: %w", last)
}

func (w *simWorld) recoverOnce(p *simPanel, try int) error {
	defer p.close()
	ctx := context.Background()
	if try > 0 {
		if err := w.adoptStale(ctx, p); err != nil {
			return err
		}
	}
	recovered, _, err := p.Recover(ctx)
	for _, one := range recovered {
		w.trace("recovered: %s %s alive=%v %v", one.Command, one.State, one.Alive, one.Err)
	}
	w.trace("recovery says: %v", err)
	switch kind := fault.KindOf(err); {
	case p.isCrashed():
		return errCrashed
	case err == nil:
		return w.stillStale(p)
	case kind != fault.Unrecovered && !(kind == fault.Internal && w.isBlamed()):
		return fmt.Errorf("a recovery ended with %s: %w", kind, err)
	}
	return err
}

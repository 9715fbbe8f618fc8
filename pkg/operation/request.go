package operation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// Request is a mutation that somebody asks for.
type Request struct {
	Command string // what was typed, without secrets
	Lines   int    // of a batch; 0 where it is none
	Actor   string // who typed it
	Reason  string // why; may be empty
	// Mutate adds the changes to the plan. It may be called several times, each
	// on a state of its own, so it must do nothing else.
	Mutate func(context.Context, noun.Planner) error
	// Wait is how long to wait for each lock; 0 is the setting lock.wait, and
	// less is not at all.
	Wait time.Duration
	// Cautious has Run refuse, with a *TakesAway, what takes objects away from
	// servers where they are: nobody has agreed to that yet.
	Cautious bool
}

// TakesAway is why a cautious request was refused. Nothing was begun.
type TakesAway struct {
	Objects int      // that would go from a server
	Servers []string // from which they would go
}

func (t *TakesAway) Error() string {
	return fmt.Sprintf("this takes %d objects away from %s", t.Objects, strings.Join(t.Servers, ", "))
}

// takesAway returns what a plan takes away from servers, nil where that is nothing.
func (p *plan) takesAway() *TakesAway {
	objects, servers := map[subjectKey]bool{}, map[int64]bool{}
	for _, one := range p.unplace {
		if _, exists := p.servers[one.Server]; exists { // a server that is given up is told nothing
			objects[subjectKey{one.Noun, one.Object}], servers[one.Server] = true, true
		}
	}
	if len(objects) == 0 {
		return nil
	}
	takes := &TakesAway{Objects: len(objects)}
	for _, id := range sortedKeys(servers) {
		takes.Servers = append(takes.Servers, p.servers[id].Name)
	}
	return takes
}

// Outcome is what became of an operation.
type Outcome struct {
	Number   int64  // in the log; 0 where there was nothing to do
	ID       string // by which servers know it
	State    store.OperationState
	Changes  []noun.Change
	Warnings []message.Text
	Servers  []ServerOutcome
	// Brought are servers that it has put back in service.
	Brought  []Brought
	Duration time.Duration

	enabled []int64
}

// ServerOutcome is what became of an operation on one server.
type ServerOutcome struct {
	Server  string
	Outcome store.ServerOutcome
	Dirty   bool // it was out of reach, or is disabled, and will be converged
	Changed int  // resources that differ from what was there
	Phases  []store.Phase
}

// Preview is what a request would do.
type Preview struct {
	Changes  []noun.Change
	Warnings []message.Text
	Servers  []ServerDifferences
}

// ServerDifferences are what is not on a server as it should be.
type ServerDifferences struct {
	Server string
	Steps  []wire.StepReport
	// Owed says why the server would be told later: it is disabled, or out of
	// reach; zero where it would be told.
	Owed message.Text
	// Err says why the server could not be asked; nil where it was.
	Err error
}

// Differs tells whether anything there is not as it should be.
func (s ServerDifferences) Differs() bool {
	return slices.ContainsFunc(s.Steps, func(step wire.StepReport) bool { return len(step.Differences) > 0 })
}

// Brought is a server that was owed changes, and what became of that.
type Brought struct {
	Server  string
	Number  int64 // of the operation that brought it up to date; 0 for none
	Objects int   // that were brought up to date
	Owed    int   // changes that are still owed to it
	// Why says why there are any; zero where there are none.
	Why message.Text
	Err error // what failed; nil where nothing did, or it is just not there
}

// Recovered is an operation that was found without its runner.
type Recovered struct {
	Number  int64
	ID      string
	Command string
	State   store.OperationState // as it is now
	Servers []ServerOutcome
	Alive   bool  // it is running: nothing was done
	Err     error // why it could not be ended; nil where it was
}

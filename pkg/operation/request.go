package operation

import (
	"context"
	"time"

	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// Request is a mutation that somebody asks for.
type Request struct {
	Command string // what was typed, without secrets
	Actor   string // who typed it
	Reason  string // why; may be empty
	// Mutate adds the changes to the plan. It may be called several times, each
	// on a state of its own, so it must do nothing else.
	Mutate func(context.Context, noun.Planner) error
	// Wait is how long to wait for each lock; 0 is the setting lock.wait.
	Wait time.Duration
}

// Outcome is what became of an operation.
type Outcome struct {
	Number   int64  // in the log; 0 where there was nothing to do
	ID       string // by which servers know it
	State    store.OperationState
	Changes  []noun.Change
	Warnings []message.Text
	Servers  []ServerOutcome
	Duration time.Duration
}

// ServerOutcome is what became of an operation on one server.
type ServerOutcome struct {
	Server  string
	Outcome store.ServerOutcome
	Dirty   bool // it was out of reach and will be converged when it is reached
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
	// Err says why the server could not be asked; nil where it was.
	Err error
}

// Selection says what is compared; an empty list is everything.
type Selection struct {
	Noun     string // "" is every noun
	Names    []string
	Account  string
	Servers  []string
	Backends []string
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

package store

import (
	"context"

	"orchestra/pkg/message"
	"orchestra/pkg/noun"
)

// Planner implements noun.Planner over a transaction: see Tx.Plan.
type Planner struct {
	*Tx
}

// NewPlanner returns a Planner that writes into tx. Who uses it rolls back.
func NewPlanner(tx *Tx) *Planner { return &Planner{Tx: tx} }

// Sent is what a service is told once: values that are never stored.
type Sent struct {
	Noun    string
	ID      int64
	Name    string
	Account int64
	Action  string // "save", or a named action of the backend
	Values  map[string]noun.Confidential
}

// Changes returns the changes in the order in which they were made.
func (p *Planner) Changes() []noun.Change { return nil }

// Sent returns the service-owned values.
func (p *Planner) Sent() []Sent { return nil }

// Warnings returns what was to be told.
func (p *Planner) Warnings() []message.Text { return nil }

// Written returns the ids of the accounts that own what was written, before or
// after, sorted; a changed account itself included.
func (p *Planner) Written() []int64 { return nil }

// Read returns the ids of the accounts that own what was read, without those
// of Written, sorted.
func (p *Planner) Read() []int64 { return nil }

// Counters returns the counters that were advanced, for Tx.SetCounters: they
// must be made durable although the plan is rolled back.
func (p *Planner) Counters() map[string]int64 { return nil }

// World tells whether a noun was changed that decides where things go.
func (p *Planner) World() bool { return false }

// Add implements noun.Planner.
func (p *Planner) Add(ctx context.Context, name string, values noun.Values) (noun.Row, error) {
	panic("todo")
}

// Set implements noun.Planner.
func (p *Planner) Set(ctx context.Context, row noun.Row, values noun.Values) (noun.Row, error) {
	panic("todo")
}

// Delete implements noun.Planner.
func (p *Planner) Delete(ctx context.Context, row noun.Row) error { panic("todo") }

// Send implements noun.Planner.
func (p *Planner) Send(ctx context.Context, row noun.Row, action string, values map[string]noun.Confidential) error {
	panic("todo")
}

// Warn implements noun.Planner.
func (p *Planner) Warn(text message.Text) { panic("todo") }

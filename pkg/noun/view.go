package noun

import (
	"context"
	"time"

	"orchestra/pkg/message"
	"orchestra/pkg/settings"
)

// View reads the state as one transaction sees it.
type View interface {
	// Get returns an object by id; a fault of kind NotFound where there is none.
	Get(ctx context.Context, noun string, id int64) (Row, error)
	// Find returns an object by the name people call it.
	Find(ctx context.Context, noun, name string) (Row, error)
	// Select returns the objects that meet all conditions, ordered by key. One statement.
	Select(ctx context.Context, noun string, conditions ...Condition) ([]Row, error)
	// Places returns the servers on which an object is, by backend.
	Places(ctx context.Context, noun string, id int64) (map[string][]int64, error)
	// Now is the one instant of this transaction, UTC.
	Now() time.Time
	// Settings are the effective settings.
	Settings() *settings.Settings
	// Noun returns a declaration by name, nil where no such noun is registered.
	Noun(name string) *Noun
	// Nouns returns all declarations in the order of registration.
	Nouns() []*Noun
}

// Condition is met by rows whose field equals one of the values or, where there
// are none, begins with Prefix.
type Condition struct {
	Field  string // a field's name, or "id"
	Values []any
	Prefix string
}

// Where returns the condition that field equals one of values.
func Where(field string, values ...any) Condition { return Condition{Field: field, Values: values} }

// Begins returns the condition that a text field begins with prefix, which may
// not be empty. It is quick where the field is unique.
func Begins(field, prefix string) Condition { return Condition{Field: field, Prefix: prefix} }

// Planner gathers the changes of one operation. What it writes is seen at once
// by its own View, and by nobody else until the operation is committed.
type Planner interface {
	View
	// Add makes an object: defaults, counters, Prepare and Cascade run.
	Add(ctx context.Context, noun string, values Values) (Row, error)
	// Set changes fields of an object: Prepare and Cascade run. A set that
	// changes nothing adds no change.
	Set(ctx context.Context, row Row, values Values) (Row, error)
	// Delete removes an object with its dependents, or names what prevents it.
	Delete(ctx context.Context, row Row) error
	// Send gives service-owned values of row to its backends, once, with this
	// operation: action is a named action of the backend such as "set-password".
	Send(ctx context.Context, row Row, action string, values map[string]Confidential) error
	// Number takes the next number of a durable counter, at least lowest. It is
	// given to nobody else, also where this operation fails.
	Number(ctx context.Context, counter string, lowest int64) (int64, error)
	// Once tells whether it is asked about what for the first time in this plan.
	Once(what string) bool
	// Warn tells who asked something that does not prevent the operation.
	Warn(text message.Text)
	// Deleting tells whether an object is on its way out in this plan, such as
	// the account whose users a cascade deletes.
	Deleting(noun string, id int64) bool
}

// Active tells whether row is active: neither it nor its account is disabled.
func Active(row Row, account *Row) bool {
	return len(row.List("disabled")) == 0 && (account == nil || len(account.List("disabled")) == 0)
}

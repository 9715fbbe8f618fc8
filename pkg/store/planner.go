package store

import (
	"context"
	"maps"
	"slices"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
)

// Planner implements noun.Planner over a transaction: see Tx.Plan. It belongs
// to one goroutine.
type Planner struct {
	*Tx

	changes []noun.Change
	sent    []Sent
	// unchanged are objects that were set to what they are.
	unchanged map[string][]int64
	warnings  []message.Text
	written   map[int64]bool
	read      map[int64]bool
	counters  map[string]int64 // the last number given, as far as known here
	advanced  map[string]bool  // the counters that gave a number
	world     bool

	// scope is where the hooks of a change may write, nil outside of hooks.
	scope *scope
	// asked is what Once was asked about.
	asked map[string]bool
	// moving are the objects that go to another account together.
	moving map[object]bool
	// deleting are the objects on their way out.
	deleting map[object]bool

	rows  map[object]noun.Row
	names map[called]int64
}

// object identifies a row.
type object struct {
	noun string
	id   int64
}

// called identifies a row by what people call it.
type called struct{ noun, name string }

// maxCached bounds the rows that a plan remembers: each is looked up once.
const maxCached = 4096

// Sent is what a service is told once: values that are never stored.
type Sent struct {
	Noun    string
	ID      int64
	Name    string
	Account int64
	Action  string // "save", or a named action of the backend
	Values  map[string]noun.Confidential
}

var _ noun.Planner = (*Planner)(nil)

// NewPlanner returns a Planner that writes into tx. Who uses it rolls back:
// Tx.Plan does.
func NewPlanner(tx *Tx) *Planner {
	return &Planner{
		Tx: tx, written: map[int64]bool{}, read: map[int64]bool{}, counters: map[string]int64{},
		advanced: map[string]bool{}, deleting: map[object]bool{}, rows: map[object]noun.Row{}, names: map[called]int64{},
	}
}

// Changes returns the changes in the order in which they were made. A row that
// was changed twice has two: see noun.Net.
func (p *Planner) Changes() []noun.Change { return p.changes }

// Sent returns the service-owned values.
func (p *Planner) Sent() []Sent { return p.sent }

// Unchanged returns the objects that were set to what they are, by noun.
func (p *Planner) Unchanged() map[string][]int64 { return p.unchanged }

// Warnings returns what was to be told, each once.
func (p *Planner) Warnings() []message.Text { return p.warnings }

// Written returns the ids of the accounts that own what was written or sent,
// before or after, sorted; an account that was changed itself included.
func (p *Planner) Written() []int64 { return slices.Sorted(maps.Keys(p.written)) }

// Read returns the ids of the accounts that own what was referenced or read,
// without those of Written, sorted.
func (p *Planner) Read() []int64 {
	var read []int64
	for id := range p.read {
		if !p.written[id] {
			read = append(read, id)
		}
	}
	slices.Sort(read)
	return read
}

// Counters returns the counters that gave numbers, for Tx.SetCounters: they are
// to be made durable although the plan is rolled back.
func (p *Planner) Counters() map[string]int64 {
	counters := make(map[string]int64, len(p.advanced))
	for name := range p.advanced {
		counters[name] = p.counters[name]
	}
	return counters
}

// World tells whether a noun was changed that decides where things go.
func (p *Planner) World() bool { return p.world }

// Once implements noun.Planner.
func (p *Planner) Once(what string) bool {
	if p.asked[what] {
		return false
	}
	if p.asked == nil {
		p.asked = map[string]bool{}
	}
	p.asked[what] = true
	return true
}

// Number implements noun.Planner.
func (p *Planner) Number(ctx context.Context, counter string, lowest int64) (int64, error) {
	last, err := p.lastOf(ctx, counter)
	if err != nil {
		return 0, err
	}
	number := max(last+1, lowest)
	p.counters[counter], p.advanced[counter] = number, true
	return number, nil
}

// Deleting implements noun.Planner.
func (p *Planner) Deleting(name string, id int64) bool { return p.deleting[object{name, id}] }

// Warn implements noun.Planner.
func (p *Planner) Warn(text message.Text) {
	for _, warning := range p.warnings {
		if warning.String() == text.String() {
			return
		}
	}
	p.warnings = append(p.warnings, text)
}

// Send implements noun.Planner.
func (p *Planner) Send(ctx context.Context, row noun.Row, action string, values map[string]noun.Confidential) error {
	owner, err := p.Account(ctx, row)
	if err != nil {
		return err
	}
	if err := p.touch(ctx, row, owner); err != nil {
		return err
	}
	p.sent = append(p.sent, Sent{
		Noun: row.Noun, ID: row.ID, Name: p.nameOf(row), Account: owner, Action: action, Values: maps.Clone(values),
	})
	return nil
}

// Get implements noun.View.
func (p *Planner) Get(ctx context.Context, name string, id int64) (noun.Row, error) {
	row, err := p.get(ctx, name, id)
	if err != nil {
		return noun.Row{}, err
	}
	return row.Clone(), p.markRead(ctx, row)
}

// Find implements noun.View.
func (p *Planner) Find(ctx context.Context, name, calledBy string) (noun.Row, error) {
	table, err := p.table(name)
	if err != nil {
		return noun.Row{}, err
	}
	key, err := table.canonical(ctx, p, calledBy)
	if err != nil {
		return noun.Row{}, err
	}
	if id, ok := p.names[called{name, key}]; ok {
		return p.Get(ctx, name, id)
	}
	row, err := p.Tx.Find(ctx, name, key)
	if err != nil {
		return noun.Row{}, err
	}
	p.remember(row)
	p.names[called{name, key}] = row.ID
	return row.Clone(), p.markRead(ctx, row)
}

// Select implements noun.View.
func (p *Planner) Select(ctx context.Context, name string, conditions ...noun.Condition) ([]noun.Row, error) {
	rows, err := p.Tx.Select(ctx, name, conditions...)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if err := p.markRead(ctx, row); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// Account returns the id of the account that owns row, 0 where nobody does.
func (p *Planner) Account(ctx context.Context, row noun.Row) (int64, error) {
	return account(ctx, unmarked{p}, p.Registry(), row)
}

// unmarked reads without counting it as read: owners of owners are the account's own.
type unmarked struct{ planner *Planner }

// Get implements getter.
func (u unmarked) Get(ctx context.Context, name string, id int64) (noun.Row, error) {
	return u.planner.get(ctx, name, id)
}

// get returns the remembered row itself: not to be changed.
func (p *Planner) get(ctx context.Context, name string, id int64) (noun.Row, error) {
	if row, ok := p.rows[object{name, id}]; ok {
		return row, nil
	}
	row, err := p.Tx.Get(ctx, name, id)
	if err != nil {
		return noun.Row{}, err
	}
	p.remember(row)
	return row, nil
}

func (p *Planner) remember(row noun.Row) {
	if len(p.rows) >= maxCached || len(p.names) >= maxCached {
		clear(p.rows)
		clear(p.names)
	}
	p.rows[object{row.Noun, row.ID}] = row
}

// forget drops what is remembered of a row that is changed or deleted.
func (p *Planner) forget(row noun.Row) {
	delete(p.rows, object{row.Noun, row.ID})
	delete(p.names, called{row.Noun, p.nameOf(row)})
}

func (p *Planner) markRead(ctx context.Context, row noun.Row) error {
	owner, err := p.Account(ctx, row)
	if err == nil && owner != 0 {
		p.read[owner] = true
	}
	return err
}

// nameOf returns what people call a row.
func (p *Planner) nameOf(row noun.Row) string { return row.Text(p.Noun(row.Noun).Key) }

// next returns the next number of a counter, within the range of the settings.
func (p *Planner) next(ctx context.Context, counter string) (int64, error) {
	last, err := p.lastOf(ctx, counter)
	if err != nil {
		return 0, err
	}
	lowest, highest := p.Settings().Range(counter)
	number := max(last+1, lowest)
	if number > highest {
		return 0, fault.New(fault.Conflict, "all numbers of %s up to %d are used up, and none is given twice",
			counter, highest).WithHint("Raise its last number in the settings.")
	}
	p.counters[counter], p.advanced[counter] = number, true
	return number, nil
}

func (p *Planner) lastOf(ctx context.Context, counter string) (int64, error) {
	if last, ok := p.counters[counter]; ok {
		return last, nil
	}
	last, err := p.Counter(ctx, counter)
	if err == nil {
		p.counters[counter] = last
	}
	return last, err
}

// take uses up a number that was given by hand: one that the counter gave
// before could belong to something that was deleted.
func (p *Planner) take(ctx context.Context, counter string, number int64) error {
	last, err := p.lastOf(ctx, counter)
	if err != nil {
		return err
	}
	lowest, highest := p.Settings().Range(counter)
	if number <= last || number < lowest || number > highest {
		return fault.New(fault.Invalid, "%d is not a free number from %d to %d", number, max(last+1, lowest), highest)
	}
	p.counters[counter], p.advanced[counter] = number, true
	return nil
}

package operation

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// simWatch looks at the moments that nobody could see afterwards: when an act
// is done that has no way back.
type simWatch struct {
	world *simWorld

	mutex  sync.Mutex
	strict bool            // one operation on items runs, whose servers are in service
	seen   map[string]int  // pivots of this round, by item and value
	stray  map[string]bool // items whose pivot was done by an operation that was undone
	wrong  error
}

// begin starts a round.
func (v *simWatch) begin(w *simWorld, strict bool) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.world, v.strict, v.seen = w, strict, map[string]int{}
	if v.stray == nil {
		v.stray = map[string]bool{}
	}
}

// relax ends what is only true while the command itself runs.
func (v *simWatch) relax() {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.strict = false
}

// sees is told of an act that is about to be done.
func (v *simWatch) sees(m *simMachine, function, item, value string) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.world.trace("%s: %s %s %s", m.name, function, item, value)
	var err error
	if function == setList {
		v.seen[item+" "+value]++
		if v.strict {
			err = v.pivot(m, item, value)
		}
	} else {
		err = v.later(m, item)
	}
	if v.wrong == nil {
		v.wrong = err
	}
}

// pivot checks that a pivot is done once, before the commit, and after all else.
func (v *simWatch) pivot(on *simMachine, item, value string) error {
	if v.seen[item+" "+value] > 1 {
		return fmt.Errorf("the pivot of %s %s is done twice", item, value)
	}
	w := v.world
	now := w.stored(w.observer)
	if now.items[item].value == value {
		return fmt.Errorf("the pivot of %s %s is done after the commit", item, value)
	}
	for _, m := range w.machines {
		enabled, exists := now.servers[m.name]
		_, routed := now.content(m.name).Files["a0"] // each account has its items at the same places
		if !exists || !enabled || !routed || now.queues(m.name) || m == on {
			continue
		}
		if got := m.content().Files[item]; !strings.HasPrefix(got, value+"/") {
			return fmt.Errorf("the pivot of %s %s is done while %s has %q", item, value, m.name, got)
		}
	}
	return nil
}

// later checks that nothing is destroyed of what the database says is there.
func (v *simWatch) later(on *simMachine, item string) error {
	var wrong error
	ctx := context.Background()
	must(v.world.observer.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Select(ctx, "item", noun.Where("name", item))
		if err != nil || len(rows) == 0 {
			return err
		}
		servers, err := tx.Select(ctx, "server", noun.Where("name", on.name))
		if err != nil || len(servers) == 0 {
			return err
		}
		debts, err := tx.Debts(ctx, servers[0].ID)
		if err != nil || len(debts) > 0 {
			return err // what is owed is of an item of that name that went before
		}
		placed, err := tx.Placements(ctx, "item", []int64{rows[0].ID})
		for _, one := range placed {
			if one.Server == servers[0].ID {
				wrong = fmt.Errorf("%s of %s is destroyed, which the database says is there", item, on.name)
			}
		}
		return err
	}))
	return wrong
}

// takesUp is told that a server takes an operation up: never one of which it has
// said that it has ended.
func (v *simWatch) takesUp(m *simMachine, id string) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	var outcome store.ServerOutcome
	must(v.world.observer.View(context.Background(), func(tx *store.Tx) error {
		return tx.QueryRow(context.Background(), `SELECT COALESCE(MAX(s.outcome), '') FROM system_operation_server s
			JOIN system_operation o ON o.number = s.operation JOIN servers n ON n.id = s.server WHERE o.id = ? AND n.name = ?`, id, m.name).Scan(&outcome)
	}))
	if v.wrong == nil && (outcome == store.OutcomeUndone || outcome == store.OutcomeKept) {
		v.wrong = fmt.Errorf("%s takes up operation %s, which it said is %s", m.name, id, outcome)
	}
}

// found returns what was wrong at some moment.
func (v *simWatch) found() error {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return v.wrong
}

// end ends a round: it notes which pivots have outlived their operations.
func (v *simWatch) end(now *simModel) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	for seen := range v.seen {
		item, value, _ := strings.Cut(seen, " ")
		if now.items[item].value == value {
			delete(v.stray, item)
		} else {
			v.stray[item] = true
		}
	}
}

// strays tells whether the pivot of an item has outlived its operation.
func (v *simWatch) strays(item string) bool {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return v.stray[item]
}

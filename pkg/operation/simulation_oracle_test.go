package operation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"orchestra/pkg/fault"
	"orchestra/pkg/store"
)

// serial tells whether the commands have come to what they would have come to
// one after the other, in some order: each whole, or not at all, and as it said.
func serial(before, now *simModel, all []said) error {
	for _, order := range orders(all) {
		for chosen := range 1 << len(order) {
			model, right := before.clone(), true
			for i, one := range order {
				applied := chosen&(1<<i) != 0
				tried := model.clone()
				can := one.operation.apply(tried)
				right = right && one.allows(applied, can)
				if applied {
					model = tried
				}
			}
			if right && now.equal(model) {
				return nil
			}
		}
	}
	return fmt.Errorf("%v; but nothing that they can have come to is what is in the database (-before +now):\n%s", all, cmp.Diff(before, now))
}

func orders(all []said) [][]said {
	if len(all) < 2 {
		return [][]said{all}
	}
	return [][]said{{all[0], all[1]}, {all[1], all[0]}}
}

// allows tells whether what was said allows that the command was done, or was
// not, where it could be, or could not.
func (s said) allows(applied, can bool) bool {
	switch {
	case applied && !can:
		return false
	case s.crashed || fault.Is(s.err, fault.Unrecovered):
		return true
	case s.err == nil:
		return applied
	case fault.Is(s.err, fault.NotFound) || fault.Is(s.err, fault.Invalid):
		return !applied && !can
	}
	return !applied
}

// contract checks a command's end against the contract of the exit codes.
func (w *simWorld) contract(s said, alone bool) error {
	wrong := func(why string) error { return fmt.Errorf("%s: %s", s, why) }
	ended := s.outcome == nil || s.outcome.Number == 0 || s.outcome.State.Ended()
	switch kind := fault.KindOf(s.err); {
	case s.crashed:
		return nil
	case s.err == nil:
		return w.recorded(s)
	case strings.Contains(s.err.Error(), errOracle.Error()):
		return s.err
	case kind == fault.Internal && !w.isBlamed():
		return wrong("nothing of the panel's own was broken")
	case kind == fault.Interrupted && w.interrupt == 0:
		return wrong("nobody has interrupted it")
	case slices.Contains([]fault.Kind{fault.Usage, fault.Denied, fault.Differences}, kind):
		return wrong("that has nothing to do with it")
	case kind == fault.Unrecovered && alone && !w.isBlamed() && !strings.Contains(s.err.Error(), "no way back"):
		if open := w.open(); len(open) == 0 {
			return wrong("nothing is left to be recovered")
		}
	case kind != fault.Unrecovered && kind != fault.Internal && !ended:
		return wrong("its operation is " + string(s.outcome.State))
	}
	return nil
}

// recorded checks that what is said to be done is durably so.
func (w *simWorld) recorded(s said) error {
	if s.outcome == nil || s.outcome.Number == 0 {
		return nil
	}
	var state store.OperationState
	must(w.observer.View(context.Background(), func(tx *store.Tx) (err error) {
		state, err = tx.OperationState(context.Background(), s.outcome.ID)
		return err
	}))
	if state != store.Done {
		return fmt.Errorf("%s, and the database that it is %s", s, state)
	}
	return nil
}

// open returns the operations that have not ended.
func (w *simWorld) open() []store.Operation {
	var open []store.Operation
	must(w.observer.View(context.Background(), func(tx *store.Tx) (err error) {
		open, err = tx.OpenOperations(context.Background())
		return err
	}))
	return open
}

// judge checks what one command said at once, before anything heals.
func (w *simWorld) judge(one said) error {
	if one.crashed || fault.Is(one.err, fault.Unrecovered) {
		return w.claimed()
	}
	if one.operation.run != nil {
		return nil // it has looked itself
	}
	want := w.model
	if one.err == nil {
		want = w.model.clone()
		one.operation.apply(want)
	}
	for _, m := range w.machines {
		if !m.isUp() || w.network.isCut(m.id) || w.model.queues(m.name) || want.queues(m.name) || m.stale || !want.servers[m.name] || !w.model.servers[m.name] {
			continue
		}
		if diff := w.differs(m, want); diff != "" {
			return fmt.Errorf("%s, and %s is not so (-wanted +found):\n%s", one, m.name, diff)
		}
	}
	return nil
}

// claimed checks that an operation that has not ended holds what it claimed.
func (w *simWorld) claimed() error {
	return w.observer.View(context.Background(), func(tx *store.Tx) error {
		var without int
		err := tx.QueryRow(context.Background(), `SELECT COUNT(*) FROM system_operation o WHERE state NOT IN ('done', 'undone')
			AND EXISTS (SELECT 1 FROM system_operation_change c WHERE c.operation = o.number)
			AND NOT EXISTS (SELECT 1 FROM system_claim c WHERE c.operation = o.number)`).Scan(&without)
		if err == nil && without > 0 {
			err = fmt.Errorf("%d operations have not ended and claim nothing", without)
		}
		return err
	})
}

// differs tells how a server is not as a model wants it.
func (w *simWorld) differs(m *simMachine, model *simModel) string {
	wanted := model.content(m.name)
	found := m.content().without(m.excused, wanted)
	for item := range wanted.List {
		if w.watch.strays(item) {
			delete(wanted.List, item)
			delete(found.List, item)
		}
	}
	return cmp.Diff(wanted, found)
}

// agree is the oracle: database, servers and journal say the same, and nothing
// is left over.
func (w *simWorld) agree(p *simPanel, when string) error {
	time.Sleep(3 * time.Minute) // whatever still runs has noticed that it is alone
	if err := w.watch.found(); err != nil {
		return err
	}
	for _, m := range w.machines {
		if !w.model.servers[m.name] {
			continue // disabled, or not there
		}
		if diff := w.differs(m, w.model); diff != "" {
			return fmt.Errorf("%s, on %s (-database +server):\n%s", when, m.name, diff)
		}
		if err := m.clean(); err != nil {
			return fmt.Errorf("%s, %s: %w", when, m.name, err)
		}
		if err := m.keepsTrash(); err != nil {
			return fmt.Errorf("%s, %s: %w", when, m.name, err)
		}
	}
	err := p.store.View(context.Background(), func(tx *store.Tx) error { return w.settled(tx) })
	if err != nil {
		return fmt.Errorf("%s, %w", when, err)
	}
	return nil
}

// leftovers are questions about the database whose answer is 0 where all has ended.
var leftovers = map[string]string{
	"servers had come to the other end":          "SELECT COUNT(*) FROM system_operation_phase WHERE outcome = '" + otherEnd + "'",
	"operations have not ended":                  "SELECT COUNT(*) FROM system_operation WHERE state NOT IN ('done', 'undone')",
	"claims are held by nobody":                  "SELECT COUNT(*) FROM system_claim",
	"accounts are held by nobody":                "SELECT COUNT(*) FROM system_operation_account",
	"debts of servers in service are not paid":   "SELECT COUNT(*) FROM system_debt WHERE server IN (SELECT id FROM servers WHERE off IS NULL OR off = '')",
	"servers in service are not up to date":      "SELECT COUNT(*) FROM system_dirty WHERE server IN (SELECT id FROM servers WHERE off IS NULL OR off = '')",
	"changes in the journal hold a secret":       "SELECT COUNT(*) FROM system_operation_change WHERE before LIKE '%" + simSecret + "%' OR after LIKE '%" + simSecret + "%'",
	"phases in the journal hold a secret":        "SELECT COUNT(*) FROM system_operation_phase WHERE output LIKE '%" + simSecret + "%' OR message LIKE '%" + simSecret + "%'",
	"dirty marks hold a secret":                  "SELECT COUNT(*) FROM system_dirty WHERE facts LIKE '%" + simSecret + "%'",
	"commands in the journal hold a secret":      "SELECT COUNT(*) FROM system_operation WHERE command LIKE '%" + simSecret + "%' OR failure LIKE '%" + simSecret + "%'",
	"placements are on servers that are no more": "SELECT COUNT(*) FROM system_placement WHERE server NOT IN (SELECT id FROM servers)",
}

func (w *simWorld) settled(tx *store.Tx) error {
	for what, question := range leftovers {
		var count int
		if err := tx.QueryRow(context.Background(), question).Scan(&count); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if count > 0 {
			return fmt.Errorf("%d %s", count, what)
		}
	}
	return nil
}

// clean tells whether nothing temporary is left on a machine, and no secret but
// where it belongs.
func (m *simMachine) clean() error {
	m.mutex.Lock()
	running := len(m.processes)
	m.mutex.Unlock()
	if running > 0 {
		return fmt.Errorf("%d runtimes are still there", running)
	}
	all := m.memory.Dump()
	for path, text := range all {
		if strings.Contains(text, simSecret) && !strings.HasPrefix(path, secretsDirectory+"/") {
			return fmt.Errorf("%s holds a secret", path)
		}
		if !expected(all, path) {
			return fmt.Errorf("%s is left", path)
		}
	}
	return nil
}

// expected tells whether a path may be there when nothing runs.
func expected(all map[string]string, path string) bool {
	if rest, is := strings.CutPrefix(path, "/var/lib/orchestra/"); is {
		id, open := strings.CutPrefix(rest, "open/")
		if name, parked := strings.CutPrefix(rest, "trash/"); parked && !strings.HasSuffix(name, homeEnding) {
			return false
		}
		return (!open || ended(all, id)) && !strings.HasPrefix(rest, "new/")
	}
	for _, directory := range []string{dataDirectory, secretsDirectory, homesDirectory} {
		if name, is := strings.CutPrefix(path, directory+"/"); is {
			return !strings.HasPrefix(name, ".")
		}
		if path == directory {
			return true
		}
	}
	return path == "/" || path == "/srv" || path == "/etc" || path == "/etc/map" || strings.HasPrefix(path, "/var") ||
		strings.HasPrefix(path, "/etc/") && !strings.HasPrefix(path, "/etc/map")
}

// ended tells whether an empty directory of an ended operation was brought back
// by a power cut: the next session removes it.
func ended(all map[string]string, id string) bool {
	for path := range all {
		if strings.HasPrefix(path, "/var/lib/orchestra/ended/") && strings.HasSuffix(path, "/"+id) {
			return true
		}
	}
	return false
}

// keepsTrash checks that what was parked is still there: no story is as long as
// things are kept, whatever one clock says. Where the panel's was ahead too,
// nobody can know.
func (m *simMachine) keepsTrash() error {
	now := map[string]bool{}
	for path := range m.memory.Dump() {
		if name, is := strings.CutPrefix(path, "/var/lib/orchestra/trash/"); is {
			now[name] = true
		}
	}
	for name := range m.parked {
		if !now[name] && !m.world.clock.wasAhead() {
			return fmt.Errorf("%s is gone from the trash", name)
		}
	}
	m.parked = now
	return nil
}

// idempotent checks, at the end, that to compare finds nothing, and that to tell
// every server everything once more changes nothing and reloads nothing.
func (w *simWorld) idempotent() error {
	for item := range w.model.items {
		if w.watch.strays(item) {
			return nil // its pivot would rightly be done once more
		}
	}
	w.watch.begin(w, false)
	p := w.newPanel()
	defer p.close()
	ctx := context.Background()
	if err := w.compared(p); err != nil {
		return err
	}
	before := w.footprint()
	for _, m := range w.machines {
		if !w.model.servers[m.name] {
			continue
		}
		if _, err := p.Adopt(ctx, m.name, Request{Command: "adopt " + m.name}); err != nil {
			return fmt.Errorf("adopting %s at the end: %w", m.name, err)
		}
	}
	if _, _, err := p.Recover(ctx); err != nil {
		return fmt.Errorf("converging all at the end: %w", err)
	}
	if diff := cmp.Diff(before, w.footprint()); diff != "" {
		return fmt.Errorf("told everything once more, it was done once more:\n%s", diff)
	}
	return w.agree(p, "at the end")
}

// footprint is all that a second run must not change.
func (w *simWorld) footprint() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, m := range w.machines {
		print := maps.Clone(m.memory.Dump("/var/lib/orchestra"))
		print["reloads and acts"] = fmt.Sprint(m.units, m.done)
		all[m.name] = print
	}
	return all
}

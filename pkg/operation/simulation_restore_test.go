package operation

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/store"
)

// Databases that are not the one that the servers follow.

// followed is what a server says of whom it follows.
func (m *simMachine) followed() string {
	lines := strings.Split(m.memory.Dump()["/var/lib/orchestra/panel"], "\n")
	if len(lines) < 2 {
		return ""
	}
	last := lines[len(lines)-2] // what is behind the last newline does not count
	return last[strings.Index(last, "{"):]
}

// forgotten notes that the database has forgotten a server: what is there stays,
// and should it be added again, it is adopted first.
func (m *simMachine) forgotten() {
	m.stale = m.followed() != ""
	for name := range m.content().names() {
		m.excused[name] = true
	}
}

func (m *simModel) has(server string) bool {
	_, is := m.servers[server]
	return is
}

// simStranger has a second panel, which has heard of the same servers, try to
// bring something there: it must be refused, and nothing changes.
func simStranger() simOperation {
	return simOperation{
		alone: true, around: true,
		apply: func(*simModel) bool { return true },
		run: func(ctx context.Context, w *simWorld, _ *simPanel) (*Outcome, error) {
			directory := filepath.Join(w.directory, "stranger")
			must(errors.Join(os.RemoveAll(directory), os.Mkdir(directory, 0o700)))
			path := filepath.Join(directory, "orchestra.db")
			w.emptyDatabase(path)
			p := w.panelOver(path)
			defer p.close()
			before := w.everything()
			var err error
			for _, text := range simBeginning(simShapes[0]) {
				operation, wrong := parseOperation(text)
				must(wrong)
				if _, err = p.Run(ctx, Request{Command: text, Mutate: operation.mutate}); err != nil {
					break
				}
			}
			if kind := fault.KindOf(err); err == nil || kind != fault.Conflict && kind != fault.Unreachable && kind != fault.Interrupted {
				return nil, fmt.Errorf("%w: another panel was let in, or told %v", errOracle, err)
			}
			if !reflect.DeepEqual(before, w.everything()) {
				return nil, fmt.Errorf("%w: another panel has changed something", errOracle)
			}
			return nil, nil
		},
	}
}

// errOracle says that what was found while a command ran is wrong.
var errOracle = errors.New("the simulation")

// everything is what all servers serve.
func (w *simWorld) everything() []simContent {
	var all []simContent
	for _, m := range w.machines {
		all = append(all, m.content())
	}
	return all
}

func (w *simWorld) backupPath() string { return filepath.Join(w.directory, "backup.db") }

func simBackup() simOperation {
	return simOperation{
		alone: true,
		apply: func(*simModel) bool { return true },
		run: func(ctx context.Context, w *simWorld, p *simPanel) (*Outcome, error) {
			must(os.RemoveAll(w.backupPath()))
			must(p.store.Backup(ctx, w.backupPath()))
			for _, m := range w.machines {
				m.backedUp = m.followed()
			}
			return nil, nil
		},
	}
}

// simRestore puts the last backup in the place of the database, and tries a
// command with it: servers that have heard of anything since must refuse it.
func simRestore() simOperation {
	return simOperation{
		alone: true, around: true,
		apply: func(*simModel) bool { return true },
		run: func(ctx context.Context, w *simWorld, p *simPanel) (*Outcome, error) {
			if _, err := os.Stat(w.backupPath()); errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			p.close()
			behind := w.putBack()
			q := w.newPanel()
			defer q.close()
			for range 2 { // it must not be forgotten by trying
				if err := w.tryRestored(ctx, q, behind); err != nil {
					return nil, err
				}
			}
			w.model = w.stored(w.observer)
			return nil, nil
		},
	}
}

// tryRestored runs a command with a restored database.
func (w *simWorld) tryRestored(ctx context.Context, p *simPanel, behind map[string]bool) error {
	before := w.everything()
	outcome, err := p.Run(ctx, Request{Command: "label acme restored", Mutate: simLabel("acme", "restored").mutate})
	w.trace("the restored database says: %v", err)
	if fault.Is(err, fault.Conflict) && !reflect.DeepEqual(before, w.everything()) {
		return fmt.Errorf("%w: it was refused, and something has changed", errOracle)
	}
	if outcome == nil {
		return nil
	}
	for _, one := range outcome.Servers {
		if behind[one.Server] && one.Outcome == store.OutcomeKept {
			return fmt.Errorf("%w: %s takes what a restored database says", errOracle, one.Server)
		}
	}
	return nil
}

// putBack replaces the database, as an administrator does while nothing runs.
// It returns the servers that have heard of more than is in it.
func (w *simWorld) putBack() (behind map[string]bool) {
	behind = map[string]bool{}
	w.observer.Close()
	path := w.database()
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		must(os.RemoveAll(name))
	}
	backup, err := os.ReadFile(w.backupPath())
	must(err)
	must(os.WriteFile(path, backup, 0o600))
	w.observe()
	for _, m := range w.machines {
		behind[m.name] = m.followed() != m.backedUp
		m.stale = m.stale || behind[m.name]
		if m.stale {
			for name := range m.content().names() {
				m.excused[name] = true
			}
		}
	}
	w.model = w.stored(w.observer)
	return behind
}

// adoptStale adopts the servers that follow another state of the database.
func (w *simWorld) adoptStale(ctx context.Context, p *simPanel) error {
	now := w.stored(w.observer)
	for _, m := range w.machines {
		if !m.stale || !now.servers[m.name] {
			continue
		}
		_, err := p.Adopt(ctx, m.name, Request{Command: "server adopt " + m.name})
		w.trace("adopting %s: %v", m.name, err)
		if err != nil {
			return err
		}
		m.stale = false
	}
	return nil
}

// stillStale tells that servers are still to be adopted.
func (w *simWorld) stillStale(*simPanel) error {
	now := w.stored(w.observer)
	for _, m := range w.machines {
		if m.stale && now.servers[m.name] {
			return fmt.Errorf("%s is to be adopted", m.name)
		}
	}
	return nil
}

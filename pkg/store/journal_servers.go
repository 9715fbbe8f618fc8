package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math/rand/v2"

	"orchestra/pkg/noun"
)

// ServerState is what this panel knows of a server.
type ServerState struct {
	Server int64
	// Sequence is the last one given out for it, Seen the last one that the
	// server has confirmed; 0 for none.
	Sequence, Seen int64
}

// ServerState returns what this panel knows of a server.
func (t *Tx) ServerState(ctx context.Context, server int64) (ServerState, error) {
	state := ServerState{Server: server}
	err := t.QueryRow(ctx, "SELECT sequence, seen FROM system_server_state WHERE server = ?", server).
		Scan(&state.Sequence, &state.Seen)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return state, wrap(err, "reading the server's state")
}

// NextSequence gives out a new sequence for a server: microseconds of this
// panel's clock, and greater than the last one in any case, by chance where the
// clock is behind. It is no plain counter, because a database restored from a
// backup would count over the same numbers again and could not be told from the
// one that was lost.
func (t *Tx) NextSequence(ctx context.Context, server int64) (int64, error) {
	state, err := t.ServerState(ctx, server)
	if err != nil {
		return 0, err
	}
	sequence := t.instant().UnixMicro()
	if sequence <= state.Sequence {
		sequence = state.Sequence + 1 + rand.Int64N(sequenceStep)
	}
	_, err = t.Exec(ctx, "INSERT INTO system_server_state (server, sequence, seen) VALUES (?, ?, 0) ON CONFLICT (server) DO UPDATE SET sequence = excluded.sequence",
		server, sequence)
	return sequence, wrap(err, "giving out a sequence")
}

// sequenceStep is how far a sequence may go on where the clock is behind: about
// a second, in its microseconds.
const sequenceStep = 1 << 20

// KnowsSequence tells whether this database gave that sequence out to an
// operation other than the one whose id is named.
func (t *Tx) KnowsSequence(ctx context.Context, server, sequence int64, except string) (bool, error) {
	var known bool
	err := t.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM system_operation_server s JOIN system_operation o ON o.number = s.operation
		WHERE s.server = ? AND s.sequence = ? AND o.id <> ?)`, server, sequence, except).Scan(&known)
	return known, wrap(err, "looking for a sequence")
}

// Confirm records sequences that servers have confirmed.
func (t *Tx) Confirm(ctx context.Context, sequences map[int64]int64) error {
	for server, sequence := range sequences {
		_, err := t.Exec(ctx, "UPDATE system_server_state SET seen = MAX(seen, ?) WHERE server = ?", sequence, server)
		if err != nil {
			return wrap(err, "recording a sequence")
		}
	}
	return nil
}

// Owe records operations that a server out of reach must hear the end of before
// anything else.
func (t *Tx) Owe(ctx context.Context, number int64, servers []int64) error {
	for _, server := range servers {
		_, err := t.Exec(ctx, "INSERT OR IGNORE INTO system_debt (server, operation) VALUES (?, ?)", server, number)
		if err != nil {
			return wrap(err, "recording what a server must end first")
		}
	}
	return nil
}

// Debt is an operation that a server must hear the end of.
type Debt struct {
	Number   int64
	ID       string
	Sequence int64
	// Keep says that it is committed, and was live on this server: then it is to
	// be kept. A server that was left out before the commit undoes it.
	Keep bool
}

// Debts returns what a server must hear the end of, newest first.
func (t *Tx) Debts(ctx context.Context, server int64) ([]Debt, error) {
	var debts []Debt
	err := t.each(ctx, func(rows *sql.Rows) error {
		var debt Debt
		err := rows.Scan(&debt.Number, &debt.ID, &debt.Sequence, &debt.Keep)
		debts = append(debts, debt)
		return err
	}, `SELECT d.operation, o.id, COALESCE(s.sequence, 0),
		o.state IN ('committed', 'done') AND COALESCE(s.outcome, '') IN ('abandoned', 'owing') FROM system_debt d JOIN system_operation o ON o.number = d.operation
		LEFT JOIN system_operation_server s ON s.operation = d.operation AND s.server = d.server
		WHERE d.server = ? ORDER BY d.operation DESC`, server)
	return debts, err
}

// Settle records that a server has ended an operation that it owed.
func (t *Tx) Settle(ctx context.Context, server int64, numbers []int64) error {
	for _, number := range numbers {
		if _, err := t.Exec(ctx, "DELETE FROM system_debt WHERE server = ? AND operation = ?", server, number); err != nil {
			return wrap(err, "settling what a server owed")
		}
	}
	return nil
}

// PlacedOn returns everything that is on a server, by one statement.
func (t *Tx) PlacedOn(ctx context.Context, server int64) ([]Placement, error) {
	var placements []Placement
	err := t.each(ctx, func(rows *sql.Rows) error {
		placement := Placement{Server: server}
		err := rows.Scan(&placement.Noun, &placement.Object, &placement.Backend)
		placements = append(placements, placement)
		return err
	}, "SELECT noun, object, backend FROM system_placement WHERE server = ? ORDER BY backend, noun, object", server)
	return placements, err
}

// Changes returns an operation's changes as journaled: secrets are marks.
func (t *Tx) Changes(ctx context.Context, number int64) ([]noun.Change, error) {
	var changes []noun.Change
	err := t.each(ctx, func(rows *sql.Rows) error {
		var change noun.Change
		var before, after sql.NullString
		err := rows.Scan(&change.Noun, &change.ID, &change.Name, &change.Account, &change.Former, &before, &after)
		if err == nil && before.Valid {
			change.Before, err = decodeValues(before.String)
		}
		if err == nil && after.Valid {
			change.After, err = decodeValues(after.String)
		}
		changes = append(changes, change)
		return err
	}, "SELECT noun, object, name, account, former, before, after FROM system_operation_change WHERE operation = ? ORDER BY position", number)
	return changes, err
}

// Pending returns those of servers that have to be converged, or to undo
// something, before anything else.
func (t *Tx) Pending(ctx context.Context, servers []int64) (map[int64]bool, error) {
	list, err := json.Marshal(servers)
	if err != nil {
		return nil, wrap(err, "looking for dirty marks")
	}
	pending := map[int64]bool{}
	err = t.each(ctx, func(rows *sql.Rows) error {
		var server int64
		err := rows.Scan(&server)
		pending[server] = true
		return err
	}, `SELECT server FROM system_dirty WHERE server IN (SELECT value FROM json_each(?1))
		UNION SELECT server FROM system_debt WHERE server IN (SELECT value FROM json_each(?1))`, string(list))
	return pending, err
}

// Owed returns how many changes are owed to each server that is owed any:
// objects whose last change it has not heard of, and operations that it must
// hear the undoing of.
func (t *Tx) Owed(ctx context.Context) (map[int64]int, error) {
	owed := map[int64]int{}
	err := t.each(ctx, func(rows *sql.Rows) error {
		var server int64
		var count int
		err := rows.Scan(&server, &count)
		owed[server] = count
		return err
	}, "SELECT server, COUNT(*) FROM (SELECT server FROM system_dirty UNION ALL SELECT server FROM system_debt) GROUP BY server")
	return owed, err
}

// OwedOf returns the servers that some objects of a noun are owed to.
func (t *Tx) OwedOf(ctx context.Context, noun string, ids []int64) ([]int64, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, wrap(err, "looking for dirty marks")
	}
	var servers []int64
	err = t.each(ctx, func(rows *sql.Rows) error {
		var server int64
		err := rows.Scan(&server)
		servers = append(servers, server)
		return err
	}, "SELECT DISTINCT server FROM system_dirty WHERE noun = ? AND object IN (SELECT value FROM json_each(?)) ORDER BY server", noun, string(list))
	return servers, err
}

package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"orchestra/pkg/noun"
)

// OperationState is how far an operation has come on the panel.
type OperationState string

// The states of an operation: running → committed → done, or running →
// undoing → undone. They change by Tx.MoveOperation only.
const (
	Running   OperationState = "running"   // nothing is decided; rows are as before
	Committed OperationState = "committed" // decided: rows are written, servers must keep
	Done      OperationState = "done"      // every server has kept
	Undoing   OperationState = "undoing"   // decided: servers must undo
	Undone    OperationState = "undone"    // every server is as before
)

// Ended tells whether nothing is left to do.
func (s OperationState) Ended() bool { return s == Done || s == Undone }

// Operation is one command's set of changes: who, when, why and the outcome.
type Operation struct {
	Number  int64  // in this panel's log
	ID      string // 32 hexadecimal digits, by which servers know it
	State   OperationState
	Kind    string // change, setup, converge or adopt
	Actor   string
	Command string
	Lines   int // of a batch; 0 where it was none
	Reason  string
	Started time.Time
	Ended   time.Time // zero while it has not
	Failure string    // the English sentence of why it was undone, "" where it was not

	Changes  []noun.Change
	Accounts []OperationAccount
	Servers  []OperationServer
	Steps    []OperationStep
}

// OperationAccount is an account that an operation holds until it ends.
type OperationAccount struct {
	Account int64
	Shared  bool // read only
}

// OperationServer is a server that an operation concerns.
type OperationServer struct {
	Server   int64
	Name     string
	Sequence int64
	Outcome  ServerOutcome
}

// ServerOutcome is what became of an operation on one server.
type ServerOutcome string

// What may become of an operation on a server.
const (
	OutcomeOpen      ServerOutcome = ""          // it has not given its proof yet
	OutcomeKept      ServerOutcome = "kept"      // it has the new content
	OutcomeUndone    ServerOutcome = "undone"    // it has the old content
	OutcomeUntouched ServerOutcome = "untouched" // nothing was ever sent to it
	OutcomeQueued    ServerOutcome = "queued"    // it is to be converged when it is reached, or enabled
	OutcomeOwing     ServerOutcome = "owing"     // it has the new content, and is told to keep it when it is reached
	OutcomeAbandoned ServerOutcome = "abandoned" // it was adopted, or taken out of service, meanwhile
)

// OperationStep is one backend's part of an operation on one server.
type OperationStep struct {
	Server  int64
	Backend string
	Wave    int
	Objects int
}

// secretMark stands in the journal for a secret's value: nothing in the panel
// needs one again, because rows are written from memory or not at all.
const (
	secretMark        = "(secret)"
	secretChangedMark = "(secret, changed)"
)

const timeLayout = "2006-01-02T15:04:05.000000Z"

func formatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

func parseTime(text string) time.Time {
	t, _ := time.Parse(timeLayout, text) // the zero time says that it is damaged
	return t
}

// instant returns the clock's time; the transaction's own is cut to seconds.
func (t *Tx) instant() time.Time { return t.store.options.Now().UTC() }

// Reopen opens the same database once more, past anything that this handle
// believes of it.
func (s *Store) Reopen(ctx context.Context) (*Store, error) { return Open(ctx, s.options) }

// NewOperationID returns 128 random bits in hexadecimal.
func NewOperationID() string {
	var bits [16]byte
	rand.Read(bits[:]) //nolint:errcheck // it never fails: the program ends instead
	return hex.EncodeToString(bits[:])
}

// PanelID returns the identity of this panel, by which servers know it.
func (t *Tx) PanelID(ctx context.Context) (string, error) {
	var id string
	err := t.QueryRow(ctx, "SELECT id FROM system_panel").Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, wrap(err, "reading the panel's identity")
	}
	id = NewOperationID()
	_, err = t.Exec(ctx, "INSERT INTO system_panel (one, id) VALUES (1, ?)", id)
	return id, wrap(err, "making the panel's identity")
}

// BeginOperation journals an operation as running, with all that it is going
// to do and what it holds, and sets its Number. A claim that another operation
// holds must have been looked for before: see ClaimHolders.
func (t *Tx) BeginOperation(ctx context.Context, operation *Operation) error {
	operation.State = Running
	operation.Started = t.instant()
	result, err := t.Exec(ctx,
		"INSERT INTO system_operation (id, state, kind, actor, command, lines, reason, started) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		operation.ID, string(Running), operation.Kind, operation.Actor, operation.Command, operation.Lines, operation.Reason, formatTime(operation.Started))
	if err != nil {
		return wrap(err, "journaling the operation")
	}
	if operation.Number, err = result.LastInsertId(); err != nil {
		return wrap(err, "numbering the operation")
	}
	if err := t.insertChanges(ctx, operation.Number, operation.Changes); err != nil {
		return err
	}
	for _, account := range operation.Accounts {
		_, err := t.Exec(ctx, "INSERT INTO system_operation_account (operation, account, shared) VALUES (?, ?, ?)",
			operation.Number, account.Account, account.Shared)
		if err != nil {
			return wrap(err, "journaling the accounts")
		}
	}
	for _, server := range operation.Servers {
		_, err := t.Exec(ctx, "INSERT INTO system_operation_server (operation, server, name, sequence, outcome) VALUES (?, ?, ?, ?, ?)",
			operation.Number, server.Server, server.Name, server.Sequence, string(server.Outcome))
		if err != nil {
			return wrap(err, "journaling the servers")
		}
	}
	for _, step := range operation.Steps {
		_, err := t.Exec(ctx, "INSERT INTO system_operation_step (operation, server, backend, wave, objects) VALUES (?, ?, ?, ?, ?)",
			operation.Number, step.Server, step.Backend, step.Wave, step.Objects)
		if err != nil {
			return wrap(err, "journaling the steps")
		}
	}
	return t.insertClaims(ctx, operation.Number, operation.Changes)
}

func (t *Tx) insertChanges(ctx context.Context, number int64, changes []noun.Change) error {
	for i, change := range changes {
		before, err := t.encodeValues(change.Noun, change.Before, nil)
		if err != nil {
			return err
		}
		after, err := t.encodeValues(change.Noun, change.After, change.Before)
		if err != nil {
			return err
		}
		_, err = t.Exec(ctx, "INSERT INTO system_operation_change (operation, position, noun, object, name, account, former, before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			number, i, change.Noun, change.ID, change.Name, change.Account, change.Former, before, after)
		if err != nil {
			return wrap(err, "journaling the changes")
		}
	}
	return nil
}

// encodeValues returns values as JSON with every secret replaced by a mark,
// nil for none. A secret that is not as it was says so.
func (t *Tx) encodeValues(name string, values, before noun.Values) (any, error) {
	if values == nil {
		return nil, nil
	}
	shown, cloned := values, false
	if declared := t.Noun(name); declared != nil {
		for _, field := range declared.Fields {
			value := values[field.Name]
			if field.Secret == nil || value == nil || value == "" {
				continue
			}
			mark := secretMark
			if old := before[field.Name]; before != nil && old != value {
				mark = secretChangedMark
			}
			if !cloned {
				shown, cloned = maps.Clone(values), true
			}
			shown[field.Name] = mark
		}
	}
	text, err := json.Marshal(shown)
	if err != nil {
		return nil, fmt.Errorf("encoding a change of %s: %w", name, err)
	}
	return string(text), nil
}

func wrap(err error, doing string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// Phase is what happened in one phase of an operation on one server, or on the
// panel itself (Server 0).
type Phase struct {
	Server     int64
	ServerName string // filled by Tx.Operation
	Backend    string // "" where it is about all steps of the server
	Phase      string // connect, stage, publish, reload, login, pivot, commit, keep, undo
	Outcome    string // ok, failed, conflict, unreachable, lost or refused
	Started    time.Time
	Duration   time.Duration
	Changed    int      // resources
	Resource   string   // what a failure was about
	Message    string   // why it failed
	Output     string   // of the children: capped, secrets removed
	Actions    []string // a sentence a step
}

// OperationRecord is an operation with everything that the log knows of it.
type OperationRecord struct {
	Operation
	Phases []Phase
}

const operationColumns = "number, id, state, kind, actor, command, reason, started, COALESCE(ended, ''), COALESCE(failure, '')"

// AddPhases appends to an operation's log.
func (t *Tx) AddPhases(ctx context.Context, number int64, phases []Phase) error {
	if len(phases) == 0 {
		return nil
	}
	var position int64
	err := t.QueryRow(ctx, "SELECT COALESCE(MAX(position), 0) FROM system_operation_phase WHERE operation = ?", number).Scan(&position)
	if err != nil {
		return wrap(err, "writing the log")
	}
	for _, phase := range phases {
		position++
		actions := "[]"
		if len(phase.Actions) > 0 {
			text, err := json.Marshal(phase.Actions)
			if err != nil {
				return wrap(err, "writing the log")
			}
			actions = string(text)
		}
		_, err := t.Exec(ctx, `INSERT INTO system_operation_phase (operation, position, server, backend, phase, outcome, started, duration, changed, resource, message, output, actions)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			number, position, phase.Server, phase.Backend, phase.Phase, phase.Outcome, formatTime(phase.Started),
			phase.Duration.Microseconds(), phase.Changed, phase.Resource, phase.Message, phase.Output, actions)
		if err != nil {
			return wrap(err, "writing the log")
		}
	}
	return nil
}

// Operations returns the last operations, newest first, without what they
// changed; all of them where limit is 0.
func (t *Tx) Operations(ctx context.Context, limit int) ([]Operation, error) {
	if limit <= 0 {
		limit = -1
	}
	rows, err := t.Query(ctx, "SELECT "+operationColumns+" FROM system_operation ORDER BY number DESC LIMIT ?", limit)
	if err != nil {
		return nil, wrap(err, "reading the log")
	}
	return scanOperations(rows)
}

// Operation returns everything about one operation; a fault of kind NotFound
// where there is none of that number.
func (t *Tx) Operation(ctx context.Context, number int64) (*OperationRecord, error) {
	rows, err := t.Query(ctx, "SELECT "+operationColumns+" FROM system_operation WHERE number = ?", number)
	if err != nil {
		return nil, wrap(err, "reading the log")
	}
	found, err := scanOperations(rows)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fault.New(fault.NotFound, "there is no operation %d", number).WithHint("orchestra log list")
	}
	record := &OperationRecord{Operation: found[0]}
	if err := t.readHeld(ctx, &record.Operation); err != nil {
		return nil, err
	}
	if record.Changes, err = t.Changes(ctx, number); err != nil {
		return nil, err
	}
	names := map[int64]string{}
	for _, server := range record.Servers {
		names[server.Server] = server.Name
	}
	err = t.each(ctx, func(rows *sql.Rows) error {
		var phase Phase
		var started, actions string
		var duration int64
		err := rows.Scan(&phase.Server, &phase.Backend, &phase.Phase, &phase.Outcome, &started, &duration,
			&phase.Changed, &phase.Resource, &phase.Message, &phase.Output, &actions)
		if err != nil {
			return err
		}
		phase.ServerName = names[phase.Server]
		phase.Started = parseTime(started)
		phase.Duration = time.Duration(duration) * time.Microsecond
		record.Phases = append(record.Phases, phase)
		return json.Unmarshal([]byte(actions), &record.Phases[len(record.Phases)-1].Actions)
	}, "SELECT server, backend, phase, outcome, started, duration, changed, resource, message, output, actions FROM system_operation_phase WHERE operation = ? ORDER BY position", number)
	return record, err
}

func scanOperations(rows *sql.Rows) ([]Operation, error) {
	defer rows.Close()
	var operations []Operation
	for rows.Next() {
		var o Operation
		var started, ended string
		err := rows.Scan(&o.Number, &o.ID, &o.State, &o.Kind, &o.Actor, &o.Command, &o.Reason, &started, &ended, &o.Failure)
		if err != nil {
			return nil, wrap(err, "reading the journal")
		}
		o.Started, o.Ended = parseTime(started), parseTime(ended)
		operations = append(operations, o)
	}
	return operations, wrap(rows.Err(), "reading the journal")
}

// decodeValues is the inverse of the journal's JSON: numbers are int64 and
// lists []string, as in every Values.
func decodeValues(text string) (noun.Values, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var raw map[string]any
	if err := decoder.Decode(&raw); err != nil {
		return nil, fmt.Errorf("decoding the journal: %w", err)
	}
	values := make(noun.Values, len(raw))
	for name, value := range raw {
		switch v := value.(type) {
		case json.Number:
			number, err := v.Int64()
			if err != nil {
				return nil, fmt.Errorf("decoding the journal: %s: %w", name, err)
			}
			values[name] = number
		case []any:
			list := make([]string, 0, len(v))
			for _, item := range v {
				text, is := item.(string)
				if !is {
					return nil, fmt.Errorf("decoding the journal: %s is no list of texts", name)
				}
				list = append(list, text)
			}
			values[name] = list
		default:
			values[name] = value
		}
	}
	return values, nil
}

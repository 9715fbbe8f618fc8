package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/wire"
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
	Changed    int              // resources
	Kinds      []wire.KindCount // the same by kind, in the phase that finds them: stage
	During     string           // where a failure was within the phase: check, say, within publish
	Resource   string           // what a failure was about
	Message    string           // why it failed
	Output     string           // of the children: capped, secrets removed
	Actions    []string         // a sentence a step
	Reloaded   []string         // units that were told
}

// OperationRecord is an operation with everything that the log knows of it.
type OperationRecord struct {
	Operation
	Phases []Phase
}

const operationColumns = "number, id, state, kind, actor, command, lines, reason, started, COALESCE(ended, ''), COALESCE(failure, '')"

const phaseColumns = "server, backend, phase, outcome, started, duration, changed, resource, message, output, actions, kinds, reloaded, during"

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
		actions, kinds, reloaded := jsonList(phase.Actions), jsonList(phase.Kinds), jsonList(phase.Reloaded)
		_, err := t.Exec(ctx, "INSERT INTO system_operation_phase (operation, position, "+phaseColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			number, position, phase.Server, phase.Backend, phase.Phase, phase.Outcome, formatTime(phase.Started),
			phase.Duration.Microseconds(), phase.Changed, phase.Resource, phase.Message, phase.Output, actions, kinds, reloaded, phase.During)
		if err != nil {
			return wrap(err, "writing the log")
		}
	}
	return nil
}

// jsonList returns a list as JSON, "[]" for none.
func jsonList[E string | wire.KindCount](list []E) string {
	if len(list) == 0 {
		return "[]"
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "[]" // texts and numbers always have a form
	}
	return string(text)
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
		var started, actions, kinds, reloaded string
		var duration int64
		err := rows.Scan(&phase.Server, &phase.Backend, &phase.Phase, &phase.Outcome, &started, &duration,
			&phase.Changed, &phase.Resource, &phase.Message, &phase.Output, &actions, &kinds, &reloaded, &phase.During)
		if err != nil {
			return err
		}
		phase.ServerName = names[phase.Server]
		phase.Started = parseTime(started)
		phase.Duration = time.Duration(duration) * time.Microsecond
		err = errors.Join(json.Unmarshal([]byte(actions), &phase.Actions), json.Unmarshal([]byte(kinds), &phase.Kinds),
			json.Unmarshal([]byte(reloaded), &phase.Reloaded))
		record.Phases = append(record.Phases, phase)
		return err
	}, "SELECT "+phaseColumns+" FROM system_operation_phase WHERE operation = ? ORDER BY position", number)
	return record, err
}

func scanOperations(rows *sql.Rows) ([]Operation, error) {
	defer rows.Close()
	var operations []Operation
	for rows.Next() {
		o, err := scanOperation(rows)
		if err != nil {
			return nil, err
		}
		operations = append(operations, o)
	}
	return operations, wrap(rows.Err(), "reading the journal")
}

func scanOperation(rows *sql.Rows) (o Operation, err error) {
	var started, ended string
	err = rows.Scan(&o.Number, &o.ID, &o.State, &o.Kind, &o.Actor, &o.Command, &o.Lines, &o.Reason, &started, &ended, &o.Failure)
	o.Started, o.Ended = parseTime(started), parseTime(ended)
	return o, wrap(err, "reading the journal")
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

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrMoved is wrapped where an operation was not in the state that a move of
// it names: somebody else has decided meanwhile.
var ErrMoved = errors.New("the operation is not in the expected state")

// MoveOperation changes an operation's state. The change names the state that
// it comes from and must hit that one row; ErrMoved otherwise. The end frees
// what the operation holds. failure is kept where it is not "".
func (t *Tx) MoveOperation(ctx context.Context, number int64, from, to OperationState, failure string) error {
	switch [2]OperationState{from, to} {
	case [2]OperationState{Running, Committed}, [2]OperationState{Committed, Done},
		[2]OperationState{Running, Undoing}, [2]OperationState{Undoing, Undone}:
	default:
		return fmt.Errorf("no operation goes from %s to %s", from, to)
	}
	result, err := t.Exec(ctx,
		"UPDATE system_operation SET state = ?, failure = COALESCE(NULLIF(?, ''), failure) WHERE number = ? AND state = ?",
		string(to), failure, number, string(from))
	if err != nil {
		return wrap(err, "changing the operation's state")
	}
	hit, err := result.RowsAffected()
	if err != nil {
		return wrap(err, "changing the operation's state")
	}
	if hit != 1 {
		return fmt.Errorf("operation %d, from %s to %s: %w", number, from, to, ErrMoved)
	}
	if !to.Ended() {
		return nil
	}
	return t.freeOperation(ctx, number)
}

// freeOperation frees what an ended operation holds.
func (t *Tx) freeOperation(ctx context.Context, number int64) error {
	if _, err := t.Exec(ctx, "UPDATE system_operation SET ended = ? WHERE number = ?", formatTime(t.instant()), number); err != nil {
		return wrap(err, "ending the operation")
	}
	if _, err := t.Exec(ctx, "DELETE FROM system_claim WHERE operation = ?", number); err != nil {
		return wrap(err, "freeing the claims")
	}
	_, err := t.Exec(ctx, "DELETE FROM system_operation_account WHERE operation = ?", number)
	return wrap(err, "freeing the accounts")
}

// OperationState returns the state of an operation, "" where there is none.
func (t *Tx) OperationState(ctx context.Context, id string) (OperationState, error) {
	var state string
	err := t.QueryRow(ctx, "SELECT state FROM system_operation WHERE id = ?", id).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return OperationState(state), wrap(err, "reading the operation's state")
}

// SetOutcomes records what became of an operation on servers.
func (t *Tx) SetOutcomes(ctx context.Context, number int64, outcomes map[int64]ServerOutcome) error {
	for server, outcome := range outcomes {
		_, err := t.Exec(ctx, "UPDATE system_operation_server SET outcome = ? WHERE operation = ? AND server = ?", string(outcome), number, server)
		if err != nil {
			return wrap(err, "recording the outcome on a server")
		}
	}
	return nil
}

// OpenOperations returns the operations that have not ended, oldest first,
// with their accounts, servers and steps; without their changes.
func (t *Tx) OpenOperations(ctx context.Context) ([]Operation, error) {
	return t.operationsWhere(ctx, "state NOT IN ('done', 'undone')")
}

// OperationsAfter returns the operations that began after that of a number, oldest
// first, with their accounts, servers and steps; without their changes.
func (t *Tx) OperationsAfter(ctx context.Context, number int64) ([]Operation, error) {
	return t.operationsWhere(ctx, "number > ?", number)
}

func (t *Tx) operationsWhere(ctx context.Context, condition string, args ...any) ([]Operation, error) {
	rows, err := t.Query(ctx, "SELECT "+operationColumns+" FROM system_operation WHERE "+condition+" ORDER BY number", args...)
	if err != nil {
		return nil, wrap(err, "reading the journal")
	}
	operations, err := scanOperations(rows)
	if err != nil {
		return nil, err
	}
	for i := range operations {
		if err := t.readHeld(ctx, &operations[i]); err != nil {
			return nil, err
		}
	}
	return operations, nil
}

// readHeld reads an operation's accounts, servers and steps.
func (t *Tx) readHeld(ctx context.Context, operation *Operation) error {
	err := t.each(ctx, func(rows *sql.Rows) error {
		var account OperationAccount
		err := rows.Scan(&account.Account, &account.Shared)
		operation.Accounts = append(operation.Accounts, account)
		return err
	}, "SELECT account, shared FROM system_operation_account WHERE operation = ? ORDER BY account", operation.Number)
	if err != nil {
		return err
	}
	err = t.each(ctx, func(rows *sql.Rows) error {
		var server OperationServer
		err := rows.Scan(&server.Server, &server.Name, &server.Sequence, &server.Outcome)
		operation.Servers = append(operation.Servers, server)
		return err
	}, "SELECT server, name, sequence, outcome FROM system_operation_server WHERE operation = ? ORDER BY server", operation.Number)
	if err != nil {
		return err
	}
	return t.each(ctx, func(rows *sql.Rows) error {
		var step OperationStep
		err := rows.Scan(&step.Server, &step.Backend, &step.Wave, &step.Objects)
		operation.Steps = append(operation.Steps, step)
		return err
	}, "SELECT server, backend, wave, objects FROM system_operation_step WHERE operation = ? ORDER BY server, wave, backend", operation.Number)
}

// each runs scan on every row of the answer.
func (t *Tx) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.Query(ctx, query, args...)
	if err != nil {
		return wrap(err, "reading the journal")
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return wrap(err, "reading the journal")
		}
	}
	return wrap(rows.Err(), "reading the journal")
}

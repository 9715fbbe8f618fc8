package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/noun/expression"
)

// LogQuery says which operations Operations returns.
type LogQuery struct {
	Noun    string // that changed an object of this noun; "" for any
	Name    string // that changed the object of Noun with this name; "" for any
	Account string // that changed this account, or something that is or was of it; "" for any
	Actor   string // that this person or login began; "" for any
	State   OperationState
	Since   time.Time // begun then or later; zero for any
	Before  time.Time // begun earlier than then; zero for any
	Filter  string    // an expression over LogFields; "" for all
	Sort    []string  // of LogFields, "-field" downwards; none: the newest first
	Limit   int       // 0 for all
}

// LogFields are the fields of an operation that a filter and an order may name.
func LogFields() expression.Environment {
	return expression.Environment{
		"number": expression.Number, "state": expression.Text, "started": expression.Text, "ended": expression.Text,
		"actor": expression.Text, "command": expression.Text, "lines": expression.Number, "reason": expression.Text,
		"kind": expression.Text, "failure": expression.Text, "id": expression.Text,
	}
}

// Operations returns operations without what they changed. What one asks of an
// account, an object or an actor reads their part of the log only.
func (t *Tx) Operations(ctx context.Context, query LogQuery) ([]Operation, error) {
	var program *expression.Program
	if query.Filter != "" {
		var err error
		if program, err = expression.Compile(query.Filter, LogFields()); err != nil {
			return nil, err
		}
	}
	statement, args, err := t.logStatement(ctx, query)
	if err != nil || statement == "" {
		return nil, err
	}
	var found []Operation
	rows, err := t.Query(ctx, statement, args...)
	if err != nil {
		return nil, wrap(err, "reading the log")
	}
	defer rows.Close()
	for rows.Next() && (query.Limit == 0 || len(found) < query.Limit) {
		o, err := scanOperation(rows)
		if err != nil {
			return nil, err
		}
		if program != nil {
			if matches, err := program.Match(logValues(o)); err != nil {
				return nil, err
			} else if !matches {
				continue
			}
		}
		found = append(found, o)
	}
	return found, wrap(rows.Err(), "reading the log")
}

// logStatement returns the question that is asked, "" where nothing can match.
// Where it is about changes, their index leads and gives the order.
func (t *Tx) logStatement(ctx context.Context, query LogQuery) (string, []any, error) {
	var where []string
	var args []any
	demand := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	from := "system_operation AS o"
	if query.Noun != "" || query.Account != "" {
		from = "system_operation_change AS c CROSS JOIN system_operation AS o ON o.number = c.operation"
	}
	if query.Noun != "" {
		demand("c.noun = ?", query.Noun)
	}
	if query.Name != "" {
		demand("c.name = ?", query.Name)
	}
	if query.Account != "" {
		ids, err := t.loggedAccounts(ctx, query.Account)
		if err != nil || len(ids) == 0 {
			return "", nil, err
		}
		list := " IN (?" + strings.Repeat(", ?", len(ids)-1) + ")"
		left, err := t.wasLeft(ctx, list, ids)
		if err != nil {
			return "", nil, err
		}
		if left {
			demand("(c.account"+list+" OR c.former <> 0 AND c.former"+list+")", append(slices.Clone(ids), ids...)...)
		} else { // an index gives the order, too
			demand("c.account"+list, ids...)
		}
	}
	if query.Actor != "" { // what stands behind a name is where it came from
		demand("(o.actor = ? OR o.actor > ? AND o.actor < ?)", query.Actor, query.Actor+" (", query.Actor+" )")
	}
	if query.State != "" {
		demand("o.state = ?", string(query.State))
	}
	if !query.Since.IsZero() {
		demand("o.started >= ?", formatTime(query.Since))
	}
	if !query.Before.IsZero() {
		demand("o.started < ?", formatTime(query.Before))
	}
	order, err := logOrder(query.Sort)
	if err != nil {
		return "", nil, err
	}
	timed := !query.Since.IsZero() || !query.Before.IsZero()
	if len(query.Sort) == 0 && timed {
		order = "o.started DESC, " + order // their index leads
	}
	text := "SELECT " + operationColumns + " FROM " + from
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	if strings.HasPrefix(from, "system_operation_change") {
		text += " GROUP BY c.operation"
		if len(query.Sort) == 0 {
			order = "c.operation DESC"
		}
	}
	text += " ORDER BY " + order
	if query.Limit > 0 && query.Filter == "" {
		text, args = text+" LIMIT ?", append(args, query.Limit)
	}
	return text, args, nil
}

// logOrder returns the order of operations as SQL has it.
func logOrder(fields []string) (string, error) {
	var parts []string
	for _, field := range fields {
		name, down := strings.CutPrefix(field, "-")
		if LogFields()[name] == nil {
			return "", fault.New(fault.Invalid, "the log has no field %q", name)
		}
		part := "o." + name
		if down {
			part += " DESC"
		}
		parts = append(parts, part)
	}
	return strings.Join(append(parts, "o.number DESC"), ", "), nil
}

// loggedAccounts returns the ids of all accounts that ever had a name.
func (t *Tx) loggedAccounts(ctx context.Context, name string) ([]any, error) {
	var ids []any
	accounts := slices.IndexFunc(t.Registry().Nouns(), (*noun.Noun).IsAccount)
	if accounts < 0 {
		return nil, nil
	}
	err := t.each(ctx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT DISTINCT account FROM system_operation_change WHERE noun = ? AND name = ? LIMIT ?", t.Registry().Nouns()[accounts].Name, name, maxAccounts)
	if err != nil {
		return nil, fmt.Errorf("looking for account %s in the log: %w", name, err)
	}
	return ids, nil
}

// wasLeft tells whether anything ever went from one of these accounts to another.
func (t *Tx) wasLeft(ctx context.Context, list string, ids []any) (bool, error) {
	var left bool
	err := t.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM system_operation_change WHERE former <> 0 AND former"+list+")", ids...).Scan(&left)
	return left, wrap(err, "reading the log")
}

// maxAccounts is more than one name is ever given to.
const maxAccounts = 1000

// logValues are what a filter sees of an operation.
func logValues(o Operation) expression.Values {
	ended := ""
	if !o.Ended.IsZero() {
		ended = o.Ended.UTC().Format(time.RFC3339)
	}
	return expression.Values{
		"number": int(o.Number), "state": string(o.State), "started": o.Started.UTC().Format(time.RFC3339), "ended": ended,
		"actor": o.Actor, "command": o.Command, "lines": o.Lines, "reason": o.Reason,
		"kind": o.Kind, "failure": o.Failure, "id": o.ID,
	}
}

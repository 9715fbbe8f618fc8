package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"orchestra/pkg/noun"
	"orchestra/pkg/settings"
)

// Tx is one transaction. It implements noun.View. It belongs to one goroutine.
type Tx struct {
	store      *Store
	tx         *sql.Tx
	now        time.Time
	statements map[string]*sql.Stmt
	savepoints int
}

// maxStatements bounds what one transaction keeps prepared; statements of
// lists vary with what is asked.
const maxStatements = 500

// prepare returns the statement of query. Its context is without cancellation:
// an interrupted write makes SQLite roll the whole transaction back.
func (t *Tx) prepare(ctx context.Context, query string) (*sql.Stmt, context.Context, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if t.store.options.Trace != nil {
		t.store.options.Trace(query)
	}
	ctx = context.WithoutCancel(ctx)
	if statement, ok := t.statements[query]; ok {
		return statement, ctx, nil
	}
	if len(t.statements) >= maxStatements {
		t.closeStatements()
	}
	statement, err := t.tx.PrepareContext(ctx, query)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", query, err)
	}
	t.statements[query] = statement
	return statement, ctx, nil
}

func (t *Tx) closeStatements() {
	for query, statement := range t.statements {
		_ = statement.Close() // nothing can be lost by it
		delete(t.statements, query)
	}
}

// end rolls back what was not committed.
func (t *Tx) end() {
	t.closeStatements()
	_ = t.tx.Rollback() // ErrTxDone after a commit; else the connection is dropped
}

// Exec executes a statement; it is prepared once in this transaction.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	statement, ctx, err := t.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return statement.ExecContext(ctx, args...)
}

// Query executes a question; it is prepared once in this transaction.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	statement, ctx, err := t.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, args...)
}

// Row is the answer of a question that has one row at most.
type Row struct {
	row *sql.Row
	err error
}

// Scan reads the row; sql.ErrNoRows where there is none.
func (r Row) Scan(into ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.row.Scan(into...)
}

// QueryRow executes a question that has one row at most.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) Row {
	statement, ctx, err := t.prepare(ctx, query)
	if err != nil {
		return Row{err: err}
	}
	return Row{row: statement.QueryRowContext(ctx, args...)}
}

// Savepoint runs write; what it wrote is taken back where it returns an error,
// or panics.
func (t *Tx) Savepoint(ctx context.Context, write func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.savepoints++
	name := "s" + strconv.Itoa(t.savepoints)
	done := false
	defer func() {
		t.savepoints--
		if !done { // a panic passes
			_ = t.rollbackTo(name)
		}
	}()
	if _, err := t.tx.ExecContext(context.WithoutCancel(ctx), "SAVEPOINT "+name); err != nil {
		return fmt.Errorf("savepoint: %w", err)
	}
	err := write(ctx)
	done = true
	if err != nil {
		if undo := t.rollbackTo(name); undo != nil {
			return fmt.Errorf("%w (and its savepoint was not rolled back: %w)", err, undo)
		}
		return err
	}
	if _, err := t.tx.ExecContext(context.WithoutCancel(ctx), "RELEASE "+name); err != nil {
		return fmt.Errorf("release the savepoint: %w", err)
	}
	return nil
}

func (t *Tx) rollbackTo(name string) error {
	_, err := t.tx.Exec("ROLLBACK TO " + name + "; RELEASE " + name)
	return err
}

// Now implements noun.View.
func (t *Tx) Now() time.Time { return t.now }

// Settings implements noun.View.
func (t *Tx) Settings() *settings.Settings { return t.store.options.Settings }

// Noun implements noun.View.
func (t *Tx) Noun(name string) *noun.Noun { return t.store.options.Registry.Noun(name) }

// Nouns implements noun.View.
func (t *Tx) Nouns() []*noun.Noun { return t.store.options.Registry.Nouns() }

// Registry returns the registered nouns.
func (t *Tx) Registry() *noun.Registry { return t.store.options.Registry }

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// fill puts the accounts of these numbers into the database, in one transaction:
// copies of an account's row, whatever columns it has. They have no users: what is
// measured is what the number of rows costs, and no server is to be told of them.
func (b *bench) fill(ctx context.Context, from, to int) (err error) {
	db, err := sql.Open("sqlite", filepath.Join(b.directory, "orchestra.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "CREATE TEMPORARY TABLE copy AS SELECT * FROM accounts WHERE name = 'bench'"); err != nil {
		return fmt.Errorf("filling the database: %w", err)
	}
	var last int
	if err := tx.QueryRowContext(ctx, "SELECT last FROM system_counters WHERE name = 'id.account'").Scan(&last); err != nil {
		return fmt.Errorf("filling the database: %w", err)
	}
	for number := from; number < to; number++ {
		last++
		for _, statement := range []string{
			fmt.Sprintf("UPDATE copy SET id = %d, name = 'filled-%06d'", last, number),
			"INSERT INTO accounts SELECT * FROM copy",
		} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("filling the database: %w", err)
			}
		}
	}
	for _, statement := range []string{
		fmt.Sprintf("UPDATE system_counters SET last = %d WHERE name = 'id.account'", last),
		"DROP TABLE copy",
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("filling the database: %w", err)
		}
	}
	return tx.Commit()
}

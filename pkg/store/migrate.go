package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"orchestra/pkg/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// walVersion is what bytes 18 and 19 of a database in WAL mode hold
// (https://www.sqlite.org/fileformat.html, section 1.3).
const walVersion = 2

// latest returns the version that the embedded migrations lead to.
func latest() (int, error) {
	files, err := fs.ReadDir(migrations, "migrations")
	return len(files), err
}

// upgrade brings the database to this program's schema. Where it is there
// already, that costs one statement.
func (s *Store) upgrade(ctx context.Context) error {
	wal, err := isWAL(s.options.Path)
	if err != nil {
		return err
	}
	if wal {
		if current, err := s.isCurrent(ctx); err != nil || current {
			return err
		}
	}
	return s.upgradeLocked(ctx, wal)
}

func (s *Store) upgradeLocked(ctx context.Context, wal bool) (err error) {
	unlock, err := lockFile(ctx, s.options.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if !wal {
		// A restored backup, say.
		if err := useWAL(ctx, s.db); err != nil {
			return err
		}
	}
	// Somebody else may have done it while we waited.
	if current, err := s.isCurrent(ctx); err != nil || current {
		return err
	}
	version, err := userVersion(ctx, s.db)
	if err != nil {
		return err
	}
	if version == 0 {
		return fault.New(fault.Invalid, "%s was not made by Orchestra", s.options.Path).
			WithHint("orchestra init")
	}
	if err := s.schema.refuseNewer(ctx, s.db); err != nil {
		return err
	}
	if err := s.backupBefore(ctx); err != nil {
		return fmt.Errorf("back up before the upgrade: %w", err)
	}
	return s.migrate(ctx, s.db)
}

func newer(path string) error {
	return fault.New(fault.Conflict, "the database %s was written by a newer Orchestra", path).
		WithHint("Install the newer version, or restore the backup %s.before-N of before its upgrade.", path)
}

// isCurrent tells whether the schema is this program's; it refuses a newer one.
func (s *Store) isCurrent(ctx context.Context) (bool, error) {
	known, err := latest()
	if err != nil {
		return false, err
	}
	var version int
	var hash sql.NullString
	err = s.db.QueryRowContext(ctx,
		"SELECT user_version, (SELECT hash FROM system_schema) FROM pragma_user_version").Scan(&version, &hash)
	if err != nil {
		// Perhaps a database of somebody else's, without that table.
		if version, err := userVersion(ctx, s.db); err != nil || version != 0 {
			return false, errors.Join(err, newer(s.options.Path))
		}
		return false, nil
	}
	if version > known {
		return false, newer(s.options.Path)
	}
	return version == known && hash.String == s.schema.hash, nil
}

func userVersion(ctx context.Context, db *sql.DB) (version int, err error) {
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	return version, err
}

// migrate runs the migrations that are missing and adds what the declarations
// have more than the tables, all in one transaction.
func (s *Store) migrate(ctx context.Context, db *sql.DB) (err error) {
	known, err := latest()
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error says more
		}
	}()
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	files, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return err
	}
	for number := version + 1; number <= known; number++ {
		name := files[number-1].Name()
		if prefix, _, _ := strings.Cut(name, "_"); prefix != fmt.Sprintf("%04d", number) {
			return fmt.Errorf("migration %s is not number %d", name, number)
		}
		text, err := fs.ReadFile(migrations, "migrations/"+name)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	if err := s.schema.extend(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(known)); err != nil {
		return err
	}
	return tx.Commit()
}

// backupBefore keeps the database as it was, beside it, named by the version
// that it is upgraded to: orchestra.db.before-2.
func (s *Store) backupBefore(ctx context.Context) error {
	known, err := latest()
	if err != nil {
		return err
	}
	file := fmt.Sprintf("%s.before-%d", s.options.Path, known)
	// Upgrades that only add columns leave the version: each has its own backup.
	for n := 1; ; n++ {
		if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
			break
		}
		file = fmt.Sprintf("%s.before-%d.%d", s.options.Path, known, n)
	}
	return s.Backup(ctx, file)
}

func isWAL(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return false, denied(path)
		}
		return false, err
	}
	defer func() { _ = file.Close() }() // only read
	header := make([]byte, 20)
	if _, err := io.ReadFull(file, header); err != nil {
		return false, nil // SQLite will say what it is
	}
	return header[18] == walVersion && header[19] == walVersion, nil
}

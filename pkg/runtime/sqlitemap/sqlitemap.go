// Package sqlitemap reads and edits maps that are SQLite files, as Postfix's
// sqlite: and Dovecot's sql read them: one table,
//
//	CREATE TABLE map (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID
//
// What one key costs depends on the depth of a tree, not on how many there are.
// It keeps a rollback journal: readers that may not write, as daemons are, can
// read it at any time, which they could not where there is a write-ahead log.
package sqlitemap

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const schema = `CREATE TABLE map (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID`

// busyTimeout is how long somebody else may be reading or writing.
const busyTimeout = 10 * time.Second

var (
	// ErrNoMap says that a file is no map of this kind.
	ErrNoMap = errors.New("it is no SQLite file with a table map (key TEXT PRIMARY KEY, value TEXT)")
	// ErrLog says that a file has a write-ahead log, which readers would have to write to.
	ErrLog = errors.New("it has a write-ahead log, which nobody can read who may not write; type: sqlite3 FILE 'PRAGMA journal_mode = DELETE'")
	// ErrHot says that who wrote died in the middle: the next writer rolls it back.
	ErrHot = errors.New("its last writer died in the middle; the next operation that edits it rolls that back, or type: sqlite3 FILE .tables")
	// ErrBusy says that others do not let go of it.
	ErrBusy = errors.New("others keep reading or writing it")
)

// HeaderSize is how much of a file's beginning Check looks at.
const HeaderSize = 100

// Check looks at the beginning of a file and refuses what could not be opened
// without writing to it.
func Check(header []byte) error {
	if len(header) < HeaderSize || !bytes.HasPrefix(header, []byte("SQLite format 3\x00")) {
		return ErrNoMap
	}
	if header[18] != 1 || header[19] != 1 { // the versions for writing and for reading
		return ErrLog
	}
	return nil
}

// New returns the content of a file that holds entries.
func New(entries map[string]string) (content []byte, err error) {
	err = with(":memory:", nil, func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(context.Background(), schema); err != nil {
			return err
		}
		edits := map[string]*string{}
		for key, value := range entries {
			edits[key] = &value
		}
		if err := apply(conn, edits); err != nil {
			return err
		}
		return conn.Raw(func(driver any) error {
			serializer, ok := driver.(interface{ Serialize() ([]byte, error) })
			if !ok {
				return errors.New("this driver of SQLite can't give its content away")
			}
			content, err = serializer.Serialize()
			return err
		})
	})
	return content, err
}

// Find returns the entries of the file path that have one of keys, and whether it
// has none at all. It writes nothing.
func Find(path string, keys []string) (found map[string]string, empty bool, err error) {
	err = with(path, url.Values{"mode": {"ro"}}, func(conn *sql.Conn) error {
		// All of it as it is at one moment.
		if _, err := conn.ExecContext(context.Background(), `BEGIN`); err != nil {
			return err
		}
		if err := checkSchema(conn); err != nil {
			return err
		}
		if found, err = find(conn, keys); err != nil {
			return err
		}
		return conn.QueryRowContext(context.Background(), `SELECT NOT EXISTS (SELECT 1 FROM map)`).Scan(&empty)
	})
	return found, empty, err
}

// Edit tells edit which of keys are there, and makes the entries that it returns,
// or takes away those that are nil: all or none of them, durably, and on the disk
// when it returns. Nobody else writes meanwhile.
func Edit(path string, keys []string, edit func(found map[string]string) (map[string]*string, error)) error {
	return with(path, url.Values{"mode": {"rw"}}, func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(context.Background(), `BEGIN IMMEDIATE`); err != nil {
			return err
		}
		err := removeJournal(path)
		if err == nil {
			err = checkSchema(conn)
		}
		var edits map[string]*string
		if err == nil {
			var found map[string]string
			if found, err = find(conn, keys); err == nil {
				edits, err = edit(found)
			}
		}
		if err == nil {
			err = apply(conn, edits)
		}
		// Readers are kept out while SQLite syncs at the end. So the journal is synced
		// before, and the directory that it is removed from afterwards.
		if err == nil {
			err = syncAll(path+"-journal", filepath.Dir(path))
		}
		if err == nil {
			_, err = conn.ExecContext(context.Background(), `COMMIT`)
		}
		if err != nil {
			// It may be rolled back already, as it is where the disk is full; and closing does it as well.
			_, _ = conn.ExecContext(context.Background(), `ROLLBACK`)
			return err
		}
		return syncAll(filepath.Dir(path))
	})
}

// syncAll makes files and directories durable, those that there are.
func syncAll(names ...string) error {
	for _, name := range names {
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the journal, where nothing has changed after all
		}
		if err != nil {
			return err
		}
		if err := errors.Join(file.Sync(), file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// removeJournal removes a journal that a writer left who died before he had written
// to the map. Now that it is ours to write, and not written to yet, it is nobody's.
func removeJournal(path string) error {
	err := os.Remove(path + "-journal")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// with opens a file on one connection.
func with(path string, parameters url.Values, f func(*sql.Conn) error) (err error) {
	address := path
	if parameters != nil {
		parameters.Set("_busy_timeout", strconv.FormatInt(busyTimeout.Milliseconds(), 10))
		parameters.Set("_synchronous", "FULL")
		parameters.Set("_defensive", "1")
		parameters.Set("_dqs", "0")
		parameters.Set("_error_rc", "1")
		parameters["_pragma"] = []string{"trusted_schema(0)", "temp_store(2)"}
		address = (&url.URL{Scheme: "file", Path: path, RawQuery: parameters.Encode()}).String()
	}
	db, err := sql.Open("sqlite", address)
	if err != nil {
		return err
	}
	defer func() { err = told(errors.Join(err, db.Close())) }()
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return f(conn)
}

// told says what SQLite says in terms that callers know.
func told(err error) error {
	failed, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch code := failed.Code(); {
	case code == sqlite3.SQLITE_READONLY_ROLLBACK, code == sqlite3.SQLITE_READONLY_RECOVERY:
		return fmt.Errorf("%w: %w", ErrHot, err)
	case code&0xff == sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrNoMap, err)
	case code&0xff == sqlite3.SQLITE_BUSY:
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case code&0xff == sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return err
}

// checkSchema refuses a file whose table is not as Edit needs it.
func checkSchema(conn *sql.Conn) error {
	const query = `SELECT count(*), coalesce(sum(pk > 0), 0), coalesce(sum(name = 'key' AND pk = 1), 0), coalesce(sum(name = 'value'), 0) FROM pragma_table_info('map')`
	var columns, primary, key, value int
	if err := conn.QueryRowContext(context.Background(), query).Scan(&columns, &primary, &key, &value); err != nil {
		return err
	}
	if primary != 1 || key != 1 || value != 1 {
		return ErrNoMap
	}
	return nil
}

func find(conn *sql.Conn, keys []string) (map[string]string, error) {
	found := map[string]string{}
	if len(keys) == 0 {
		return found, nil
	}
	// What others have put there need not be text.
	look, err := conn.PrepareContext(context.Background(), `SELECT CAST(value AS TEXT) FROM map WHERE key = ?`)
	if err != nil {
		return nil, err
	}
	defer look.Close()
	for _, key := range keys {
		var value string
		err := look.QueryRowContext(context.Background(), key).Scan(&value)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[key] = value
	}
	return found, nil
}

func apply(conn *sql.Conn, edits map[string]*string) error {
	if len(edits) == 0 {
		return nil
	}
	set, err := conn.PrepareContext(context.Background(),
		`INSERT INTO map (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`)
	if err != nil {
		return err
	}
	defer set.Close()
	remove, err := conn.PrepareContext(context.Background(), `DELETE FROM map WHERE key = ?`)
	if err != nil {
		return err
	}
	defer remove.Close()
	for _, key := range slices.Sorted(maps.Keys(edits)) {
		if value := edits[key]; value != nil {
			_, err = set.ExecContext(context.Background(), key, *value)
		} else {
			_, err = remove.ExecContext(context.Background(), key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

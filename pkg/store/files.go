package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"orchestra/pkg/fault"
)

// checkFile refuses a database that others can read or replace.
func checkFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.NotFound, "there is no database at %s", path).WithHint("orchestra init")
	case errors.Is(err, fs.ErrPermission):
		return denied(path)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fault.New(fault.Invalid, "%s is not a file, so it is no database", path)
	case info.Mode().Perm()&0o077 != 0:
		return fault.New(fault.Denied, "others may read or write %s, which holds passwords", path).
			WithHint("chmod 600 %s", path)
	}
	return checkDirectory(filepath.Dir(path))
}

// checkDirectory refuses a directory in which anybody could put another file
// in the place of ours.
func checkDirectory(directory string) error {
	info, err := os.Stat(directory)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.NotFound, "there is no directory %s", directory).
			WithHint("mkdir -m 700 -p %s", directory)
	case err != nil:
		return err
	case !info.IsDir():
		return fault.New(fault.Invalid, "%s is not a directory", directory)
	case info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0:
		return fault.New(fault.Denied, "anybody may write to %s, where the database is", directory).
			WithHint("chmod o-w %s", directory)
	}
	return nil
}

func denied(path string) error {
	err := fault.New(fault.Denied, "%s may not be opened", path)
	info, statErr := os.Stat(path)
	if statErr != nil {
		return err
	}
	if owner, lookupErr := user.LookupId(strconv.FormatUint(uint64(ownerOf(info)), 10)); lookupErr == nil {
		return err.WithHint("Run this as %s.", owner.Username)
	}
	return err
}

func ownerOf(info fs.FileInfo) uint32 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid
	}
	return uint32(os.Geteuid())
}

// explain turns what the driver says of the file into what a person can mend.
func explain(err error, path string) error {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Code() & 0xff {
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY:
		return fault.New(fault.Denied, "%s can't be opened for writing", path).Because(err)
	case sqlite3.SQLITE_NOTADB:
		return fault.New(fault.Invalid, "%s is no SQLite database", path)
	case sqlite3.SQLITE_CORRUPT:
		return fault.New(fault.Internal, "the database %s is damaged", path).Because(err).
			WithHint("Restore the last backup of it.")
	case sqlite3.SQLITE_BUSY:
		return fault.New(fault.Locked, "another process writes to %s for too long", path).Because(err).
			WithHint("orchestra lock")
	case sqlite3.SQLITE_FULL:
		return fault.New(fault.Internal, "there is no space left for %s", path).Because(err)
	}
	return err
}

// own gives a file that root made to who owns the database (or its directory),
// so that he can go on with it.
func own(file, like string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 {
		return nil
	}
	return os.Lchown(file, int(stat.Uid), int(stat.Gid))
}

// lockFile holds the lock under which the database is made and upgraded. The
// file beside it stays: to remove it would let two hold it.
func lockFile(ctx context.Context, path string) (unlock func() error, err error) {
	name := path + ".lock"
	lock := flock.New(name, flock.SetPermissions(0o600), flock.SetFlag(os.O_CREATE|os.O_RDWR))
	held, err := lock.TryLockContext(ctx, 20*time.Millisecond)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if !held {
		return nil, fault.New(fault.Locked, "another process holds %s", name)
	}
	like := path
	if _, err := os.Stat(path); err != nil {
		like = filepath.Dir(path)
	}
	if err := own(name, like); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock.Close, nil
}

func syncDirectory(directory string) error {
	file, err := os.Open(directory)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// create makes the database beside its place and links it there when it is whole.
func create(ctx context.Context, s *Store) (err error) {
	path := s.options.Path
	directory := filepath.Dir(path)
	if err := checkDirectory(directory); err != nil {
		return err
	}
	unlock, err := lockFile(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if _, err := os.Lstat(path); err == nil {
		return exists(path)
	}
	made := path + ".new"
	// Left by one that was killed; the lock says that nobody makes it now.
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(made + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	file, err := os.OpenFile(made, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(made)) }()
	if err := errors.Join(file.Close(), own(made, directory)); err != nil {
		return err
	}
	if err := s.fill(ctx, made); err != nil {
		return explain(err, path)
	}
	if err := os.Link(made, path); errors.Is(err, fs.ErrExist) {
		return exists(path)
	} else if err != nil {
		return err
	}
	return syncDirectory(directory)
}

// fill makes all tables in the empty file.
func (s *Store) fill(ctx context.Context, file string) (err error) {
	db, err := connect(file)
	if err != nil {
		return err
	}
	// One connection, so that closing it folds the WAL into the file.
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := useWAL(ctx, db); err != nil {
		return err
	}
	return s.migrate(ctx, db)
}

func useWAL(ctx context.Context, db *sql.DB) error {
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fault.New(fault.Internal, "SQLite refuses WAL on this file system (it says %s)", mode)
	}
	return nil
}

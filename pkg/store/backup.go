package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"orchestra/pkg/fault"
)

// Backup writes a copy of the database, consistent and synced, mode 0600, to a
// file that does not exist yet. Others may write meanwhile.
func (s *Store) Backup(ctx context.Context, file string) (err error) {
	file, err = filepath.Abs(file)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(file); err == nil {
		return fault.New(fault.Conflict, "%s exists already", file)
	}
	if err := checkDirectory(filepath.Dir(file)); err != nil {
		return err
	}
	// In a directory of its own, so that it is nobody else's at any moment, and
	// in its place only when it is whole. SQLite makes files 0644 by the umask.
	workplace, err := os.MkdirTemp(filepath.Dir(file), ".orchestra-backup-*")
	if err != nil {
		return fmt.Errorf("back up to %s: %w", file, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(workplace)) }()
	if err := own(workplace, s.options.Path); err != nil {
		return err
	}
	copied := filepath.Join(workplace, "copy")
	if err := makeEmpty(copied); err != nil {
		return err
	}
	if _, err := s.db.ExecContext(ctx, "VACUUM INTO ?", copied); err != nil {
		return explain(fmt.Errorf("back up to %s: %w", file, err), s.options.Path)
	}
	if err := errors.Join(syncFile(copied), own(copied, s.options.Path)); err != nil {
		return err
	}
	// A link refuses a file that has come meanwhile; a rename would replace it.
	if err := os.Link(copied, file); errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "%s exists already", file)
	} else if err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(file))
}

func makeEmpty(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

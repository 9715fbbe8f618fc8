package runtime

import (
	"errors"
	"io/fs"
	"syscall"

	"orchestra/pkg/wire"
)

// reserveSize is kept on our own file system, so that an operation can end there
// when the disk is full.
const reserveSize = 1 << 20

// ensureReserve makes the reserve where it is missing.
func (m *machine) ensureReserve() error {
	name := m.path(fileReserve)
	if info, err := m.disk.Stat(name); err == nil && info.Type == TypeFile {
		return nil
	}
	err := m.disk.Create(name, nil, rootFile)
	if err == nil {
		err = m.disk.Allocate(name, reserveSize)
		if err != nil {
			_ = m.disk.Remove(name)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // another session was quicker
	}
	if err != nil {
		return fail(wire.CodeFull, name, "no space for the reserve that undoing on a full disk needs").because(err)
	}
	return nil
}

// withReserve does what has to be done on our own file system, giving the reserve
// away where it needs space. The next operation makes it again.
func (m *machine) withReserve(f func() error) error {
	err := f()
	if errors.Is(err, syscall.ENOSPC) && m.disk.Remove(m.path(fileReserve)) == nil {
		err = f()
	}
	return err
}

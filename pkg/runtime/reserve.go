package runtime

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"
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

// trashFor returns the trash of the file system of a directory, which it makes
// where it is missing: ours, or one at the top of another file system.
func (m *machine) trashFor(directory string) (string, error) {
	mount, err := m.disk.Mount(directory)
	if err != nil {
		return "", err
	}
	ours, err := m.disk.Mount(m.dir)
	if err != nil {
		return "", err
	}
	trash := m.path("trash")
	if mount != ours {
		trash = path.Join(mount, ".orchestra-trash")
	}
	err = m.disk.MakeDirectory(trash, rootOnly)
	if err == nil {
		return trash, m.disk.Sync(path.Dir(trash))
	}
	if !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	info, err := m.disk.Stat(trash)
	if err == nil && (info.Type != TypeDirectory || info.UID != 0 || info.Mode&0o077 != 0) {
		return "", fail(wire.CodeTaken, trash, "it must be a directory that only root may enter")
	}
	return trash, err
}

// trashName returns a name in a trash that tells when it came there, and from which
// operation. It begins with the day, for those who empty it.
func (o *operation) trashName(trash, name string) string {
	o.made++
	base := strings.TrimLeft(path.Base(name), ".")
	if len(base) > 100 {
		base = base[:100]
	}
	return path.Join(trash, strings.Join([]string{
		o.machine.clock.Now().UTC().Format("2006-01-02"), o.id, strconv.Itoa(o.made), base}, "."))
}

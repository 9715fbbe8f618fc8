package runtime

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"orchestra/pkg/runtime/sqlitemap"
)

func (d *realDisk) CreateMap(name string, entries map[string]string, attributes Attributes) error {
	content, err := sqlitemap.New(entries)
	if err != nil {
		return pathError("make map", name, err)
	}
	return d.Create(name, content, attributes)
}

func (d *realDisk) ReadMap(name string, keys []string) (found map[string]string, empty bool, err error) {
	err = d.withMap("read map", name, func(real string) error {
		found, empty, err = sqlitemap.Find(real, keys)
		return err
	})
	return found, empty, err
}

func (d *realDisk) EditMap(name string, keys []string, edit func(map[string]string) (map[string]*string, error)) error {
	return d.withMap("edit map", name, func(real string) error { return sqlitemap.Edit(real, keys, edit) })
}

// withMap runs f with the path of a map as SQLite may open it, by its name: so it
// has to lie where nobody could have put a link, nor could while it is open.
func (d *realDisk) withMap(op, name string, f func(real string) error) error {
	info, err := d.Stat(name)
	switch {
	case err != nil:
		return err
	case info.Type == TypeLink:
		return pathError(op, name, unix.ELOOP)
	case info.Type != TypeFile:
		return pathError(op, name, fmt.Errorf("it is a %s: %w", info.Type, sqlitemap.ErrNoMap))
	}
	if err := d.checkMap(name); err != nil {
		return pathError(op, name, err)
	}
	if err := d.onlyOurs(name, info.Attributes); err != nil {
		return pathError(op, name, err)
	}
	root, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", d.root))
	if err != nil {
		return err
	}
	return pathError(op, name, f(strings.TrimSuffix(root, "/")+name))
}

// checkMap looks at the beginning of a map. It does so before SQLite opens it:
// closing a file takes away all locks that this process has on it.
func (d *realDisk) checkMap(name string) error {
	fd, err := d.open(name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	header := make([]byte, sqlitemap.HeaderSize)
	n, err := unix.Pread(fd, header, 0)
	if err != nil {
		return err
	}
	return sqlitemap.Check(header[:n])
}

// onlyOurs refuses what others than root and ourselves could replace by a link,
// or write to.
func (d *realDisk) onlyOurs(name string, attributes Attributes) error {
	if d.user != nil {
		return fs.ErrPermission
	}
	for {
		if attributes.UID != 0 && attributes.UID != d.self.UID || attributes.Mode&0o022 != 0 {
			return fmt.Errorf("others than root may write to %s: %w", name, fs.ErrPermission)
		}
		if name == "/" {
			return nil
		}
		name = path.Dir(name)
		info, err := d.Stat(name)
		if err != nil {
			return err
		}
		attributes = info.Attributes
	}
}

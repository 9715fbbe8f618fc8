package runtime

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// realDisk is the machine's file systems below one root directory. Every path
// is opened anew with openat2(2), which refuses links at every component, so
// that nobody who moves things while we work can lead us elsewhere.
type realDisk struct {
	root int // descriptor of the root directory
	self Owner
	// user, where it is not nil, is whom this disk works as, below tree.
	user *Owner
	tree string
}

// NewRealDisk returns the disk whose root is the directory root; "/" is the
// machine's own. Close it by closing the io.Closer.
func NewRealDisk(root string) (Disk, io.Closer, error) {
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, &fs.PathError{Op: "open", Path: root, Err: err}
	}
	disk := &realDisk{root: fd, self: Owner{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}}
	return disk, closerFunc(func() error { return unix.Close(fd) }), nil
}

type closerFunc func() error

func (f closerFunc) Close() error { return f() }

const resolveAlways = unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// open opens path itself, never a link and never through one.
func (d *realDisk) open(name string, flags int) (int, error) {
	relative, err := relativePath(name)
	if err != nil {
		return -1, err
	}
	base, resolve := d.root, uint64(resolveAlways|unix.RESOLVE_IN_ROOT)
	if d.user != nil {
		rest, ok := strings.CutPrefix(name, d.tree)
		if !ok || (rest != "" && rest[0] != '/') {
			return -1, fmt.Errorf("%s is not below %s: %w", name, d.tree, fs.ErrPermission)
		}
		relative = "." + rest
		tree, err := relativePath(d.tree)
		if err != nil {
			return -1, err
		}
		// The way to the tree belongs to root, and the user may not be allowed to walk it.
		base, err = openat2(d.root, tree, unix.O_PATH|unix.O_DIRECTORY, resolve)
		if err != nil {
			return -1, pathError("open", d.tree, err)
		}
		defer unix.Close(base)
		resolve = resolveAlways | unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV
	}
	var fd int
	err = d.acting(func() (err error) {
		fd, err = openat2(base, relative, flags, resolve)
		return err
	})
	if err != nil {
		return -1, pathError("open", name, err)
	}
	return fd, nil
}

func openat2(base int, name string, flags int, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: resolve}
	if flags&unix.O_PATH == 0 {
		how.Flags |= unix.O_NOFOLLOW | unix.O_NOCTTY
	}
	for attempt := 0; ; attempt++ {
		fd, err := unix.Openat2(base, name, &how)
		// EAGAIN: something was renamed while the path was walked.
		if (err == unix.EAGAIN && attempt < 100) || err == unix.EINTR {
			continue
		}
		return fd, err
	}
}

// relativePath refuses what is not a clean absolute path and cuts its slash.
func relativePath(name string) (string, error) {
	if !strings.HasPrefix(name, "/") || path.Clean(name) != name || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("%q is not a clean absolute path: %w", name, fs.ErrInvalid)
	}
	if name == "/" {
		return ".", nil
	}
	return name[1:], nil
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// parent opens the directory that holds name.
func (d *realDisk) parent(name string) (fd int, base string, err error) {
	if name == "/" {
		return -1, "", pathError("open", name, unix.EBUSY)
	}
	fd, err = d.open(path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
	return fd, path.Base(name), err
}

// in runs f with the directory that holds name, as the user of the disk.
func (d *realDisk) in(op, name string, f func(parent int, base string) error) error {
	parent, base, err := d.parent(name)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return pathError(op, name, d.acting(func() error { return f(parent, base) }))
}

func (d *realDisk) Stat(name string) (Info, error) {
	if name == "/" {
		var stat unix.Stat_t
		if err := unix.Fstat(d.root, &stat); err != nil {
			return Info{}, pathError("stat", name, err)
		}
		return infoOf(&stat), nil
	}
	var info Info
	err := d.in("stat", name, func(parent int, base string) error {
		var stat unix.Stat_t
		if err := unix.Fstatat(parent, base, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		info = infoOf(&stat)
		if info.Type != TypeLink {
			return nil
		}
		target := make([]byte, 4096)
		n, err := unix.Readlinkat(parent, base, target)
		info.Target = string(target[:max(n, 0)])
		return err
	})
	return info, err
}

func infoOf(stat *unix.Stat_t) Info {
	info := Info{
		Attributes: Attributes{Owner: Owner{UID: stat.Uid, GID: stat.Gid}, Mode: stat.Mode & 0o7777},
		Type:       TypeOther,
		Size:       stat.Size,
		Modified:   time.Unix(stat.Mtim.Unix()),
		inode:      stat.Ino,
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		info.Type = TypeFile
	case unix.S_IFDIR:
		info.Type = TypeDirectory
	case unix.S_IFLNK:
		info.Type = TypeLink
	}
	return info
}

func (d *realDisk) Read(name string, limit int64) ([]byte, Info, error) {
	// Not blocking: what is there may have become a fifo.
	fd, err := d.open(name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, Info{}, err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, Info{}, pathError("stat", name, err)
	}
	info := infoOf(&stat)
	if info.Type != TypeFile {
		return nil, info, pathError("read", name, fmt.Errorf("it is a %s", info.Type))
	}
	if info.Size > limit {
		return nil, info, pathError("read", name, unix.EFBIG)
	}
	data := make([]byte, 0, info.Size+1)
	for {
		if int64(len(data)) > limit {
			return nil, info, pathError("read", name, unix.EFBIG)
		}
		n, err := file.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, info, nil
		}
		if err != nil {
			return nil, info, err
		}
		if len(data) == cap(data) {
			data = slices.Grow(data, 4096)
		}
	}
}

func (d *realDisk) List(name string) ([]string, error) {
	fd, err := d.open(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	names, err := file.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

func (d *realDisk) Free(name string) (uint64, error) {
	fd, err := d.openExisting(name)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var stat unix.Statfs_t
	if err := unix.Fstatfs(fd, &stat); err != nil {
		return 0, pathError("statfs", name, err)
	}
	return stat.Bavail * uint64(stat.Bsize), nil
}

func (d *realDisk) Mount(name string) (string, error) {
	id, err := d.mountID(name)
	if err != nil {
		return "", err
	}
	for name != "/" {
		above, err := d.mountID(path.Dir(name))
		if err != nil {
			return "", err
		}
		if above != id {
			return name, nil
		}
		name = path.Dir(name)
	}
	return name, nil
}

func (d *realDisk) mountID(name string) (uint64, error) {
	fd, err := d.open(name, unix.O_PATH)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var stat unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &stat); err != nil {
		return 0, pathError("statx", name, err)
	}
	return stat.Mnt_id, nil
}

// openExisting opens name or the nearest directory above it that exists.
func (d *realDisk) openExisting(name string) (int, error) {
	for {
		fd, err := d.open(name, unix.O_PATH)
		if err == nil || name == "/" {
			return fd, err
		}
		name = path.Dir(name)
	}
}

func (d *realDisk) Lock(name string, record bool) (Unlocker, error) {
	parent, base, err := d.parent(name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(parent)
	fd, err := unix.Openat(parent, base, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	if record {
		// A lock of the open file, not of the process: it excludes lckpwdf(3) as
		// well, and is not lost when the file is closed elsewhere.
		err = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
	} else {
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	}
	if err == nil {
		return unlocker(fd), nil
	}
	unix.Close(fd)
	if err == unix.EAGAIN || err == unix.EACCES {
		return nil, fmt.Errorf("%s: %w", name, ErrLocked)
	}
	return nil, pathError("lock", name, err)
}

type unlocker int

func (u unlocker) Unlock() error { return unix.Close(int(u)) }

func (d *realDisk) As(tree string, owner Owner) Disk {
	if d.self.UID != 0 {
		return d // Only root can act for others; everything here is our own.
	}
	return &realDisk{root: d.root, self: d.self, user: &owner, tree: tree}
}

package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// acting runs f as the disk's user: on a thread of its own, with the user's
// file system identity and no further groups, which also takes root's
// capabilities over files away.
func (d *realDisk) acting(f func() error) error {
	if d.user == nil {
		return f()
	}
	runtime.LockOSThread()
	groups, err := unix.Getgroups()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	ours := make([]uint32, len(groups))
	for i, group := range groups {
		ours[i] = uint32(group)
	}
	err = setThreadIdentity(*d.user, nil)
	if err == nil {
		err = f()
	}
	if back := setThreadIdentity(d.self, ours); back != nil {
		// The thread keeps the user's identity: it stays locked and ends with
		// this goroutine instead of being used by others.
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}

// setThreadIdentity changes the calling thread only: the raw calls, unlike those
// of package syscall, are not repeated on all threads.
func setThreadIdentity(owner Owner, groups []uint32) error {
	if owner.UID == 0 { // back: first the identity that may change groups
		if err := setFileIdentity(owner); err != nil {
			return err
		}
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0); errno != 0 {
		return fmt.Errorf("setgroups: %w", errno)
	}
	return setFileIdentity(owner)
}

func setFileIdentity(owner Owner) error {
	const query = ^uintptr(0) // an impossible id: changes nothing, answers the present one
	unix.RawSyscall(unix.SYS_SETFSGID, uintptr(owner.GID), 0, 0)
	unix.RawSyscall(unix.SYS_SETFSUID, uintptr(owner.UID), 0, 0)
	uid, _, _ := unix.RawSyscall(unix.SYS_SETFSUID, query, 0, 0)
	gid, _, _ := unix.RawSyscall(unix.SYS_SETFSGID, query, 0, 0)
	if uint32(uid) != owner.UID || uint32(gid) != owner.GID {
		return fmt.Errorf("setfsuid to %d:%d: %w", owner.UID, owner.GID, unix.EPERM)
	}
	return nil
}

// mayGive refuses to make something in a user's tree belong to somebody else:
// the user may already hold it open.
func (d *realDisk) mayGive(owner Owner) error {
	if d.user != nil && owner.UID != d.user.UID {
		return fmt.Errorf("below a directory of user %d everything belongs to that user, not to %d: %w", d.user.UID, owner.UID, fs.ErrPermission)
	}
	return nil
}

// setAttributes gives what was just made, by its descriptor, its owner and mode.
func (d *realDisk) setAttributes(fd int, attributes Attributes) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if d.user != nil && stat.Uid != d.user.UID {
		return unix.EPERM // the user has put another directory in its place
	}
	if stat.Uid != attributes.UID || stat.Gid != attributes.GID {
		if err := unix.Fchown(fd, int(attributes.UID), int(attributes.GID)); err != nil {
			return err
		}
	}
	return unix.Fchmod(fd, attributes.Mode)
}

func (d *realDisk) Create(name string, data []byte, attributes Attributes) error {
	if err := d.mayGive(attributes.Owner); err != nil {
		return pathError("create", name, err)
	}
	parent, base, err := d.parent(name)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	fd := -1
	err = d.acting(func() (err error) {
		fd, err = unix.Openat(parent, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		return writeAll(fd, data) // as the user: it counts against the user's quota
	})
	if err == nil {
		err = d.setAttributes(fd, attributes)
	}
	if fd >= 0 {
		err = errors.Join(err, unix.Close(fd))
		if err != nil {
			_ = unix.Unlinkat(parent, base, 0)
		}
	}
	return pathError("create", name, err)
}

func writeAll(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// withFile opens a file of ours for writing and runs f.
func (d *realDisk) withFile(op, name string, flags int, f func(fd int) error) error {
	fd, err := d.open(name, unix.O_WRONLY|flags)
	if err != nil {
		return err
	}
	return pathError(op, name, errors.Join(d.acting(func() error { return f(fd) }), unix.Close(fd)))
}

func (d *realDisk) Append(name string, data []byte) error {
	return d.withFile("append", name, unix.O_APPEND, func(fd int) error { return writeAll(fd, data) })
}

func (d *realDisk) Overwrite(name string, data []byte) error {
	return d.withFile("overwrite", name, 0, func(fd int) error {
		if err := writeAll(fd, data); err != nil {
			return err
		}
		return unix.Ftruncate(fd, int64(len(data)))
	})
}

func (d *realDisk) Allocate(name string, size int64) error {
	return d.withFile("allocate", name, 0, func(fd int) error {
		err := unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, size)
		if err != unix.EOPNOTSUPP && err != unix.ENOSYS {
			return err
		}
		// A file system that cannot set space aside: fill it. Overwrite cuts the
		// file to its length.
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil || stat.Size >= size {
			return err
		}
		if _, err := unix.Seek(fd, stat.Size, 0); err != nil {
			return err
		}
		zeros := make([]byte, 64<<10)
		for left := size - stat.Size; left > 0; left -= int64(len(zeros)) {
			if err := writeAll(fd, zeros[:min(left, int64(len(zeros)))]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *realDisk) MakeDirectory(name string, attributes Attributes) error {
	if err := d.mayGive(attributes.Owner); err != nil {
		return pathError("mkdir", name, err)
	}
	parent, base, err := d.parent(name)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	fd := -1
	err = d.acting(func() (err error) {
		if err = unix.Mkdirat(parent, base, 0o700); err != nil {
			return err
		}
		fd, err = unix.Openat(parent, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if fd >= 0 {
		err = errors.Join(d.setAttributes(fd, attributes), unix.Close(fd))
	}
	return pathError("mkdir", name, err)
}

func (d *realDisk) MakeLink(name, target string, owner Owner) error {
	if err := d.mayGive(owner); err != nil {
		return pathError("symlink", name, err)
	}
	return d.in("symlink", name, func(parent int, base string) error {
		if err := unix.Symlinkat(target, parent, base); err != nil || d.user != nil || owner == d.self {
			return err
		}
		return unix.Fchownat(parent, base, int(owner.UID), int(owner.GID), unix.AT_SYMLINK_NOFOLLOW)
	})
}

func (d *realDisk) Change(name string, attributes Attributes) error {
	// Directories only: a file could have a second name elsewhere.
	fd, err := d.open(name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return pathError("stat", name, err)
	}
	if d.user != nil && (stat.Uid != d.user.UID || attributes.UID != d.user.UID) {
		return pathError("change", name, fmt.Errorf("it belongs to user %d: %w", stat.Uid, fs.ErrPermission))
	}
	if stat.Uid != attributes.UID || stat.Gid != attributes.GID {
		if err := unix.Fchownat(fd, "", int(attributes.UID), int(attributes.GID), unix.AT_EMPTY_PATH); err != nil {
			return pathError("chown", name, err)
		}
	}
	return pathError("chmod", name, unix.Fchmodat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), attributes.Mode, 0))
}

func (d *realDisk) CopyExtended(from, to string) error {
	source, err := d.open(from, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	list := make([]byte, 64<<10)
	n, err := unix.Flistxattr(source, list)
	if err != nil || n == 0 {
		return ignoreUnsupported("listxattr", from, err)
	}
	target, err := d.open(to, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	var had, has unix.Stat_t
	if err := errors.Join(unix.Fstat(source, &had), unix.Fstat(target, &has)); err != nil {
		return pathError("stat", to, err)
	}
	value := make([]byte, 64<<10)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		switch {
		case strings.HasPrefix(name, "trusted.overlay."), name == "security.capability":
			continue // of that very content
		case strings.HasPrefix(name, "system.posix_acl_") && had.Mode != has.Mode:
			continue // an access list holds the mode: the one that is declared counts
		}
		n, err := unix.Fgetxattr(source, name, value)
		if err == nil {
			err = unix.Fsetxattr(target, name, value[:n], 0)
		}
		if err := ignoreUnsupported("copy "+name, to, err); err != nil {
			return err
		}
	}
	return pathError("chmod", to, unix.Fchmod(target, has.Mode&0o7777))
}

func ignoreUnsupported(op, name string, err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENODATA) {
		return nil
	}
	return pathError(op, name, err)
}

func (d *realDisk) Rename(from, to string) error {
	return d.rename("rename", from, to, unix.RENAME_NOREPLACE)
}

func (d *realDisk) Exchange(a, b string) error {
	return d.rename("exchange", a, b, unix.RENAME_EXCHANGE)
}

func (d *realDisk) rename(op, from, to string, flags uint) error {
	source, sourceName, err := d.parent(from)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	target, targetName, err := d.parent(to)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	err = d.acting(func() error { return unix.Renameat2(source, sourceName, target, targetName, flags) })
	return pathError(op, from+" and "+to, err)
}

func (d *realDisk) Remove(name string) error {
	return d.in("remove", name, func(parent int, base string) error {
		err := unix.Unlinkat(parent, base, 0)
		if err == unix.EISDIR {
			err = unix.Unlinkat(parent, base, unix.AT_REMOVEDIR)
		}
		return err
	})
}

// syncWorkers is how many files are synced at once: a file system's journal
// takes all that wait into one commit.
const syncWorkers = 32

// Sync works as root: it changes nothing that a user could object to.
func (d *realDisk) Sync(names ...string) error {
	root := &realDisk{root: d.root, self: d.self}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) == 1 {
		return root.sync(names[0])
	}
	var (
		group  sync.WaitGroup
		mutex  sync.Mutex
		failed error
	)
	work := make(chan string)
	for range min(syncWorkers, len(names)) {
		group.Go(func() {
			for name := range work {
				if err := root.sync(name); err != nil {
					mutex.Lock()
					failed = errors.Join(failed, err)
					mutex.Unlock()
				}
			}
		})
	}
	for _, name := range names {
		work <- name
	}
	close(work)
	group.Wait()
	return failed
}

func (d *realDisk) sync(name string) error {
	fd, err := d.open(name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	err = unix.Fsync(fd)
	return pathError("sync", name, errors.Join(err, unix.Close(fd)))
}

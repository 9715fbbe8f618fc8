package runtime

import (
	"errors"
	"time"
)

// Disk is all that the runtime knows of a machine's files. Paths are absolute,
// clean and inside the disk's root; no method follows a link, at any component.
// Errors answer to errors.Is with fs.ErrExist, fs.ErrNotExist and the errno
// values ELOOP (a link was met), ENOSPC, EXDEV, ENOTEMPTY.
//
// Durability is explicit: what was not synced may be lost by a power cut, in
// any order. There are two disks: NewRealDisk and, for simulations, Memory.
type Disk interface {
	// Stat describes what is at path; a link itself, not what it points to.
	Stat(path string) (Info, error)
	// Read returns a regular file whole; one larger than limit bytes is an error.
	Read(path string, limit int64) ([]byte, Info, error)
	// List returns the names in a directory, sorted.
	List(path string) ([]string, error)

	// Create makes a new file with its content and attributes.
	Create(path string, data []byte, attributes Attributes) error
	// Append adds to a file with one write.
	Append(path string, data []byte) error
	// Overwrite replaces the content of a file in place. It takes no more space
	// than Allocate has set aside. Only for files that nobody else reads.
	Overwrite(path string, data []byte) error
	// Allocate sets aside space, so that the file can grow to size bytes
	// without needing any.
	Allocate(path string, size int64) error
	// MakeDirectory makes a directory with its attributes.
	MakeDirectory(path string, attributes Attributes) error
	// MakeLink makes a symbolic link.
	MakeLink(path, target string, owner Owner) error
	// Change sets mode and owner of a file or directory.
	Change(path string, attributes Attributes) error
	// CopyExtended gives to the extended attributes (ACLs, security labels) of from.
	CopyExtended(from, to string) error

	// CreateMap makes a new map, which sqlitemap describes, with its entries.
	CreateMap(path string, entries map[string]string, attributes Attributes) error
	// ReadMap returns the entries of a map that have one of keys, and whether it
	// has none at all. It writes nothing. A map is read and edited only where
	// nobody but root could have made a link on the way to it: fs.ErrPermission.
	// Errors answer to those of sqlitemap, too.
	ReadMap(path string, keys []string) (found map[string]string, empty bool, err error)
	// EditMap tells edit which of keys are in a map, and makes the entries that it
	// returns, or takes away those that are nil: all or none, durably.
	EditMap(path string, keys []string, edit func(found map[string]string) (map[string]*string, error)) error

	// Rename moves within one file system and never replaces: fs.ErrExist.
	Rename(from, to string) error
	// Exchange swaps two entries of one file system at once.
	Exchange(a, b string) error
	// Remove removes a file, a link or an empty directory.
	Remove(path string) error

	// Sync makes files and directories durable: a file's content, the entries
	// of a directory. It works on all of them at the same time.
	Sync(paths ...string) error

	// Lock takes an exclusive lock that ends with its process; ErrLocked where
	// it is held. The file is made where it is missing. record chooses the lock of
	// fcntl(2), as lckpwdf(3) takes it, instead of that of flock(2).
	Lock(path string, record bool) (Unlocker, error)
	// Free returns how many bytes can be written to the file system of path.
	Free(path string) (uint64, error)
	// Mount returns the directory where the file system of path is mounted.
	Mount(path string) (string, error)

	// As returns the same disk as that user may use it, for paths below the
	// directory tree: permissions are checked, what is made is the user's, and
	// no other file system that is mounted there is entered.
	As(tree string, owner Owner) Disk
}

// Unlocker is a lock that is held.
type Unlocker interface{ Unlock() error }

// ErrLocked says that somebody else holds a lock.
var ErrLocked = errors.New("the lock is held")

// Owner is a user and a group by their numbers.
type Owner struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// Attributes are those of a file or directory.
type Attributes struct {
	Owner
	Mode uint32 `json:"mode"` // as chmod(2) has it: at most 07777
}

// FileType is what an entry of a directory is.
type FileType string

// The types of entries.
const (
	TypeFile      FileType = "file"
	TypeDirectory FileType = "directory"
	TypeLink      FileType = "link"
	TypeOther     FileType = "special file" // device, socket, fifo
)

// Info describes one entry of a directory.
type Info struct {
	Attributes
	Type     FileType
	Size     int64
	Target   string // of a link
	Modified time.Time

	inode uint64
}

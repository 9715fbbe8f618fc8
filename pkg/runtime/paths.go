package runtime

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"orchestra/pkg/wire"
)

// place is where a declared path really is.
//
// No link is ever followed while the runtime works. But a server may well have
// /bin or /home as links that its administrator made. So the directories above
// a path are looked up beforehand, and a link among them is replaced by what it
// points to exactly where only root can have made it: the link and all
// directories on the way to it belong to root, and nobody else may write to them.
// Any other link is refused. What changes after that lookup is not followed:
// the path found is opened with RESOLVE_NO_SYMLINKS.
//
// The first directory on the way that belongs to somebody else than root begins
// that user's tree: below it everything is done as that user.
type place struct {
	Path string `json:"path"` // canonical
	Near string `json:"near"` // the nearest directory above it that exists
	// Tree is the first directory that belongs to a user, Owner that user; "" and nil
	// where root is at home.
	Tree  string `json:"tree,omitempty"`
	Owner *Owner `json:"owner,omitempty"`
}

const maxLinks = 10

// resolver finds places, and remembers the directories that it has seen.
type resolver struct {
	disk  Disk
	known map[string]place // of directories, by their declared path
}

func newResolver(disk Disk) *resolver { return &resolver{disk: disk, known: map[string]place{}} }

// checkPath refuses paths that no backend has reason to declare.
func checkPath(name string) error {
	if _, err := relativePath(name); err != nil || name == "/" || len(name) > 4000 {
		return fail(wire.CodeDeclared, name, "it is not a clean absolute path")
	}
	for element := range strings.SplitSeq(name[1:], "/") {
		if element == ".." || len(element) > 255 {
			return fail(wire.CodeDeclared, name, "it is not a clean absolute path")
		}
	}
	return nil
}

// resolve finds where name is. name itself is not looked at.
func (r *resolver) resolve(name string) (place, error) {
	if err := checkPath(name); err != nil {
		return place{}, err
	}
	directory, err := r.directory(path.Dir(name), 0)
	if err != nil {
		return place{}, err
	}
	directory.Path = path.Join(directory.Path, path.Base(name))
	return directory, nil
}

// directory finds the place of a directory, which need not exist.
func (r *resolver) directory(name string, links int) (place, error) {
	if found, ok := r.known[name]; ok {
		return found, nil
	}
	if links > maxLinks {
		return place{}, fail(wire.CodeTaken, name, "too many links")
	}
	found, err := r.lookUp(name, links)
	if err == nil {
		r.known[name] = found
	}
	return found, err
}

func (r *resolver) lookUp(name string, links int) (place, error) {
	if name == "/" {
		return place{Path: "/", Near: "/"}, nil
	}
	above, err := r.directory(path.Dir(name), links)
	if err != nil {
		return place{}, err
	}
	here := above
	here.Path = path.Join(above.Path, path.Base(name))
	if above.Near != above.Path {
		return here, nil // what is above it does not exist either
	}
	info, err := r.disk.Stat(here.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return here, nil
	case err != nil:
		return place{}, fail(wire.CodeTaken, name, "it can't be looked at").because(err)
	case info.Type == TypeDirectory:
		here.Near = here.Path
		if here.Owner == nil && info.UID != 0 {
			here.Tree, here.Owner = here.Path, &Owner{UID: info.UID, GID: info.GID}
		}
		return here, nil
	case info.Type != TypeLink:
		return place{}, fail(wire.CodeTaken, name, "it is a %s, not a directory", info.Type)
	}
	if err := r.trusted(above, info); err != nil {
		return place{}, fail(wire.CodeTaken, name, "it is a link to %s that others than root could have made: it is not followed", printable(info.Target)).because(err)
	}
	target := info.Target
	if !path.IsAbs(target) {
		target = path.Join(above.Path, target)
	}
	return r.directory(path.Clean(target), links+1)
}

// trusted tells whether only root can have made a link in the directory above.
func (r *resolver) trusted(above place, link Info) error {
	if above.Owner != nil || link.UID != 0 {
		return fs.ErrPermission
	}
	for name := above.Path; ; name = path.Dir(name) {
		info, err := r.disk.Stat(name)
		if err != nil {
			return err
		}
		if info.Type != TypeDirectory || info.UID != 0 || info.Mode&0o022 != 0 {
			return fs.ErrPermission
		}
		if name == "/" {
			return nil
		}
	}
}

// as returns the disk for working at p.
func (p place) as(disk Disk) Disk {
	if p.Owner == nil {
		return disk
	}
	return disk.As(p.Tree, *p.Owner)
}

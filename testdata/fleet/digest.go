//go:build linux

package fleet

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Digest says what files there are: each path with "mode owner group size hash",
// where the hash is the target for a link, and the size is "-" for a folder. ACLs
// and other extended attributes follow. Times are left out. Two servers' files
// are the same, byte for byte, exactly when their digests are.
type Digest map[string]string

// Digest reads all that is below the paths, in the host's own names ("/etc"). A
// path that does not exist adds nothing.
func (h *Host) Digest(ctx context.Context, paths ...string) (Digest, error) {
	root, err := os.OpenRoot(h.Root())
	if err != nil {
		return nil, fmt.Errorf("reading the files of %s: %w", h.Name, err)
	}
	defer root.Close()
	digest := Digest{}
	for _, top := range paths {
		top = strings.TrimPrefix(path.Clean("/"+top), "/")
		err := fs.WalkDir(root.FS(), cmp.Or(top, "."), func(file string, entry fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			var line string
			if err == nil {
				line, err = describe(root, file, entry)
			}
			if errors.Is(err, fs.ErrNotExist) { // the host lives, and has just removed it
				return nil
			}
			digest[path.Join("/", file)] = line
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading %s of %s: %w", top, h.Name, err)
		}
	}
	return digest, nil
}

func describe(root *os.Root, name string, entry fs.DirEntry) (string, error) {
	info, err := entry.Info()
	if err != nil {
		return "", err
	}
	owner := info.Sys().(*syscall.Stat_t)
	line := fmt.Sprintf("%v %d %d", info.Mode(), owner.Uid, owner.Gid)
	switch {
	case info.Mode().IsRegular():
		file, err := root.Open(name)
		if err != nil {
			return "", err
		}
		defer file.Close()
		hash := sha256.New()
		size, err := io.Copy(hash, file)
		if err != nil {
			return "", err
		}
		line += fmt.Sprintf(" %d %x", size, hash.Sum(nil))
	case info.Mode().Type() == fs.ModeSymlink:
		target, err := root.Readlink(name)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s %d %s", line, len(target), target), nil
	case info.Mode().Type()&fs.ModeDevice != 0:
		line += fmt.Sprintf(" - %d", owner.Rdev)
	default:
		line += " - -"
	}
	attributes, err := extended(filepath.Join(root.Name(), name))
	return line + attributes, err
}

// extended lists the extended attributes of a file, ACLs among them.
func extended(file string) (string, error) {
	names := make([]byte, 64<<10) // as long as the kernel lets them become
	size, err := syscall.Listxattr(file, names)
	if err != nil || size == 0 {
		return "", err
	}
	var list strings.Builder
	for _, name := range slices.Sorted(slices.Values(strings.Split(string(bytes.TrimRight(names[:size], "\x00")), "\x00"))) {
		value := make([]byte, 64<<10)
		size, err := syscall.Getxattr(file, name, value)
		if err != nil {
			return "", fmt.Errorf("attribute %s of %s: %w", name, file, err)
		}
		fmt.Fprintf(&list, " %s=%x", name, value[:size])
	}
	return list.String(), nil
}

// Without leaves out the paths, and all that is below them.
func (d Digest) Without(paths ...string) Digest {
	rest := maps.Clone(d)
	maps.DeleteFunc(rest, func(path, _ string) bool {
		return slices.ContainsFunc(paths, func(left string) bool {
			return path == left || strings.HasPrefix(path, strings.TrimSuffix(left, "/")+"/")
		})
	})
	return rest
}

// Diff says what is different in after: lines beginning with - for what was and
// + for what is, sorted by path. None means that all is the same.
func (d Digest) Diff(after Digest) []string {
	paths := maps.Clone(d)
	maps.Copy(paths, after)
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		was, had := d[path]
		is, has := after[path]
		if had && (!has || was != is) {
			lines = append(lines, "- "+path+" "+was)
		}
		if has && (!had || was != is) {
			lines = append(lines, "+ "+path+" "+is)
		}
	}
	return lines
}

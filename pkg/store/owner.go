package store

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"orchestra/pkg/fault"
)

// DropToOwner makes a process of root the user who owns the database at path
// (where there is none yet, the directory), for good: what it writes there is
// then his, and locks and rows have one owner. It tells whether it did. It is
// to be called before anything is opened.
func DropToOwner(path string) (bool, error) {
	if os.Geteuid() != 0 {
		return false, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(filepath.Dir(path))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 {
		return false, nil
	}
	groups := []int{int(stat.Gid)}
	owner, err := user.LookupId(strconv.FormatUint(uint64(stat.Uid), 10))
	if err == nil {
		if ids, err := owner.GroupIds(); err == nil {
			groups = numbers(ids)
		}
		if gid, err := strconv.Atoi(owner.Gid); err == nil {
			stat.Gid = uint32(gid)
		}
	}
	// Groups first: afterwards we may not any more.
	if err := errors.Join(syscall.Setgroups(groups), syscall.Setgid(int(stat.Gid)), syscall.Setuid(int(stat.Uid))); err != nil {
		return false, fault.New(fault.Internal, "root could not become the owner of %s", path).Because(err)
	}
	return true, nil
}

func numbers(texts []string) []int {
	var found []int
	for _, text := range texts {
		if number, err := strconv.Atoi(text); err == nil {
			found = append(found, number)
		}
	}
	return found
}

package operation

import "golang.org/x/sys/unix"

// freeBytes returns how many bytes may still be written to a path's file system.
func freeBytes(path string) (uint64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return 0, err
	}
	return stat.Bavail * uint64(stat.Bsize), nil
}

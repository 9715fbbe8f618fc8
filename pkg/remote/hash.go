package remote

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// hashFile returns the SHA-256 of a file and its size. It remembers the hash in
// the directory cache, for as long as the file is the same one by device,
// inode, size and both times. The change time cannot be set by hand, so that
// nothing but the same content passes for it.
func hashFile(path, cache string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", 0, err
	}
	key, ok := fileKey(f, info)
	if ok && cache != "" {
		if sum := recallHash(cache, key); sum != "" {
			return sum, info.Size(), nil
		}
	}
	hash := sha256.New()
	if size, err = io.Copy(hash, f); err != nil {
		return "", 0, err
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	if ok && cache != "" && size == info.Size() {
		// Not being able to remember costs time, and nothing else.
		_ = rememberHash(cache, key, sum)
	}
	return sum, size, nil
}

// fileKey names a file's content without reading it.
func fileKey(f *os.File, info os.FileInfo) (string, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", false
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return "", false
	}
	return fmt.Sprintf("%q %d %d %d %d.%09d %d.%09d", path, stat.Dev, stat.Ino, stat.Size,
		stat.Mtim.Sec, stat.Mtim.Nsec, stat.Ctim.Sec, stat.Ctim.Nsec), true
}

// hashName returns the file of the cache for key. One file serves one path, so
// that the cache does not grow with every upgrade.
func hashName(cache, key string) string {
	path, _, _ := strings.Cut(key, `" `)
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(cache, "runtime-hash-"+hex.EncodeToString(sum[:8]))
}

func recallHash(cache, key string) string {
	content, err := os.ReadFile(hashName(cache, key))
	if err != nil {
		return ""
	}
	stored, sum, ok := strings.Cut(strings.TrimSuffix(string(content), "\n"), "\n")
	if !ok || stored != key || len(sum) != hex.EncodedLen(sha256.Size) {
		return ""
	}
	return sum
}

func rememberHash(cache, key, sum string) error {
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(cache, "runtime-hash-*.new") // mode 0600
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s\n%s\n", key, sum)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), hashName(cache, key))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

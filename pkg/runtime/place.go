package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// standInsFile, in the runtime's directory, says that this is a demonstration:
// its one line is the directory that is taken for the root of the machine.
const standInsFile = "stand-ins"

// findPlace fills in, where no argument said otherwise, the runtime's directory:
// the one that the program was copied to, DIRECTORY/bin/SHA256/orchestra; and the
// root and stand-ins of a demonstration. The file that asks for one has to be ours
// and writable by nobody else.
func findPlace(root *string, options *Options) error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the program: %w", err)
	}
	versions := filepath.Dir(filepath.Dir(executable))
	if filepath.Base(versions) != "bin" || len(filepath.Base(filepath.Dir(executable))) != 64 {
		return nil // not a copy that was delivered
	}
	directory := filepath.Dir(versions)
	options.Directory = directory
	name := filepath.Join(directory, standInsFile)
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || info.Mode().Perm()&0o022 != 0 || int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("%s must be a file of our own that nobody else may write to", name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	scratch := strings.TrimSuffix(string(text), "\n")
	within, below := strings.CutPrefix(directory, scratch+"/")
	if !filepath.IsAbs(scratch) || filepath.Clean(scratch) != scratch || !below {
		return fmt.Errorf("%s names %q, which the runtime's directory is not in", name, scratch)
	}
	*root, options.Directory, options.StandIns = scratch, "/"+within, true
	return nil
}

package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"orchestra/pkg/wire"
)

const pathShells = "/etc/shells"

// checkShell refuses a login shell that this server does not list in shells(5),
// as chsh(1) does. nologin(8) and false(1) let nobody in and need no line. A
// server without the file has no rule.
func (v *accountView) checkShell(r *resource, shell string) error {
	if base := path.Base(shell); base == "nologin" || base == "false" {
		return nil
	}
	if v.shells == nil {
		var err error
		if v.shells, err = readShells(v.o.machine.disk); err != nil {
			return err
		}
	}
	if len(v.shells) > 0 && !v.shells[shell] {
		return fail(wire.CodeMissing, "user "+r.Name, "the shell %s is not in %s of this server", printable(shell), pathShells)
	}
	return nil
}

// readShells returns the lines of shells(5) that are no comments.
func readShells(disk Disk) (map[string]bool, error) {
	listed := map[string]bool{}
	data, _, err := disk.Read(pathShells, ownLimit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w", pathShells, err)
	}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		if shell := strings.TrimSpace(line); shell != "" {
			listed[shell] = true
		}
	}
	return listed, nil
}

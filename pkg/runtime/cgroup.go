package runtime

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// controlGroups is a control group (version 2) that all children of a runtime are in,
// and that nothing they start can leave without being root and meaning to. It
// is made below the group that we are in ourselves: that costs no call to systemd.
type controlGroups struct {
	path      string // in the file system
	directory int    // descriptor, for starting children right in it
}

// openControlGroups makes the group of this process's children; nil where
// that is not possible.
func openControlGroups(pid int) *controlGroups {
	mount := controlGroupMount()
	own := ownControlGroup()
	if mount == "" || own == "" {
		return nil
	}
	path := filepath.Join(mount, own, "orchestra-"+strconv.Itoa(pid))
	if err := os.Mkdir(path, 0o755); err != nil && !os.IsExist(err) {
		return nil
	}
	group := groupAt(path)
	if group == nil {
		_ = os.Remove(path)
		return nil
	}
	// Freezing a group needs Linux 5.2.
	if _, err := os.Stat(filepath.Join(path, "cgroup.freeze")); err != nil {
		_ = group.close()
		return nil
	}
	return group
}

func groupAt(path string) *controlGroups {
	if path == "" || !strings.Contains(filepath.Base(path), "orchestra-") {
		return nil
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return &controlGroups{path: path, directory: fd}
}

func controlGroupMount() string {
	for _, path := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var stat unix.Statfs_t
		if unix.Statfs(path, &stat) == nil && stat.Type == unix.CGROUP2_SUPER_MAGIC {
			return path
		}
	}
	return ""
}

func ownControlGroup() string {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path
		}
	}
	return ""
}

// kill ends all processes in the group, which is frozen meanwhile, so that none
// slips away by forking. It does not write to cgroup.kill: Linux 6.18 then also
// kills what is started right in the group (CLONE_INTO_CGROUP) ever after.
func (g *controlGroups) kill() {
	members := g.members()
	if len(members) == 0 {
		return
	}
	freeze := filepath.Join(g.path, "cgroup.freeze")
	_ = os.WriteFile(freeze, []byte("1"), 0)
	for _, pid := range g.members() {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	_ = os.WriteFile(freeze, []byte("0"), 0)
}

// populated tells whether a process is left.
func (g *controlGroups) populated() bool {
	data, err := os.ReadFile(filepath.Join(g.path, "cgroup.events"))
	return err == nil && strings.Contains(string(data), "populated 1")
}

// members returns the processes in the group.
func (g *controlGroups) members() []int {
	data, err := os.ReadFile(filepath.Join(g.path, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var pids []int
	for _, text := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(text); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// close removes the group, which must be empty.
func (g *controlGroups) close() error {
	_ = unix.Close(g.directory)
	return os.Remove(g.path)
}

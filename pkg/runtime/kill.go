package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// markName is in the environment of every child, and so of all that it starts:
// where there are no control groups it tells whose they are.
const markName = "ORCHESTRA_RUNNER"

const (
	killInterval = 2 * time.Millisecond
	killLimit    = 5 * time.Second
)

// reap ends the child and all that it started, however they hid: by the control
// group that they are in, by the mark in their environment, by their descent.
// ended is where the child's own end is told, nil where it was.
func (r *RealRunner) reap(pid int, ended <-chan error) error {
	deadline, quiet := time.Now().Add(killLimit), 0
	for wait := killInterval; ; wait = min(2*wait, 100*time.Millisecond) {
		left := r.left(pid, ended != nil)
		for _, other := range left {
			_ = unix.Kill(other, unix.SIGKILL)
		}
		if r.groups != nil {
			r.groups.kill()
		}
		if ended != nil {
			select {
			case <-ended:
				ended = nil
				continue
			case <-time.After(wait):
			}
		} else if len(left) == 0 && (r.groups == nil || !r.groups.populated()) {
			r.collect()
			// A process shows no environment while it becomes another program:
			// without control groups one look is not enough.
			if quiet++; quiet == 3 || r.groups != nil {
				return nil
			}
			time.Sleep(killInterval)
		} else {
			quiet = 0
			r.collect()
			time.Sleep(wait)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v do not end", left)
		}
	}
}

// left returns the processes of the child that live. The list of all processes is
// read only where there are no control groups, or the child had to be killed.
func (r *RealRunner) left(pid int, running bool) []int {
	if running {
		return append(r.marked(r.self.Mark, pid), pid)
	}
	if r.groups != nil {
		return r.groups.members()
	}
	return r.marked(r.self.Mark, pid)
}

// marked returns the processes whose environment has the mark, those of a
// session, and those that descend from them, or from this process, which is the
// parent of all whose parents died.
func (r *RealRunner) marked(mark string, session int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	wanted := []byte(markName + "=" + mark + "\x00")
	parents, alive := map[int]int{}, map[int]bool{}
	if r.sole && mark == r.self.Mark {
		alive[r.self.PID] = true // so that its children are found, whatever their environment
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == r.self.PID {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 4 || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		parents[pid], _ = strconv.Atoi(fields[1])
		if session > 0 && fields[3] == strconv.Itoa(session) {
			alive[pid] = true
			found = append(found, pid)
			continue
		}
		environment, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err == nil && bytes.Contains(append([]byte{0}, environment...), append([]byte{0}, wanted...)) {
			alive[pid] = true
			found = append(found, pid)
		}
	}
	// Descendants of those that are marked, and orphans that became ours.
	for changed := true; changed; {
		changed = false
		for pid, parent := range parents {
			if !alive[pid] && alive[parent] {
				alive[pid], changed = true, true
				found = append(found, pid)
			}
		}
	}
	return found
}

// collect waits for orphans that became our children and have died.
func (r *RealRunner) collect() {
	if !r.sole {
		return
	}
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		data, _ := os.ReadFile(list)
		for _, text := range strings.Fields(string(data)) {
			stat, err := os.ReadFile("/proc/" + text + "/stat")
			pid, numberErr := strconv.Atoi(text)
			if err == nil && numberErr == nil && bytes.Contains(stat, []byte(") Z ")) {
				_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
		}
	}
}

// Lives implements Runner.
func (r *RealRunner) Lives(who Identity) bool {
	if who.PID <= 0 || who.BootID != "" && who.BootID != r.machine.BootID {
		return false
	}
	start, err := startTime(who.PID)
	return err == nil && (who.Start == 0 || start == who.Start)
}

// Kill implements Runner.
func (r *RealRunner) Kill(ctx context.Context, who Identity) error {
	if who.BootID != r.machine.BootID || who.PID == r.self.PID && who.Start == r.self.Start {
		return nil // of a former life of this machine; or ourselves
	}
	if err := r.killProcess(ctx, who); err != nil {
		return err
	}
	// Its children end with it, by the signal at a parent's death; what hid from that is
	// in its control group, or has its mark.
	for quiet := 0; ; {
		left := r.marked(who.Mark, 0)
		for _, pid := range left {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		populated := false
		if group := groupAt(who.Group); group != nil {
			group.kill()
			populated = group.populated()
			_ = group.close() // removes it where it is empty
		}
		if len(left) > 0 || populated {
			quiet = 0
		} else if quiet++; quiet == 3 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("children %v of process %d do not end", left, who.PID)
		case <-time.After(killInterval):
		}
	}
}

// killProcess ends one process, through a descriptor that never means another.
func (r *RealRunner) killProcess(ctx context.Context, who Identity) error {
	fd, err := unix.PidfdOpen(who.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(fd)
	// Only now: the descriptor is of whoever has the number at this moment.
	if !r.Lives(who) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	for {
		events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(events, 20); err == nil && n == 1 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("process %d does not end: %w", who.PID, err)
		}
	}
}

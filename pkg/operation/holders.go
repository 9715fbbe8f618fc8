package operation

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"orchestra/pkg/message"
)

// operationFile begins the name of an operation's lock file.
const operationFile = "operation-"

// Holder is a running command that holds locks.
type Holder struct {
	Operation string    `json:"operation"` // its id
	PID       int       `json:"pid"`
	Start     string    `json:"start"`   // of the process, in ticks since the boot: pids come again
	Command   string    `json:"command"` // redacted
	Since     time.Time `json:"since"`
	Locks     []string  `json:"locks"`  // alone
	Shared    []string  `json:"shared"` // with others
}

// note writes what is held into the operation's own lock file, for those who
// wait. Nothing depends on it, so an error is none.
func (s *lockSet) note() {
	s.holder.Locks, s.holder.Shared = nil, nil
	for key, held := range s.held {
		if held.shared {
			s.holder.Shared = append(s.holder.Shared, key.String())
		} else {
			s.holder.Locks = append(s.holder.Locks, key.String())
		}
	}
	slices.Sort(s.holder.Locks)
	slices.Sort(s.holder.Shared)
	if s.holder.Start == "" {
		s.holder.Start = processStart(s.holder.PID)
	}
	text, err := json.Marshal(s.holder)
	if err != nil {
		return
	}
	if _, err := s.own.WriteAt(append(text, '\n'), 0); err == nil {
		s.own.Truncate(int64(len(text)) + 1) //nolint:errcheck // see above
	}
}

// Holders returns the commands that hold locks now.
func (l *Locks) Holders() []Holder {
	names, err := filepath.Glob(filepath.Join(l.directory, operationFile+"*"))
	if err != nil {
		return nil
	}
	var holders []Holder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		var holder Holder
		if json.Unmarshal(bytes.TrimSpace(text), &holder) != nil {
			continue // it is being written, or its holder died as it began
		}
		// The lock itself is not tried: that would make a dead operation look alive to others for an instant.
		if holder.Start == processStart(holder.PID) {
			holders = append(holders, holder)
		}
	}
	slices.SortFunc(holders, func(a, b Holder) int { return a.Since.Compare(b.Since) })
	return holders
}

// holding returns who prevents that a lock is taken, oldest first, without the
// operation except.
func (l *Locks) holding(want lockWant, except string) []Holder {
	var holding []Holder
	for _, holder := range l.Holders() {
		if holder.Operation == except {
			continue
		}
		name := want.key.String()
		if slices.Contains(holder.Locks, name) || !want.shared && slices.Contains(holder.Shared, name) {
			holding = append(holding, holder)
		}
	}
	return holding
}

// tellWaiting reports that a lock is waited for, and whose it is.
func (c *Coordinator) tellWaiting(want lockWant, holders []Holder) {
	if len(holders) == 0 {
		c.report(Event{Kind: EventWaiting, Text: message.New("waiting for the lock of %s", want.name())})
		return
	}
	first := holders[0]
	c.report(Event{Kind: EventWaiting, Text: message.New("waiting for the lock of %s, held by process %d (%s) since %s",
		want.name(), first.PID, first.Command, first.Since.Local().Format(time.TimeOnly))})
}

// processStart returns when a process began, as /proc says it; "" where there
// is no such process.
func processStart(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The name, in parentheses, may hold anything: what follows the last one is regular.
	end := bytes.LastIndexByte(text, ')')
	if fields := strings.Fields(string(text[end+1:])); end >= 0 && len(fields) > 19 {
		return fields[19]
	}
	return ""
}

package runtime

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"orchestra/pkg/wire"
)

// The layout of the runtime's own directory; everything in it is for root only.
//
//	lock            held from PUBLISH to the end
//	panel           log: panel id and sequence
//	counters        log: how far the panel's counters are; counters.lock is held for a line
//	reserve         space to undo with on a full disk
//	new/ID.PID      an operation's directory before it has its name
//	open/ID/        an operation that has not ended
//	  state         log: the states, who runs it, what was reloaded
//	  plan          steps and undo records
//	ended/MONTH/ID  the state logs of ended operations: tombstones
//	registry/       hashes last kept, by resource
//	trash/          what was parked; other file systems have one of their own
//	  parked/       what was parked that is no path, with how to purge it;
//	                parked.lock is held while it is purged
//	trash.log       what lies in them, and where it was
const (
	fileLock     = "lock"
	filePanel    = "panel"
	fileCounters = "counters"
	// held while a line of it is written
	fileCountersLock = "counters.lock"
	fileParkedLock   = "parked.lock"
	fileReserve      = "reserve"
	directoryNew     = "new"
	directoryOut     = "open"
	directoryEnd     = "ended"
	directoryReg     = "registry"
	directoryTrash   = "trash"
	fileState        = "state"
	filePlan         = "plan"

	stateSpace = 16 << 10  // set aside for a state log, so that ending needs no space
	logLimit   = 64 << 10  // the panel's log is written anew above this
	ownLimit   = 512 << 20 // the largest file of ours that is read
)

// stateLine is one line of an operation's state log. A line counts only with
// its newline and its checksum.
type stateLine struct {
	State     wire.State `json:"state,omitempty"`
	Time      time.Time  `json:"time"`
	Operation string     `json:"operation,omitempty"`
	PanelID   string     `json:"panel,omitempty"`
	Sequence  int64      `json:"sequence,omitempty"`
	Runner    *Identity  `json:"runner,omitempty"` // who works on it from here on
	Units     []string   `json:"units,omitempty"`  // are about to be reloaded
	Doing     string     `json:"doing,omitempty"`  // an act that is about to be done
	Later     bool       `json:"later,omitempty"`  // nothing is left to be done later
}

// history is what a state log says.
type history struct {
	State   wire.State
	PanelID string
	Runner  *Identity
	Units   []string
	Doing   []string
	staged  bool // the plan was durable once
	torn    bool // the last line is not whole
}

func encodeLine(v any) ([]byte, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s %s\n", content, checksum(content)), nil
}

func checksum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

// decodeLines calls f for each whole line and tells whether the last is torn.
// Lines that are damaged are skipped: they were never announced.
func decodeLines(data []byte, f func(content []byte) error) (torn bool, err error) {
	for len(data) > 0 {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return true, nil
		}
		data = rest
		at := bytes.LastIndexByte(line, ' ')
		if at < 0 || checksum(line[:at]) != string(line[at+1:]) {
			continue
		}
		if err := f(line[:at]); err != nil {
			return false, err
		}
	}
	return false, nil
}

func decodeHistory(data []byte) (history, error) {
	var h history
	torn, err := decodeLines(data, func(content []byte) error {
		var line stateLine
		if err := json.Unmarshal(content, &line); err != nil {
			return fmt.Errorf("state log: %w", err)
		}
		if line.State != wire.StateNone {
			h.State = line.State
		}
		h.staged = h.staged || line.State == wire.StateStaged
		if line.PanelID != "" {
			h.PanelID = line.PanelID
		}
		if line.Runner != nil {
			h.Runner = line.Runner
		}
		for _, unit := range line.Units {
			if !slices.Contains(h.Units, unit) {
				h.Units = append(h.Units, unit)
			}
		}
		if line.Doing != "" {
			h.Doing = append(h.Doing, line.Doing)
		}
		return nil
	})
	h.torn = torn
	return h, err
}

// records are the runtime's own files on a machine.
type records struct {
	disk  Disk
	clock Clock
	dir   string
}

func (r *records) path(elements ...string) string {
	return path.Join(append([]string{r.dir}, elements...)...)
}

var rootOnly = Attributes{Mode: 0o700}
var rootFile = Attributes{Mode: 0o600}

// prepare makes the directories that are missing.
func (r *records) prepare() error {
	var made []string
	if _, err := r.disk.Stat(r.dir); errors.Is(err, fs.ErrNotExist) {
		if made, err = r.prepareAbove(); err != nil {
			return err
		}
	}
	for _, name := range []string{r.dir, r.path(directoryNew), r.path(directoryOut), r.path(directoryEnd), r.path(directoryReg)} {
		info, err := r.disk.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := r.disk.MakeDirectory(name, rootOnly); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			made = append(made, name, path.Dir(name))
		case err != nil:
			return err
		case info.Type != TypeDirectory || info.UID != 0 || info.Mode&0o022 != 0:
			return fail(wire.CodeInternal, name, "it must be a directory of root's that nobody else may write to")
		}
	}
	if len(made) == 0 {
		return nil
	}
	return r.disk.Sync(made...)
}

// prepareAbove makes the directories above our own.
func (r *records) prepareAbove() (made []string, err error) {
	missing := []string{}
	for name := path.Dir(r.dir); name != "/"; name = path.Dir(name) {
		if _, err := r.disk.Stat(name); err == nil {
			break
		}
		missing = append(missing, name)
	}
	for _, name := range slices.Backward(missing) {
		if err := r.disk.MakeDirectory(name, Attributes{Mode: 0o755}); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		made = append(made, name, path.Dir(name))
	}
	return made, nil
}

// open returns the operations that have not ended, by id.
func (r *records) open() ([]string, error) {
	names, err := r.disk.List(r.path(directoryOut))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return slices.DeleteFunc(names, func(name string) bool { return checkOperation(name) != nil }), err
}

// checkOperation refuses what is not an operation's id: it becomes a file name.
func checkOperation(id string) error {
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return fail(wire.CodeOrder, "", "%q is not an operation's id", printable(id))
	}
	return nil
}

// history reads the state log of an operation that has not ended; fs.ErrNotExist.
func (r *records) history(id string) (history, error) {
	data, _, err := r.disk.Read(r.path(directoryOut, id, fileState), ownLimit)
	if err != nil {
		return history{}, err
	}
	return decodeHistory(data)
}

// earlier returns by when things have become old, later when they are made: our
// clock's time or the panel's, which is in every sequence. A clock that jumps then
// takes nothing away too soon, as long as the other one is right.
func (r *records) earlier() time.Time {
	now, panel := r.times()
	if panel.Before(now) {
		return panel
	}
	return now
}

func (r *records) later() time.Time {
	now, panel := r.times()
	if panel.After(now) {
		return panel
	}
	return now
}

func (r *records) times() (now, panel time.Time) {
	last, _, _ := r.panel() // where it can't be read, nothing is old
	return r.clock.Now().UTC(), time.UnixMicro(last.Sequence).UTC()
}

// tombstoneMonths are the months that are kept, so that it is 90 days at least.
const tombstoneMonths = 5

const monthFormat = "2006-01"

// tombstone returns the end of an operation that has ended; fs.ErrNotExist. It
// looks in every month that there is: clocks go forward and back.
func (r *records) tombstone(id string) (history, error) {
	months, err := r.disk.List(r.path(directoryEnd))
	if err != nil {
		return history{}, err
	}
	for _, month := range slices.Backward(months) {
		data, _, err := r.disk.Read(r.path(directoryEnd, month, id), ownLimit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return history{}, err
		}
		return decodeHistory(data)
	}
	return history{}, fs.ErrNotExist
}

// begin makes the directory of an operation, with its first state line in it, at
// once: where it is there already, fs.ErrExist. It is durable once the names that
// it returns are synced.
func (r *records) begin(id string, line stateLine) (unsynced []string, err error) {
	line.Time = r.clock.Now().UTC()
	content, err := encodeLine(line)
	if err != nil {
		return nil, err
	}
	making := r.path(directoryNew, fmt.Sprintf("%s.%d.%d", id, line.Runner.PID, line.Runner.Start))
	if err := r.disk.MakeDirectory(making, rootOnly); err != nil {
		return nil, err
	}
	state := path.Join(making, fileState)
	err = r.disk.Create(state, content, rootFile)
	if err == nil {
		err = r.disk.Allocate(state, stateSpace)
	}
	if err == nil {
		err = r.disk.Rename(making, r.path(directoryOut, id))
	}
	if err != nil {
		return nil, errors.Join(err, r.removeAll(making))
	}
	open := r.path(directoryOut, id)
	return []string{r.path(directoryNew), r.path(directoryOut), open, path.Join(open, fileState)}, nil
}

// removeAll removes a directory of ours that holds files only.
func (r *records) removeAll(name string) error {
	names, err := r.disk.List(name)
	for _, below := range names {
		err = errors.Join(err, r.disk.Remove(path.Join(name, below)))
	}
	return errors.Join(err, r.disk.Remove(name))
}

// end turns an operation's directory into a tombstone. Its last state is
// written already; what goes wrong here is done again by a later session.
func (r *records) end(id string) error {
	from := r.path(directoryOut, id)
	month := r.path(directoryEnd, r.later().Format(monthFormat))
	if err := r.disk.MakeDirectory(month, rootOnly); err == nil {
		err = r.disk.Sync(r.path(directoryEnd))
		if err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	names, err := r.disk.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != fileState {
			if err := r.disk.Remove(path.Join(from, name)); err != nil {
				return err
			}
		}
	}
	// First the tombstone, then the directory goes: the operation is never unknown.
	err = r.disk.Rename(path.Join(from, fileState), path.Join(month, id))
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := r.disk.Sync(month); err != nil {
		return err
	}
	return r.disk.Remove(from)
}

// purge removes tombstones that are older than all that can still arrive: a few
// in a session.
func (r *records) purge() {
	const most = 500
	months, _ := r.disk.List(r.path(directoryEnd))
	now := r.earlier()
	oldest := time.Date(now.Year(), now.Month()-(tombstoneMonths-1), 1, 0, 0, 0, 0, time.UTC).Format(monthFormat)
	for _, month := range months {
		if month >= oldest {
			continue
		}
		names, _ := r.disk.List(r.path(directoryEnd, month))
		for _, name := range names[:min(most, len(names))] {
			_ = r.disk.Remove(r.path(directoryEnd, month, name))
		}
		if len(names) <= most {
			_ = r.disk.Remove(r.path(directoryEnd, month))
		}
	}
}

// clearNew removes what sessions that died have left in new/.
func (r *records) clearNew(runner Runner) {
	names, _ := r.disk.List(r.path(directoryNew))
	for _, name := range names {
		fields := strings.Split(name, ".")
		if len(fields) != 3 {
			continue
		}
		pid, err := strconv.Atoi(fields[1])
		start, err2 := strconv.ParseUint(fields[2], 10, 64)
		if errors.Join(err, err2) == nil && !runner.Lives(Identity{PID: pid, Start: start}) {
			_ = r.removeAll(r.path(directoryNew, name))
		}
	}
}

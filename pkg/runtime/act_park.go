package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is no path is parked by a rename of its own kind: `park KIND NAME`. It is a
// reversible act of functions whose names follow from the kind: probe_KIND,
// park_KIND, which gives it the name ${trash[NAME]}, and restore_KIND, which gives
// it its own name back. purge_KIND destroys it, when it has lain long enough. What an
// operation that is kept has parked is recorded below the trash, with all that
// purging needs, since the backend may be another by then.

// ParkFunctions returns the functions of acts.sh that parking a kind needs.
func ParkFunctions(kind string) []string {
	return []string{"probe_" + kind, "park_" + kind, "restore_" + kind, "purge_" + kind}
}

// DefinesFunction tells whether a script of bash defines a function.
func DefinesFunction(script, name string) bool {
	quoted := regexp.QuoteMeta(name)
	return regexp.MustCompile(`(?m)^[ \t]*(?:function[ \t]+` + quoted + `\b|` + quoted + `[ \t]*\([ \t]*\))`).MatchString(script)
}

// missingFunctions returns those that a script does not define.
func missingFunctions(script string, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return DefinesFunction(script, name) })
}

func declarePark(s *step, d declaration) (*resource, error) {
	if len(d.Arguments) != 2 {
		return nil, errArguments
	}
	kind, name := d.Arguments[0], d.Arguments[1]
	if !isName("restore_" + kind) {
		return nil, fmt.Errorf("%q can't be a kind of things to park", printable(kind))
	}
	if !validActKey(name) {
		return nil, fmt.Errorf("%q can't be the name of something to park", printable(name))
	}
	functions := ParkFunctions(kind)
	// All of them now: the last is called when nobody looks on any more.
	if missing := missingFunctions(s.Acts, functions); len(missing) > 0 {
		return nil, fmt.Errorf("acts.sh does not define %s", strings.Join(missing, ", "))
	}
	call := &actCall{Kind: kind, Key: name, Probe: functions[0], Do: functions[1], Undo: functions[2], Purge: functions[3], Class: classReversible}
	return &resource{Kind: kindAct, Name: kind + " " + name, Act: call}, nil
}

// parks tells whether an act parks something.
func (r *resource) parks() bool { return r.Act != nil && r.Act.Purge != "" }

// parkName returns a name that nothing else has, on any server. It is made of what any
// kind of thing may be called by, of at most 63 characters, and tells the day.
func (o *operation) parkName() string {
	o.made++
	return strings.Join([]string{"orchestra", o.machine.records.later().Format(parkDay), o.id, strconv.Itoa(o.made)}, "_")
}

const parkDay = "20060102"

// dayOfPark reads the day of such a name, false where it is none.
func dayOfPark(name string) (time.Time, bool) {
	fields := strings.Split(name, "_")
	if len(fields) != 4 || fields[0] != "orchestra" {
		return time.Time{}, false
	}
	day, err := time.Parse(parkDay, fields[1])
	_, notNumber := parseNumber(fields[3])
	return day, err == nil && notNumber == nil
}

// parked records are steps as the plan has them: the acts that parked, and their script.
func (m *machine) parkedPath(names ...string) string {
	return m.path(append([]string{directoryTrash, "parked"}, names...)...)
}

// recordParked records what an operation that is kept has parked, a file for each
// step. The name of the first thing is the file's: so twice is once.
func (o *operation) recordParked() error {
	for _, s := range o.steps {
		acts := s.byKind(namedKind{names: []string{kindAct}}, func(r *resource) bool { return r.parks() && r.changes() })
		if len(acts) == 0 {
			continue
		}
		for _, name := range []string{o.machine.path(directoryTrash), o.machine.parkedPath()} {
			if err := o.machine.disk.MakeDirectory(name, rootOnly); err == nil {
				o.touch(name)
			} else if !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
		line, err := encodeLine(step{Name: s.Name, Acts: s.Acts, Timeout: s.Timeout, Resources: acts})
		if err != nil {
			return err
		}
		name := o.machine.parkedPath(acts[0].Trash)
		err = o.machine.disk.Create(name, line, rootFile)
		if errors.Is(err, fs.ErrExist) { // perhaps torn, by a power cut
			err = o.machine.disk.Overwrite(name, line)
		}
		if err != nil {
			return err
		}
		o.touch(name)
		o.unsynced = append(o.unsynced, name) // and synced before the plan is removed
	}
	return nil
}

// failedPurge is the ending of the file that says why a purge failed the last time.
const failedPurge = ".failed"

// purgeParked destroys what was parked long enough ago. What can't be destroyed now
// is tried again by a later session, and fails nothing. It has a lock of its own: each
// may take as long as its backend allows, and operations must not wait for that.
func (m *machine) purgeParked(ctx context.Context) {
	expired := m.expiredParked()
	if len(expired) == 0 {
		return
	}
	lock, err := m.lock(ctx, m.path(fileParkedLock), false, 0)
	if err != nil {
		return // whoever has it sees to all of them
	}
	defer lock.Unlock() //nolint:errcheck // it ends with this process
	for _, name := range expired {
		m.purgeRecord(ctx, m.parkedPath(name))
	}
}

// expiredParked returns the records of what was parked long enough ago.
func (m *machine) expiredParked() []string {
	names, err := m.disk.List(m.parkedPath())
	if err != nil {
		return nil // mostly since nothing was ever parked
	}
	oldest := m.earlier().Add(-trashRetention).Truncate(24 * time.Hour)
	return slices.DeleteFunc(names, func(name string) bool {
		day, ok := dayOfPark(name)
		return !ok || !day.Before(oldest)
	})
}

func (m *machine) purgeRecord(ctx context.Context, name string) {
	err := m.purgeStep(ctx, name)
	_ = m.disk.Remove(name + failedPurge)
	if err == nil {
		_ = m.disk.Remove(name)
		return
	}
	_ = m.disk.Create(name+failedPurge, []byte(printable(explain(err))+"\n"), rootFile)
}

// explain says what went wrong, and what a child said to it.
func explain(err error) string {
	if p, ok := errors.AsType[*problem](err); ok && p.output != "" {
		return err.Error() + "\n" + p.output
	}
	return err.Error()
}

func (m *machine) purgeStep(ctx context.Context, name string) error {
	data, _, err := m.disk.Read(name, ownLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another session has just done it
	}
	if err != nil {
		return err
	}
	var s *step
	if _, err := decodeLines(data, func(content []byte) error { return json.Unmarshal(content, &s) }); err != nil {
		return err
	}
	if s == nil {
		return fmt.Errorf("%s: the record of what was parked is damaged", path.Base(name))
	}
	o := newOperation(m, "")
	o.steps = []*step{s}
	for _, group := range byFunction(s.Resources, func(a *actCall) string { return a.Purge }) {
		if _, err := o.call(ctx, group[0].Act.Purge, group); err != nil {
			return err
		}
	}
	return nil
}

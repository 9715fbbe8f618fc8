package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"orchestra/pkg/wire"
)

// machine is the server as one session has it.
type machine struct {
	*records
	runner   Runner
	standIns bool
	// progress is told what is being done, for heartbeats.
	progress func(doing string, done, total int)
}

// operation is one operation on this server.
type operation struct {
	machine  *machine
	id       string
	state    wire.State
	history  history
	steps    []*step
	resolver *resolver
	accounts accountFiles      // as they are while declaring
	numbers  map[string]uint32 // of users and groups that are not declared
	registry *registry
	lockWait time.Duration
	unsynced []string          // files that are made and not synced
	dirty    map[string]bool   // directories with changes that are not synced
	trashes  map[string]string // by directory
	staged   bool              // by this session: what is reached is known
	dry      bool              // nothing is to be changed: observe
	drift    bool              // and what was last kept here tells who made a difference
	shown    int               // bytes of differences
	made     int               // temporary names given out
	allKinds []namedKind
	indexed  map[string]*resource // by key, while declaring
}

// step is one backend's part.
type step struct {
	Name      string        `json:"name"`
	Setup     bool          `json:"setup,omitempty"`
	Acts      string        `json:"acts,omitempty"` // script
	Timeout   time.Duration `json:"timeout,omitempty"`
	Checks    []string      `json:"checks,omitempty"`
	Units     []string      `json:"units,omitempty"`
	Refreshed []refreshed   `json:"refreshed,omitempty"`
	Resources []*resource   `json:"resources,omitempty"`

	contents map[string]wire.ContentItem // by reference
	scopes   []scope
	output   capped
	objects  []ObjectRecord
	secrets  []string
	actions  []string
	reloaded []string
	differs  []wire.Difference
}

// plan is what an operation needs to be undone or kept by a later session.
type plan struct {
	LockWait time.Duration `json:"lock_wait,omitempty"`
	Steps    []*step       `json:"steps"`
}

func newOperation(m *machine, id string) *operation {
	return &operation{
		machine: m, id: id, resolver: newResolver(m.disk), registry: newRegistry(m.records),
		dirty: map[string]bool{}, trashes: map[string]string{}, allKinds: kinds(),
		indexed: map[string]*resource{}, numbers: map[string]uint32{},
	}
}

// path names a file in the operation's directory.
func (o *operation) path(name string) string { return o.machine.path(directoryOut, o.id, name) }

// say appends a line to the state log, durably. It needs no space: some is set
// aside since the beginning, and the machine's reserve after that.
func (o *operation) say(line stateLine) error {
	line.Time = o.machine.clock.Now().UTC()
	content, err := encodeLine(line)
	if err != nil {
		return err
	}
	if o.history.torn { // left by a power cut: let the next line be one of its own
		content = append([]byte("\n"), content...)
	}
	name := o.path(fileState)
	err = o.machine.withReserve(func() error { return o.machine.disk.Append(name, content) })
	if err == nil {
		err = o.machine.disk.Sync(name)
	}
	if err != nil {
		o.history.torn = true
		return fmt.Errorf("the state of operation %s: %w", o.id, err)
	}
	o.history.torn = false
	if line.State != wire.StateNone {
		o.state = line.State
	}
	o.history.Units = append(o.history.Units, line.Units...)
	if line.Doing != "" {
		o.history.Doing = append(o.history.Doing, line.Doing)
	}
	return nil
}

// writePlan writes what undo will read. The caller syncs it before anything is made.
func (o *operation) writePlan() error {
	content, err := json.Marshal(plan{LockWait: o.lockWait, Steps: o.steps})
	if err != nil {
		return err
	}
	content = fmt.Appendf(content, "\n%s\n", checksum(content))
	name := o.path(filePlan)
	o.unsynced = append(o.unsynced, name, path.Dir(name))
	return o.machine.disk.Create(name, content, rootFile)
}

// readPlan reads it back; without a plan nothing was made.
func (o *operation) readPlan() error {
	data, _, err := o.machine.disk.Read(o.path(filePlan), ownLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	content, sum, _ := bytes.Cut(data, []byte("\n"))
	if strings.TrimSuffix(string(sum), "\n") != checksum(content) {
		if !o.history.staged {
			return nil // it was never synced, so nothing was made
		}
		return fail(wire.CodeInternal, o.path(filePlan), "the undo records are damaged")
	}
	var p plan
	if err := json.Unmarshal(content, &p); err != nil {
		return fail(wire.CodeInternal, o.path(filePlan), "the undo records can't be read").because(err)
	}
	o.steps, o.lockWait = p.Steps, p.LockWait
	return nil
}

// tempPrefix is what the names of what is staged begin with.
const tempPrefix = ".orchestra."

// tempName returns a name beside near that nobody else has: hidden, and with no
// ending that a daemon would read.
func (o *operation) tempName(near string) string {
	o.made++
	return path.Join(near, fmt.Sprintf("%s%s.%d", tempPrefix, o.id, o.made))
}

// touch notes that a directory's entries have changed.
func (o *operation) touch(names ...string) {
	for _, name := range names {
		o.dirty[path.Dir(name)] = true
	}
}

// flush makes all that was made and changed durable, in one round. A directory
// that is gone needs nothing; the one that held it was changed as well.
func (o *operation) flush() error {
	names := o.unsynced
	for name := range o.dirty {
		if info, err := o.machine.disk.Stat(name); err == nil && info.Type == TypeDirectory {
			names = append(names, name)
		}
	}
	o.unsynced = nil
	clear(o.dirty)
	if len(names) == 0 {
		return nil
	}
	// Nor does one need it that a user has moved away at this very moment.
	for _, err := range flatten(o.machine.disk.Sync(names...)) {
		if !isTaken(err) {
			return err
		}
	}
	return nil
}

// step returns a step by name.
func (o *operation) step(name string) *step {
	i := slices.IndexFunc(o.steps, func(s *step) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return o.steps[i]
}

// named returns steps by their names.
func (o *operation) named(names []string) ([]*step, error) {
	steps := make([]*step, len(names))
	for i, name := range names {
		if steps[i] = o.step(name); steps[i] == nil {
			return nil, fail(wire.CodeOrder, name, "there is no such step")
		}
	}
	return steps, nil
}

// kindOf returns how a resource is handled.
func (o *operation) kindOf(r *resource) namedKind {
	for _, kind := range o.allKinds {
		if slices.Contains(kind.names, r.Kind) {
			return kind
		}
	}
	panic("a resource of unknown kind " + r.Kind) // the plan is checksummed and ours
}

// byKind returns the step's resources of one kind that meet a condition.
func (s *step) byKind(kind namedKind, wanted func(*resource) bool) []*resource {
	var found []*resource
	for _, r := range s.Resources {
		if slices.Contains(kind.names, r.Kind) && wanted(r) {
			found = append(found, r)
		}
	}
	return found
}

// resources returns all resources of all steps.
func (o *operation) resources() []*resource {
	var all []*resource
	for _, s := range o.steps {
		all = append(all, s.Resources...)
	}
	return all
}

// keeper is who keeps the step's resources, for the registry: what a backend's
// setup made is nothing that its objects could leave over.
func (s *step) keeper() string {
	if s.Setup {
		return s.Name + " setup"
	}
	return s.Name
}

// say adds to the step's output.
func (s *step) say(text string) { _, _ = s.output.Write([]byte(text)) }

// report describes what became of the step.
func (s *step) report() wire.StepReport {
	report := wire.StepReport{Name: s.Name, Output: printable(redact(s.output.String(), s.secrets)), Actions: s.actions, Reloaded: s.reloaded, Differences: s.differs}
	for _, r := range s.Resources {
		if r.changes() {
			report.Changed++
			report.Kinds = r.count(report.Kinds)
			report.Pivot = report.Pivot || r.Kind == kindAct && r.Act.Class == classPivot
		}
	}
	// What was said is told once, not again with every word.
	s.output, s.actions, s.reloaded, s.differs = capped{}, nil, nil, nil
	return report
}

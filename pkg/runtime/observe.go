package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"orchestra/pkg/wire"
)

// observe compares what steps declare with what is there. It changes nothing,
// and asks for no lock.
func (s *session) observe(ctx context.Context, word wire.Observe) error {
	started := s.machine.clock.Now()
	o := newOperation(s.machine, "")
	o.dry = true
	err := o.observe(ctx, word)
	return s.answer(wire.WordObserved, "observe", o, started, err)
}

func (o *operation) observe(ctx context.Context, word wire.Observe) error {
	for _, step := range word.Steps {
		if err := o.declare(ctx, step); err != nil {
			return inStep(step.Name, err)
		}
	}
	if err := o.checkTogether(); err != nil {
		return err
	}
	for _, s := range o.steps {
		if err := o.compare(s, word.Drift); err != nil {
			return inStep(s.Name, err)
		}
		if word.Leftovers {
			if err := o.leftovers(s); err != nil {
				return inStep(s.Name, err)
			}
		}
		if s.changes() {
			for _, unit := range s.Units {
				s.actions = append(s.actions, "reload "+unit)
			}
		}
	}
	return nil
}

// compare notes the differences of a step. With drift they are told apart by
// what was last kept here.
func (o *operation) compare(s *step, drift bool) error {
	for _, r := range s.Resources {
		if !r.changes() {
			continue
		}
		k := o.kindOf(r)
		difference := wire.Difference{Kind: r.Kind, Resource: printable(r.title()), Object: r.Object}
		switch {
		case r.Before == nil:
			difference.Reason = "missing"
		case r.After == nil, r.parks():
			difference.Reason = "left-over"
		default:
			difference.Reason = "changed"
		}
		if r.parks() {
			difference.Kind = kindPark
		}
		entry, known, err := o.registry.find(r.key())
		if err != nil {
			return err
		}
		r.Secret = r.Secret || entry.Secret
		r.hidden = !known && r.looksSecret()
		if drift && r.Before != nil {
			switch {
			case known && entry.Digest == k.digest(r, r.Before):
				difference.Reason = "stale"
			case known:
				difference.Reason = "hand-edited"
			}
		}
		difference.Before, difference.After = o.show(k, r, r.Before), o.show(k, r, r.After)
		s.differs = append(s.differs, difference)
	}
	return nil
}

// looksSecret tells whether what is there now must not be shown although nobody
// says so: what only its owner may read, and entries where passwords may be.
func (r *resource) looksSecret() bool {
	switch {
	case r.Before == nil:
		return false
	case r.Kind == kindFile:
		return r.Before.Mode&0o044 == 0
	}
	return r.Format == formatColon || r.Format == formatMap
}

// title names a resource to people.
func (r *resource) title() string {
	if r.Format != "" {
		return r.where + ": " + r.Name
	}
	return r.Name
}

// show describes one side of a difference; a secret is only named.
func (o *operation) show(k kind, r *resource, s *state) string {
	if s == nil {
		return ""
	}
	if r.Secret || r.hidden && s == r.Before {
		return "secret"
	}
	text := printable(k.show(r, s))
	if o.shown += len(text); o.shown > showAll {
		return "(too much to be shown)"
	}
	return text
}

// showAll is how many bytes the differences of one answer may show: a frame
// holds no more than wire.MaxPayload, and JSON makes texts longer.
const showAll = 8 << 20

// Kinds of scopes, beside those of resources: what may be ours and is to be
// found without being declared.
var scopeKinds = []string{kindFile, kindDirectory, kindLink, kindEntry, kindUser, kindGroup, kindMember}

func checkScope(s scope) error {
	switch {
	case !slices.Contains(scopeKinds, s.kind):
		return fmt.Errorf("%q can't be owned", printable(s.kind))
	case s.kind == kindUser || s.kind == kindGroup:
		_, _, err := idRange(s.value)
		return err
	case s.kind == kindMember:
		if !validAccount(s.value) {
			return fmt.Errorf("%q is no group", printable(s.value))
		}
		return nil
	}
	return checkPath(s.value)
}

func idRange(text string) (first, last uint32, err error) {
	from, to, ok := strings.Cut(text, "-")
	low, err := strconv.ParseUint(from, 10, 32)
	high, err2 := strconv.ParseUint(to, 10, 32)
	if !ok || errors.Join(err, err2) != nil || low > high {
		return 0, 0, fmt.Errorf("%q is no range of ids such as 70000-99999", printable(text))
	}
	return uint32(low), uint32(high), nil
}

// leftovers notes what is ours within the step's scopes, and not declared.
func (o *operation) leftovers(s *step) error {
	for _, scope := range s.scopes {
		var found []wire.Difference
		var err error
		switch scope.kind {
		case kindUser, kindGroup:
			found, err = o.leftoverIDs(scope)
		case kindMember:
			found, err = o.leftoverMembers(scope)
		default:
			found, err = o.leftoverPaths(scope)
		}
		if err != nil {
			return err
		}
		s.differs = append(s.differs, found...)
	}
	return nil
}

// wanted tells whether a resource is declared to be there.
func (o *operation) wanted(key string) bool {
	r := o.indexed[key]
	return r != nil && r.After != nil
}

// leftoverPaths finds what the registry says we put below a directory, or into a file.
func (o *operation) leftoverPaths(scope scope) ([]wire.Difference, error) {
	place, err := o.resolver.resolve(scope.value)
	if err != nil {
		return nil, err
	}
	entries, err := o.registry.all()
	if err != nil {
		return nil, err
	}
	var found []wire.Difference
	for _, entry := range entries {
		fields := strings.Split(entry.Key, "\x00")
		if fields[0] != scope.kind || len(fields) < 2 || o.wanted(entry.Key) {
			continue
		}
		if fields[1] != place.Path && !strings.HasPrefix(fields[1], place.Path+"/") {
			continue
		}
		there, title, err := o.isThere(fields)
		if err != nil {
			return nil, err
		}
		if there {
			found = append(found, wire.Difference{Kind: scope.kind, Resource: printable(title), Reason: "left-over", Object: entry.Object})
		}
	}
	return found, nil
}

// isThere tells whether what the registry knows is still there.
func (o *operation) isThere(fields []string) (there bool, title string, err error) {
	if fields[0] != kindEntry {
		_, err := o.machine.disk.Stat(fields[1])
		if errors.Is(err, fs.ErrNotExist) {
			return false, fields[1], nil
		}
		return err == nil, fields[1], err
	}
	if len(fields) == 3 {
		found, _, err := o.machine.disk.ReadMap(fields[1], fields[2:])
		if err == nil {
			return len(found) > 0, path.Base(fields[1]) + ": " + fields[2], nil
		}
	}
	data, _, err := o.machine.disk.Read(fields[1], ownLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return false, "", nil
	}
	if err != nil || len(fields) < 3 {
		return false, "", err
	}
	for _, format := range []string{formatLines, formatColon} {
		found, err := findEntries(data, []*resource{{Name: fields[2], Format: format}})
		if err == nil && len(found) > 0 {
			return true, path.Base(fields[1]) + ": " + fields[2], nil
		}
	}
	return false, "", nil
}

// leftoverIDs finds users or groups in our range of ids.
func (o *operation) leftoverIDs(scope scope) ([]wire.Difference, error) {
	first, last, err := idRange(scope.value)
	if err != nil {
		return nil, err
	}
	names, err := readAccountNames(o.machine.disk)
	if err != nil {
		return nil, err
	}
	list := names.users
	if scope.kind == kindGroup {
		list = names.groups
	}
	var found []wire.Difference
	for name, id := range list {
		if id < first || id > last || o.wanted(scope.kind+"\x00"+name) {
			continue
		}
		if r := o.indexed[scope.kind+"\x00"+name]; r != nil {
			continue // declared to go: a difference of its own
		}
		found = append(found, wire.Difference{Kind: scope.kind, Resource: printable(name), Reason: "left-over", Before: fmt.Sprintf("id %d", id)})
	}
	slices.SortFunc(found, func(a, b wire.Difference) int { return strings.Compare(a.Resource, b.Resource) })
	return found, nil
}

// leftoverMembers finds members of a group of ours that are not declared.
func (o *operation) leftoverMembers(scope scope) ([]wire.Difference, error) {
	data, _, err := o.machine.disk.Read(pathGroup, ownLimit)
	if err != nil {
		return nil, err
	}
	lines, err := lookUpLines(data, map[string]bool{scope.value: true})
	if err != nil || lines[scope.value] == "" {
		return nil, err
	}
	line, err := parseGroupLine(lines[scope.value])
	if err != nil {
		return nil, err
	}
	var found []wire.Difference
	for _, member := range line.members {
		name := scope.value + " " + member
		if o.indexed[kindMember+"\x00"+name] == nil {
			found = append(found, wire.Difference{Kind: kindMember, Resource: printable(name), Reason: "left-over"})
		}
	}
	return found, nil
}

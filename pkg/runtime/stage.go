package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"orchestra/pkg/wire"
)

// stage makes everything ready beside the live files.
func (s *session) stage(ctx context.Context, word wire.Stage) error {
	started := s.machine.clock.Now()
	o, err := s.begin(ctx, word)
	if o != nil {
		s.operation, s.failed = o, false
	} else {
		s.refused[word.Operation] = true
	}
	if err == nil {
		err = o.stage(ctx, word)
	}
	return s.answer(wire.WordStaged, "stage", o, started, err)
}

// begin makes the operation's directory, unless the operation is known already
// or comes from a panel that this server does not follow.
func (s *session) begin(ctx context.Context, word wire.Stage) (*operation, error) {
	m := s.machine
	if o := s.operation; o != nil && o.state != wire.StateKept && o.state != wire.StateUndone {
		return nil, fail(wire.CodeOrder, "", "operation %s has not ended in this session", o.id)
	}
	if err := checkOperation(word.Operation); err != nil {
		return nil, err
	}
	if err := checkCounters(word.Counters); err != nil {
		return nil, err
	}
	last, err := m.checkPanel(word.PanelID)
	if err != nil {
		return nil, during("adopt", err)
	}
	if err := m.prepare(); err != nil {
		return nil, err
	}
	if err := m.ensureReserve(); err != nil {
		return nil, err
	}
	if err := s.cleanUp(ctx); errors.Is(err, ErrDead) {
		return nil, err
	}
	self := m.runner.Self()
	known := fail(wire.CodeExists, "", "operation %s is known here already", word.Operation)
	if _, err := m.tombstone(word.Operation); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(known, err)
	}
	unsynced, err := m.begin(word.Operation, stateLine{
		State: wire.StateStaging, Operation: word.Operation, PanelID: word.PanelID, Sequence: word.Sequence, Runner: &self,
	})
	if errors.Is(err, fs.ErrExist) {
		return nil, known
	}
	if err != nil {
		return nil, fail(wire.CodeInternal, m.path(directoryOut), "the operation can't be recorded").because(err)
	}
	// A recovery may have ended it between the look at the tombstones and here.
	if _, err := m.tombstone(word.Operation); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(known, err, m.removeAll(m.path(directoryOut, word.Operation)))
	}
	o := newOperation(m, word.Operation)
	o.state, o.lockWait, o.unsynced, o.staged = wire.StateStaging, word.LockWait, unsynced, true
	// Two operations of one panel may arrive in either order: the larger number stays.
	unsynced, err = m.setPanel(panelLine{PanelID: word.PanelID, Sequence: max(last.Sequence, word.Sequence)})
	o.unsynced = append(o.unsynced, unsynced...)
	if err == nil {
		unsynced, err = m.keepCounters(ctx, word.Counters)
		o.unsynced = append(o.unsynced, unsynced...)
	}
	return o, err
}

func (o *operation) stage(ctx context.Context, word wire.Stage) error {
	for _, step := range word.Steps {
		if err := o.declare(ctx, step); err != nil {
			return inStep(step.Name, err)
		}
	}
	if err := o.checkTogether(); err != nil {
		return err
	}
	// What will be made is recorded before it is made, and whom we follow.
	if err := o.each(func(k namedKind, s *step, changing []*resource) error { return k.plan(o, changing) }); err != nil {
		return err
	}
	err := o.writePlan()
	if err == nil {
		err = o.flush()
	}
	if err != nil {
		return fail(wire.CodeInternal, o.path(filePlan), "the operation can't be recorded").because(err)
	}
	if err := o.each(func(k namedKind, s *step, changing []*resource) error { return k.stage(ctx, o, changing) }); err != nil {
		return err
	}
	if err := o.flush(); err != nil {
		return fail(wire.CodeInternal, "", "what was staged can't be made durable").because(err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return o.say(stateLine{State: wire.StateStaged})
}

// each calls f with the changing resources of each step and kind, in order.
func (o *operation) each(f func(k namedKind, s *step, changing []*resource) error) error {
	for _, s := range o.steps {
		for _, k := range o.allKinds {
			if changing := s.byKind(k, (*resource).changes); len(changing) > 0 {
				if err := f(k, s, changing); err != nil {
					return inStep(s.Name, err)
				}
			}
		}
	}
	return nil
}

// declare runs the declaring part of a step and looks at what it declares.
func (o *operation) declare(ctx context.Context, word wire.Step) error {
	s, err := newStep(word)
	if err != nil {
		return err
	}
	if o.step(s.Name) != nil {
		return fail(wire.CodeDeclared, "", "there are two steps of that name")
	}
	o.steps = append(o.steps, s)
	result, err := o.run(ctx, s, Child{Kind: ChildDeclare, Script: word.Script.Declare, Input: []byte(word.Objects), Timeout: s.Timeout})
	if err != nil {
		return err
	}
	declarations, err := parseDeclarations(result.Answer)
	if err != nil {
		return fail(wire.CodeDeclared, "declare.sh", "what it prints can't be understood").because(err)
	}
	for _, d := range declarations {
		if err := o.take(s, d); err != nil {
			var known *problem
			if errors.As(err, &known) {
				return known
			}
			return fail(wire.CodeDeclared, "", "%s", declared(d)).because(err)
		}
	}
	s.Resources = s.kept()
	for _, k := range o.allKinds {
		resources := s.byKind(k, func(*resource) bool { return true })
		if len(resources) == 0 {
			continue
		}
		o.machine.progress(s.Name+": looking at "+k.names[0]+"s", 0, len(resources))
		more, err := o.look(ctx, s, k, resources)
		if err != nil {
			return err
		}
		s.Resources = append(s.Resources, more...)
	}
	return nil
}

func newStep(word wire.Step) (*step, error) {
	s := &step{Name: word.Name, Setup: word.Setup, Acts: word.Script.Acts, Timeout: word.Timeout}
	if s.Timeout <= 0 {
		s.Timeout = DefaultTimeout
	}
	if word.Name == "" || len(word.Name) > 100 || printable(word.Name) != word.Name {
		return nil, fail(wire.CodeDeclared, "", "a step without a name")
	}
	var err error
	if s.objects, err = DecodeObjects(word.Objects); err != nil {
		return nil, fail(wire.CodeDeclared, "", "the objects can't be understood").because(err)
	}
	return s, s.takeContents(word.Contents)
}

// declared describes a declaration to the author of a backend.
func declared(d declaration) string {
	text := d.Verb
	for _, argument := range d.Arguments {
		text += " " + printable(argument)
	}
	if len(text) > 300 {
		text = text[:300] + " …"
	}
	return text
}

// take takes one declaration in.
func (o *operation) take(s *step, d declaration) error {
	switch d.Verb {
	case "check", "reload", "need":
		if len(d.Arguments) != 1 {
			return errArguments
		}
		return o.takePlain(s, d.Verb, d.Arguments[0])
	case "refresh":
		object := ""
		if d.Object > 0 && d.Object <= len(s.objects) {
			object = s.objects[d.Object-1].label()
		}
		one, err := newRefreshed(d.Arguments, object)
		s.Refreshed = append(s.Refreshed, one)
		return err
	case "own":
		own, err := parseScope(d.Arguments)
		s.scopes = append(s.scopes, own)
		return err
	}
	for _, k := range o.allKinds {
		if !slices.Contains(k.verbs, d.Verb) {
			continue
		}
		r, err := k.declare(s, d)
		if err != nil {
			return err
		}
		r.Step = s.Name
		if d.Object > len(s.objects) {
			return fmt.Errorf("object %d of %d", d.Object, len(s.objects))
		}
		if d.Object > 0 {
			r.Object = s.objects[d.Object-1].label()
		}
		if err := o.locate(r); err != nil {
			return err
		}
		return o.index(s, r)
	}
	return fmt.Errorf("there is no verb %q", printable(d.Verb))
}

func (o *operation) takePlain(s *step, verb, argument string) error {
	switch verb {
	case "check":
		if !isName(argument) {
			return fmt.Errorf("%q can't be the name of a function", printable(argument))
		}
		if !slices.Contains(s.Checks, argument) {
			s.Checks = append(s.Checks, argument)
		}
	case "reload":
		if !isUnit(argument) {
			return fmt.Errorf("%q can't be the name of a unit", printable(argument))
		}
		if !slices.Contains(s.Units, argument) {
			s.Units = append(s.Units, argument)
		}
	case "need":
		if argument == "" || strings.ContainsAny(argument, "/\n ") || argument[0] == '-' {
			return fmt.Errorf("%q can't be the name of a program", printable(argument))
		}
		if !o.machine.runner.Find(argument) {
			return fail(wire.CodeMissing, argument, "the program is not installed here")
		}
	}
	return nil
}

// isUnit tells whether text may name a unit of systemd: a service's ending may be left out.
func isUnit(text string) bool {
	if text == "" || len(text) > 200 || text[0] == '-' || text[0] == '.' {
		return false
	}
	return strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@:_.\\-") == ""
}

// index enters a resource, once: what two objects declare alike is one
// resource, and what one of them wants is not removed for another.
func (o *operation) index(s *step, r *resource) error {
	r.wanted = wishOf(r)
	if o.removedOtherwise(r) {
		return nil
	}
	known := o.indexed[r.key()]
	switch {
	case known == nil:
	case known.wanted == r.wanted:
		known.new = known.new || r.new
		known.Secret = known.Secret || r.Secret
		return nil
	case r.After == nil:
		return nil
	case known.After == nil:
		known.dropped = true
	default:
		return fmt.Errorf("%s %s is declared twice, for %s and for %s, and not alike", r.Kind, printable(r.Name), known.Object, r.Object)
	}
	o.indexed[r.key()] = r
	s.Resources = append(s.Resources, r)
	return nil
}

// removedOtherwise tells whether what r takes away is taken away already by a
// resource of another kind: two backends may each see that a file goes, one by
// absent and one by park.
func (o *operation) removedOtherwise(r *resource) bool {
	if r.After != nil {
		return false
	}
	other := *r
	switch r.Kind {
	case kindFile:
		other.Kind = kindPark
	case kindPark:
		other.Kind = kindFile
	default:
		return false
	}
	known := o.indexed[other.key()]
	return known != nil && known.After == nil
}

// kept returns the step's resources without those that another one replaced.
func (s *step) kept() []*resource {
	var all []*resource
	for _, r := range s.Resources {
		if !r.dropped {
			all = append(all, r)
		}
	}
	return all
}

// checkTogether refuses what can't be at the same time: something that is parked, or
// in what is parked, and declared.
func (o *operation) checkTogether() error {
	parked := map[string]bool{}
	for _, r := range o.resources() {
		if r.Kind == kindPark && r.Before != nil {
			parked[r.Place.Path] = true
		}
	}
	if len(parked) == 0 {
		return nil
	}
	for _, r := range o.resources() {
		if r.After == nil || r.Place.Path == "" {
			continue
		}
		for name := r.Place.Path; name != "/"; name = path.Dir(name) {
			if parked[name] {
				return fail(wire.CodeDeclared, r.Name, "it is declared, and %s is to be parked", name)
			}
		}
	}
	return nil
}

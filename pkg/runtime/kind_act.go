package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"orchestra/pkg/wire"
)

// actKind brings about what is no file, by functions of acts.sh that run as
// root: `act KIND KEY PROBE DO UNDO reversible|pivot|later [CONTENT]`. All keys
// of one kind go to one child, as arguments; the probe answers for each key with
// `state KEY NOW WANTED`. `park KIND NAME` is such an act, too.
type actKind struct{}

// actCall is how an act is done.
type actCall struct {
	Kind  string `json:"kind"` // quota, mount …
	Key   string `json:"key"`
	Probe string `json:"probe"`
	Do    string `json:"do"`
	Undo  string `json:"undo,omitempty"`
	Purge string `json:"purge,omitempty"` // of an act that parks
	Class string `json:"class"`
	// Content is given to the act on a descriptor.
	Content []byte `json:"content,omitempty"`
}

// The classes of acts.
const (
	classReversible = "reversible"
	classPivot      = "pivot"
	classLater      = "later"
)

func (actKind) declare(s *step, d declaration) (*resource, error) {
	if d.Verb == "park-kind" {
		return declarePark(s, d)
	}
	if len(d.Arguments) < 6 || len(d.Arguments) > 7 {
		return nil, errArguments
	}
	a := d.Arguments
	call := &actCall{Kind: a[0], Key: a[1], Probe: a[2], Do: a[3], Undo: a[4], Class: a[5]}
	switch {
	case !isName(call.Kind):
		return nil, fmt.Errorf("%q can't be the kind of an act", printable(call.Kind))
	case !validActKey(call.Key):
		return nil, fmt.Errorf("%q can't be the key of an act", printable(call.Key))
	case !isName(call.Probe) || !isName(call.Do):
		return nil, errors.New("an act needs a function to probe and one to do")
	case call.Class == classReversible && !isName(call.Undo):
		return nil, errors.New("a reversible act needs a function that undoes it")
	case !slices.Contains([]string{classReversible, classPivot, classLater}, call.Class):
		return nil, fmt.Errorf("%q is no class of acts", printable(call.Class))
	}
	r := &resource{Kind: kindAct, Name: call.Kind + " " + call.Key, Act: call, After: &state{}}
	if len(a) == 7 && a[6] != "" {
		content, secret, err := s.contentOf(a[6])
		if err != nil {
			return nil, err
		}
		if bytes.IndexByte(content, 0) >= 0 {
			return nil, errors.New("the content of an act can't hold a NUL")
		}
		call.Content, r.Secret = content, secret
	}
	return r, nil
}

// validActKey tells whether text may be a key: it is an argument of a function.
func validActKey(text string) bool {
	return text != "" && len(text) <= 4000 && text[0] != '-'
}

// isName tells whether text may name a function of acts.sh or a kind of acts.
func isName(text string) bool {
	if text == "" || len(text) > 64 || text[0] < 'a' || text[0] > 'z' {
		return false
	}
	return strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// mostKeys is how many keys one call of a function is given at most.
const mostKeys = 2000

// byFunction groups acts that can go to one child, at most so many at once as
// the arguments of a process can hold.
func byFunction(resources []*resource, function func(*actCall) string) [][]*resource {
	const most, mostBytes = mostKeys, 256 << 10
	type group struct {
		resources []*resource
		bytes     int
	}
	var order []*group
	open := map[string]*group{}
	for _, r := range resources {
		name := r.Step + "\x00" + r.Act.Kind + "\x00" + function(r.Act)
		g := open[name]
		if g == nil || len(g.resources) == most || g.bytes+len(r.Act.Key) > mostBytes {
			g = &group{}
			open[name], order = g, append(order, g)
		}
		g.resources, g.bytes = append(g.resources, r), g.bytes+len(r.Act.Key)
	}
	groups := make([][]*resource, len(order))
	for i, g := range order {
		groups[i] = g.resources
	}
	return groups
}

// call runs one function of acts.sh for the keys of resources.
func (o *operation) call(ctx context.Context, function string, resources []*resource) ([]byte, error) {
	s := o.step(resources[0].Step)
	child := Child{Kind: ChildAct, Script: s.Acts, Function: function, Timeout: s.Timeout}
	var input bytes.Buffer
	for _, r := range resources {
		child.Arguments = append(child.Arguments, r.Act.Key)
		input.WriteString(r.Act.Key)
		input.WriteByte(0)
		if r.Before != nil {
			input.WriteString(r.Before.Text)
		}
		input.WriteByte(0)
		input.Write(r.Act.Content)
		input.WriteByte(0)
		input.WriteString(r.Trash)
		input.WriteByte(0)
	}
	child.Input = input.Bytes()
	result, err := o.run(ctx, s, child)
	return result.Answer, err
}

// run runs a child for a step and keeps what it says.
func (o *operation) run(ctx context.Context, s *step, child Child) (Result, error) {
	what := child.Function
	if what == "" && len(child.Arguments) > 0 {
		what = strings.Join(child.Arguments, " ")
	}
	o.machine.progress(s.Name+": "+what, 0, 0)
	child.Secrets = s.secrets
	result, err := o.machine.runner.Run(ctx, child)
	s.say(result.Output)
	if err != nil {
		return result, fail(wire.CodeChild, what, "it can't be started").because(err)
	}
	output := printable(redact(result.Output, s.secrets))
	if result.TimedOut {
		p := fail(wire.CodeChild, what, "it did not end within %v and was killed", child.Timeout)
		p.timeout, p.output = true, output
		return result, p
	}
	if err := ctx.Err(); err != nil {
		return result, err
	}
	if result.ExitCode != 0 {
		p := fail(wire.CodeChild, what, "it failed with exit code %d", result.ExitCode)
		p.output = output
		return result, p
	}
	return result, nil
}

// probe asks for the state of acts: what is, and what should be.
func (o *operation) probe(ctx context.Context, resources []*resource) (now, wanted map[*resource]string, err error) {
	now, wanted = map[*resource]string{}, map[*resource]string{}
	for _, group := range byFunction(resources, func(a *actCall) string { return a.Probe }) {
		answer, err := o.call(ctx, group[0].Act.Probe, group)
		if err != nil {
			return nil, nil, err
		}
		fields := strings.Split(string(answer), "\x00")
		if len(fields)%3 != 1 || fields[len(fields)-1] != "" {
			return nil, nil, fail(wire.CodeDeclared, group[0].Act.Probe, "its answer is cut off")
		}
		for ; len(fields) > 3; fields = fields[3:] {
			i := slices.IndexFunc(group, func(r *resource) bool { return r.Act.Key == fields[0] })
			if i < 0 {
				return nil, nil, fail(wire.CodeDeclared, group[0].Act.Probe, "it answers for %q, which it was not asked about", printable(fields[0]))
			}
			now[group[i]], wanted[group[i]] = fields[1], fields[2]
		}
		for _, r := range group {
			if _, ok := now[r]; !ok {
				return nil, nil, fail(wire.CodeDeclared, group[0].Act.Probe, "it does not answer for %q", printable(r.Act.Key))
			}
		}
	}
	return now, wanted, nil
}

// observe asks for the state of acts. Later acts are asked about when they are
// due, since what they are about may come up until then; a dry run shows them.
func (actKind) observe(ctx context.Context, o *operation, resources []*resource) ([]*resource, error) {
	if !o.dry {
		for _, r := range ofClass(resources, classLater) {
			r.After = nil
		}
		resources = append(ofClass(resources, classReversible), ofClass(resources, classPivot)...)
	}
	now, wanted, err := o.probe(ctx, resources)
	if err != nil {
		return nil, err
	}
	pivots := 0
	for _, r := range resources {
		r.Before, r.After = &state{Text: now[r]}, &state{Text: wanted[r]}
		if r.Act.Class == classPivot && r.changes() {
			pivots++
		}
	}
	if pivots > 1 {
		return nil, fail(wire.CodeDeclared, "", "an operation can have one pivot, not %d", pivots)
	}
	return nil, nil
}

// plan names what is parked.
func (actKind) plan(o *operation, resources []*resource) error {
	for _, r := range resources {
		if r.parks() {
			r.Trash = o.parkName()
		}
	}
	return nil
}

func (actKind) stage(context.Context, *operation, []*resource) error { return nil }

func ofClass(resources []*resource, class string) []*resource {
	var found []*resource
	for _, r := range resources {
		if r.Act.Class == class {
			found = append(found, r)
		}
	}
	return found
}

func (actKind) publish(ctx context.Context, o *operation, resources []*resource) error {
	return o.do(ctx, ofClass(resources, classReversible), true)
}

// do does acts and proves that they are done.
func (o *operation) do(ctx context.Context, resources []*resource, asSeen bool) error {
	if len(resources) == 0 {
		return nil
	}
	now, wanted, err := o.probe(ctx, resources)
	if err != nil {
		return err
	}
	var due []*resource
	for _, r := range resources {
		if now[r] == wanted[r] {
			continue
		}
		if asSeen && now[r] != r.Before.Text {
			return changed(r, fmt.Sprintf("it is %q, it was %q", printable(now[r]), printable(r.Before.Text)))
		}
		due = append(due, r)
	}
	for _, group := range byFunction(due, func(a *actCall) string { return a.Do }) {
		reached(group, true)
		// Recorded before it begins: what an act leaves when it is killed in the
		// middle is then known to be of our making.
		if err := o.say(stateLine{Doing: doing(group[0])}); err != nil {
			return err
		}
		if _, err := o.call(ctx, group[0].Act.Do, group); err != nil {
			return err
		}
		s := o.step(group[0].Step)
		s.actions = append(s.actions, fmt.Sprintf("%s (%d)", group[0].Act.Do, len(group)))
	}
	if len(due) == 0 {
		return nil
	}
	if now, wanted, err = o.probe(ctx, due); err != nil {
		return err
	}
	for _, r := range due {
		if now[r] != wanted[r] {
			return fail(wire.CodeChild, r.Act.Do, "it ended well, yet %s is %q instead of %q", r.Name, printable(now[r]), printable(wanted[r]))
		}
	}
	return nil
}

func doing(r *resource) string { return r.Step + " " + r.Act.Kind }

func (actKind) undo(ctx context.Context, o *operation, resources []*resource) []error {
	reversible := ofClass(resources, classReversible)
	var failed []error
	for _, r := range ofClass(resources, classPivot) {
		if slices.Contains(o.history.Doing, doing(r)) {
			failed = append(failed, o.pivotLeft(ctx, r)...)
		}
	}
	if len(reversible) == 0 {
		return failed
	}
	now, _, err := o.probe(ctx, reversible)
	if err != nil {
		return append(failed, err)
	}
	var due []*resource
	for _, r := range slices.Backward(reversible) {
		begun := slices.Contains(o.history.Doing, doing(r))
		switch {
		case now[r] == r.Before.Text:
		case now[r] == r.After.Text || begun:
			due = append(due, r)
		default:
			failed = append(failed, changed(r, fmt.Sprintf("it is %q, neither %q nor %q", printable(now[r]), printable(r.Before.Text), printable(r.After.Text))))
		}
	}
	for _, group := range byFunction(due, func(a *actCall) string { return a.Undo }) {
		if _, err := o.call(ctx, group[0].Act.Undo, group); err != nil {
			failed = append(failed, err)
		}
	}
	if len(due) == 0 {
		return failed
	}
	now, _, err = o.probe(ctx, due)
	if err != nil {
		return append(failed, err)
	}
	for _, r := range due {
		if now[r] != r.Before.Text {
			failed = append(failed, fail(wire.CodeChild, r.Act.Undo, "%s is %q instead of %q", r.Name, printable(now[r]), printable(r.Before.Text)))
		}
	}
	return failed
}

// pivotLeft names a pivot that was begun: there is no way back from it.
func (o *operation) pivotLeft(ctx context.Context, r *resource) []error {
	now, _, err := o.probe(ctx, []*resource{r})
	if err == nil && now[r] == r.Before.Text {
		return nil
	}
	return []error{&pivotError{resource: r.Name, cause: err}}
}

// pivotError says that a pivot was done: it stays, and does not keep the
// operation from ending.
type pivotError struct {
	resource string
	cause    error
}

// Error implements error.
func (e *pivotError) Error() string { return e.resource + ": it has no way back" }

// Unwrap returns why its state is not known, if it is not.
func (e *pivotError) Unwrap() error { return e.cause }

func (actKind) sweep(*operation, []*resource) error { return nil }

func (actKind) digest(_ *resource, s *state) string { return digestOf(s.Text) }

func (actKind) show(_ *resource, s *state) string { return printable(s.Text) }

package runtime

import (
	"context"
	"slices"
	"strings"

	"orchestra/pkg/wire"
)

// publish makes steps live, one after the other.
func (s *session) publish(ctx context.Context, word wire.Publish) error {
	started := s.machine.clock.Now()
	o, err := s.current(word.Operation, wire.StateStaged, wire.StatePublishing)
	if err == nil {
		err = s.publishSteps(ctx, o, word.Steps)
	}
	return s.answer(wire.WordPublished, "publish", o, started, err)
}

func (s *session) publishSteps(ctx context.Context, o *operation, names []string) error {
	steps, err := o.named(names)
	if err != nil {
		return err
	}
	if o.state == wire.StateStaged {
		if err := s.takeLock(ctx, o.lockWait); err != nil {
			return during("lock", err)
		}
		if err := o.say(stateLine{State: wire.StatePublishing}); err != nil {
			return err
		}
	}
	for _, step := range steps {
		if err := o.publish(ctx, step); err != nil {
			return inStep(step.Name, err)
		}
	}
	return nil
}

func (o *operation) publish(ctx context.Context, s *step) error {
	for _, k := range o.allKinds {
		if changing := s.byKind(k, (*resource).changes); len(changing) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := k.publish(ctx, o, changing); err != nil {
				return err
			}
		}
	}
	if err := o.flush(); err != nil {
		return fail(wire.CodeInternal, "", "what was published can't be made durable").because(err)
	}
	if !s.changes() {
		return nil
	}
	for _, function := range s.Checks {
		if _, err := o.run(ctx, s, Child{Kind: ChildCheck, Script: s.Acts, Function: function, Timeout: s.Timeout}); err != nil {
			return during("check", err)
		}
		s.actions = append(s.actions, "checked by "+function)
	}
	return nil
}

func (s *step) changes() bool { return slices.ContainsFunc(s.Resources, (*resource).changes) }

// units returns the units of steps that change something, each once: but for those
// that were told before, for steps of an earlier wave. What these steps publish was
// live by then.
func (o *operation) units(steps []*step) []string {
	var units []string
	for _, s := range steps {
		if s.changes() {
			for _, unit := range s.Units {
				if !slices.Contains(units, unit) && !slices.Contains(o.history.Units, unit) {
					units = append(units, unit)
				}
			}
		}
	}
	return units
}

// reload tells the daemons. From here on the server decides nothing alone.
func (s *session) reload(ctx context.Context, word wire.Reload) error {
	started := s.machine.clock.Now()
	o, err := s.current(word.Operation, wire.StatePublishing, wire.StateActivating)
	if err == nil {
		err = o.reloadSteps(ctx, word.Steps)
	}
	return s.answer(wire.WordActive, "reload", o, started, err)
}

func (o *operation) reloadSteps(ctx context.Context, names []string) error {
	steps := o.steps
	if len(names) > 0 {
		var err error
		if steps, err = o.named(names); err != nil {
			return err
		}
	}
	units := o.units(steps)
	if err := o.say(stateLine{State: wire.StateActivating, Units: units}); err != nil {
		return err
	}
	for _, unit := range units {
		if err := o.reload(ctx, unit, false); err != nil {
			return err
		}
	}
	for _, step := range steps {
		if err := o.refresh(ctx, step, false); err != nil {
			return inStep(step.Name, err)
		}
	}
	return nil
}

// reload tells one daemon. It never starts one that was stopped, except when
// going back: then it ran before, and it is our doing that it does not.
func (o *operation) reload(ctx context.Context, unit string, back bool) error {
	owner := o.steps[0]
	for _, s := range o.steps {
		if slices.Contains(s.Units, unit) {
			owner = s
			break
		}
	}
	if o.machine.standIns {
		owner.reloaded = append(owner.reloaded, unit)
		owner.actions = append(owner.actions, "stand-in: reload of "+unit+" announced, not done")
		return nil
	}
	systemctl := func(verb ...string) (Result, error) {
		arguments := append(append([]string{"systemctl"}, verb...), "--", unit)
		return o.run(ctx, owner, Child{Kind: ChildProgram, Arguments: arguments, Timeout: owner.Timeout})
	}
	if back {
		if _, err := systemctl("reload-or-restart"); err != nil {
			return err
		}
		owner.actions, owner.reloaded = append(owner.actions, "reloaded "+unit), append(owner.reloaded, unit)
		return nil
	}
	if _, err := systemctl("reload"); err != nil {
		// It may be stopped, or know no reload.
		if state, activeErr := systemctl("is-active"); activeErr != nil {
			return fail(wire.CodeChild, unit, "it is %s: a daemon that is stopped is not started by a reload", oneLine(state.Output)).because(err)
		}
		if can, _ := systemctl("show", "--property=CanReload", "--value"); strings.TrimSpace(can.Output) != "no" {
			return err
		}
		if _, err := systemctl("try-restart"); err != nil {
			return err
		}
	}
	if state, err := systemctl("is-active"); err != nil {
		return fail(wire.CodeChild, unit, "after the reload it is %s", oneLine(state.Output)).because(err)
	}
	owner.actions, owner.reloaded = append(owner.actions, "reloaded "+unit), append(owner.reloaded, unit)
	return nil
}

func oneLine(text string) string {
	text = strings.TrimSpace(printable(text))
	if line, _, more := strings.Cut(text, "\n"); more {
		return line + " …"
	}
	if text == "" {
		return "in an unknown state"
	}
	return text
}

// pivot does the operation's one act that has no way back.
func (s *session) pivot(ctx context.Context, word wire.Pivot) error {
	started := s.machine.clock.Now()
	o, err := s.current(word.Operation, wire.StateActivating)
	if err == nil {
		// Not to be interrupted: half a pivot is worse than a whole one.
		err = o.pivot(context.WithoutCancel(ctx))
	}
	return s.answer(wire.WordPivoted, "pivot", o, started, err)
}

func (o *operation) pivot(ctx context.Context) error {
	for _, s := range o.steps {
		due := ofClass(s.byKind(namedKind{names: []string{kindAct}}, (*resource).changes), classPivot)
		if err := o.do(ctx, due, true); err != nil {
			return inStep(s.Name, err)
		}
	}
	return nil
}

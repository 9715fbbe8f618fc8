package runtime

import (
	"context"

	"orchestra/pkg/wire"
)

// observe compares what steps declare with what is there. It changes nothing,
// and asks for no lock.
func (s *session) observe(ctx context.Context, word wire.Observe) error {
	started := s.machine.clock.Now()
	o := newOperation(s.machine, "")
	o.dry, o.drift = true, word.Drift
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
		if err := o.compare(s); err != nil {
			return inStep(s.Name, err)
		}
		if !o.drift && s.changes() {
			for _, unit := range s.Units {
				s.actions = append(s.actions, "reload "+unit)
			}
		}
	}
	if word.Leftovers {
		return o.leftovers()
	}
	return nil
}

// compare notes the differences of a step.
func (o *operation) compare(s *step) error {
	for _, r := range s.Resources {
		if !r.changes() {
			continue
		}
		k := o.kindOf(r)
		difference := wire.Difference{Kind: r.Kind, Resource: printable(r.title()), Object: r.Object}
		entry, known, err := o.registry.find(r.key())
		if err != nil {
			return err
		}
		if r.parks() {
			difference.Kind = kindPark
		}
		difference.Reason = twoWays(r)
		if o.drift && known {
			difference.Reason = threeWays(r, entry.Digest, k)
		}
		r.Secret = r.Secret || entry.Secret
		r.hidden = !known && r.looksSecret()
		difference.Before, difference.After = o.show(k, r, r.Before), o.show(k, r, r.After)
		s.differs = append(s.differs, difference)
	}
	return nil
}

// twoWays says how what is there differs from what is declared.
func twoWays(r *resource) string {
	switch {
	case r.Before == nil:
		return wire.ReasonMissing
	case r.After == nil, r.parks():
		return wire.ReasonLeftOver
	}
	return wire.ReasonChanged
}

// threeWays says who made the difference, by what was last kept here: as it was
// kept, only the panel has gone on since; otherwise somebody else was here.
func threeWays(r *resource, kept string, k kind) string {
	switch {
	case r.Before == nil:
		return wire.ReasonRemoved
	case kept == k.digest(r, r.Before):
		return wire.ReasonStale
	}
	return wire.ReasonHandEdited
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

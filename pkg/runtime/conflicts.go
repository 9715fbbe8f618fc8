package runtime

import (
	"context"
	"errors"
	"slices"

	"orchestra/pkg/wire"
)

// maxConflicts bounds how often a step is looked at again without what is in
// conflict.
const maxConflicts = 100

// look observes resources of one kind. An operation fails where one of them can't
// be brought about: somebody else has its number, or a directory is in the place
// of a file. A comparison notes that, and goes on with the others.
func (o *operation) look(ctx context.Context, s *step, k namedKind, resources []*resource) ([]*resource, error) {
	for range maxConflicts {
		more, err := k.observe(ctx, o, resources)
		about := o.conflicting(err)
		left := without(resources, about)
		if len(left) == len(resources) {
			return more, err
		}
		for _, r := range about {
			s.differs = append(s.differs, wire.Difference{
				Kind: r.Kind, Resource: printable(r.title()), Object: r.Object, Reason: wire.ReasonConflict, After: printable(conflictText(err)),
			})
		}
		if resources, s.Resources = left, without(s.Resources, about); len(resources) == 0 {
			return nil, nil
		}
	}
	return k.observe(ctx, o, resources)
}

// conflicting returns the resources that a problem is about and a comparison can go
// on without.
func (o *operation) conflicting(err error) []*resource {
	var p *problem
	if !o.drift || !errors.As(err, &p) || p.code != wire.CodeTaken && p.code != wire.CodeMissing {
		return nil
	}
	return p.about
}

func without(resources, some []*resource) []*resource {
	gone := make(map[*resource]bool, len(some))
	for _, r := range some {
		gone[r] = true
	}
	return slices.DeleteFunc(slices.Clone(resources), func(r *resource) bool { return gone[r] })
}

func conflictText(err error) string {
	var p *problem
	if !errors.As(err, &p) {
		return err.Error()
	}
	if p.cause != nil {
		return p.message + ": " + p.cause.Error()
	}
	return p.message
}

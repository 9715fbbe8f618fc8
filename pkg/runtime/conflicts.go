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
		at := o.conflicting(err, resources)
		if at < 0 {
			return more, err
		}
		r := resources[at]
		s.differs = append(s.differs, wire.Difference{
			Kind: r.Kind, Resource: printable(r.title()), Object: r.Object, Reason: wire.ReasonConflict, After: printable(conflictText(err)),
		})
		resources = slices.Delete(slices.Clone(resources), at, at+1)
		s.Resources = slices.DeleteFunc(s.Resources, func(other *resource) bool { return other == r })
	}
	return k.observe(ctx, o, resources)
}

// conflicting returns which of resources a problem is about, -1 for none that a
// comparison could go on without.
func (o *operation) conflicting(err error, resources []*resource) int {
	var p *problem
	if !o.drift || !errors.As(err, &p) || p.code != wire.CodeTaken && p.code != wire.CodeMissing {
		return -1
	}
	return slices.IndexFunc(resources, func(r *resource) bool {
		return p.resource == r.Name || p.resource == r.Kind+" "+r.Name
	})
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

package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"orchestra/pkg/wire"
)

// linkKind brings about symbolic links: `link PATH TARGET`.
type linkKind struct{}

func (linkKind) declare(_ *step, d declaration) (*resource, error) {
	if len(d.Arguments) != 2 {
		return nil, errArguments
	}
	target := d.Arguments[1]
	if target == "" || len(target) > 4000 || strings.ContainsAny(target, "\n") {
		return nil, fmt.Errorf("%q can't be the target of a link", printable(target))
	}
	return &resource{
		Kind: kindLink, Name: d.Arguments[0], where: d.Arguments[0],
		After: &state{Type: TypeLink, Target: target, Attributes: Attributes{Mode: 0o777}},
	}, nil
}

func (linkKind) observe(ctx context.Context, o *operation, resources []*resource) ([]*resource, error) {
	return nil, eachOf(ctx, resources, func(_ int, r *resource) error {
		r.After.Owner = o.linkOwner(r)
		info, err := o.lookFirst(r)
		if err != nil || info == nil {
			return err
		}
		if info.Type != TypeLink {
			return fail(wire.CodeTaken, r.Name, "a %s is in its place", info.Type)
		}
		r.Before = &state{Type: TypeLink, Target: info.Target, Attributes: info.Attributes}
		r.After.Attributes = info.Attributes // whose it is does not matter
		return nil
	})
}

// linkOwner returns whose a new link is: in a user's tree, or in a directory that this
// operation makes for a user, the user's.
func (o *operation) linkOwner(r *resource) Owner {
	if r.Place.Owner != nil {
		return *r.Place.Owner
	}
	if above := o.indexed[kindDirectory+"\x00"+directoryOf(r)]; above != nil && above.After != nil {
		return above.After.Owner
	}
	return Owner{}
}

func (linkKind) plan(o *operation, resources []*resource) error {
	for _, r := range resources {
		r.Temp = o.tempName(r.Place.Near)
	}
	return nil
}

func (linkKind) stage(ctx context.Context, o *operation, resources []*resource) error {
	return eachOf(ctx, resources, func(_ int, r *resource) error {
		if err := r.disk(o.machine).MakeLink(r.Temp, r.After.Target, r.After.Owner); err != nil {
			return fail(wire.CodeInternal, r.Name, "it can't be made").because(err)
		}
		o.touch(r.Temp)
		return nil
	})
}

func (linkKind) publish(ctx context.Context, o *operation, resources []*resource) error {
	return eachOf(ctx, resources, func(_ int, r *resource) error { return publishEntry(o, r) })
}

func (linkKind) undo(_ context.Context, o *operation, resources []*resource) []error {
	var failed []error
	for _, r := range slices.Backward(resources) {
		if err := r.unlessTaken(undoEntry(o, r)); err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

func (linkKind) sweep(o *operation, resources []*resource) error {
	return fileKind{}.sweep(o, resources)
}

func (linkKind) digest(_ *resource, s *state) string { return digestOf(s.Target) }

func (linkKind) show(_ *resource, s *state) string { return "link to " + s.Target }

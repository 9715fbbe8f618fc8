package runtime

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"orchestra/pkg/wire"
)

// parkKind moves what is there, with all that it holds, to the trash of its file
// system: `park PATH`. Restoring it is its undo.
type parkKind struct{}

func (parkKind) declare(_ *step, d declaration) (*resource, error) {
	if len(d.Arguments) != 1 {
		return nil, errArguments
	}
	return &resource{Kind: kindPark, Name: d.Arguments[0], where: d.Arguments[0]}, nil
}

func (parkKind) observe(ctx context.Context, o *operation, resources []*resource) ([]*resource, error) {
	for _, r := range resources {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		info, err := o.machine.disk.Stat(r.Place.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, concerning(fail(wire.CodeTaken, r.Name, "it can't be looked at").because(err), r)
		}
		if mount, err := o.machine.disk.Mount(r.Place.Path); err != nil || mount == r.Place.Path {
			return nil, errors.Join(concerning(fail(wire.CodeTaken, r.Name, "a file system is mounted there: it can't be moved"), r), err)
		}
		r.Before = parked(info)
	}
	return nil, nil
}

func (parkKind) plan(o *operation, resources []*resource) error {
	for _, r := range resources {
		trash, err := o.trashFor(directoryOf(r))
		if err != nil {
			return err
		}
		r.Trash = o.trashName(trash, r.Place.Path)
	}
	return nil
}

func (parkKind) stage(context.Context, *operation, []*resource) error { return nil }

// publish works as root, also in a user's tree: only root may enter the trash. It
// moves one entry of a directory and looks at nothing behind it.
func (parkKind) publish(ctx context.Context, o *operation, resources []*resource) error {
	for _, r := range slices.Backward(byPath(resources)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		o.touch(r.Place.Path, r.Trash)
		if err := o.machine.disk.Rename(r.Place.Path, r.Trash); err != nil {
			return changedBecause(r, err)
		}
		r.reached = true
		if info, err := o.machine.disk.Stat(r.Trash); err != nil || !parked(info).is(r.Before) {
			return r.giveBack(changed(r, "something else is in its place"), err, o.machine.disk.Rename(r.Trash, r.Place.Path))
		}
	}
	return nil
}

// parked identifies what is moved: the very same thing, whatever it holds.
func parked(info Info) *state {
	return &state{Type: info.Type, Attributes: Attributes{Owner: info.Owner}, Size: int64(info.inode)}
}

func (parkKind) undo(_ context.Context, o *operation, resources []*resource) []error {
	var failed []error
	for _, r := range byPath(resources) {
		if _, err := o.machine.disk.Stat(r.Trash); errors.Is(err, fs.ErrNotExist) {
			if _, err := o.machine.disk.Stat(r.Place.Path); err != nil {
				failed = append(failed, changed(r, "it is neither in its place nor in the trash"))
			}
			continue
		}
		o.touch(r.Place.Path, r.Trash)
		if err := o.machine.disk.Rename(r.Trash, r.Place.Path); err != nil {
			failed = append(failed, changedBecause(r, err))
		}
	}
	return failed
}

func (parkKind) sweep(*operation, []*resource) error { return nil }

func (parkKind) digest(*resource, *state) string { return "" }

func (parkKind) show(_ *resource, s *state) string { return string(s.Type) }

package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"orchestra/pkg/wire"
)

// directoryKind brings about directories: `dir PATH OWNER GROUP MODE`. One that is
// there gets its owner and mode; what it holds is not looked at.
type directoryKind struct{}

func (directoryKind) declare(_ *step, d declaration) (*resource, error) {
	if len(d.Arguments) != 4 {
		return nil, errArguments
	}
	mode, err := parseMode(d.Arguments[3])
	if err != nil {
		return nil, err
	}
	r := &resource{
		Kind: kindDirectory, Name: d.Arguments[0], where: d.Arguments[0],
		After: &state{Type: TypeDirectory}, owner: d.Arguments[1], group: d.Arguments[2],
	}
	r.After.Mode = mode
	return r, nil
}

func (directoryKind) observe(ctx context.Context, o *operation, resources []*resource) ([]*resource, error) {
	return nil, eachOf(ctx, resources, func(_ int, r *resource) error {
		if err := o.resolveOwner(r); err != nil {
			return err
		}
		info, err := o.lookFirst(r)
		if err != nil || info == nil {
			return err
		}
		if info.Type != TypeDirectory {
			return fail(wire.CodeTaken, r.Name, "a %s is in its place", info.Type)
		}
		r.Before = &state{Type: info.Type, Attributes: info.Attributes}
		return nil
	})
}

// readDirectory describes a directory without what it holds; nil for none.
func readDirectory(disk Disk, name string) (*state, error) {
	info, err := disk.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &state{Type: info.Type, Attributes: info.Attributes}, nil
}

func (directoryKind) plan(o *operation, resources []*resource) error {
	for _, r := range resources {
		if r.Before != nil {
			continue
		}
		r.Temp = o.tempName(r.Place.Near)
		trash, err := o.trashFor(r.Place.Near)
		if err != nil {
			return err
		}
		r.Trash = o.trashName(trash, r.Place.Path)
	}
	return nil
}

// stage makes new directories under a temporary name, with their owner and mode:
// they appear at once as they should be.
func (directoryKind) stage(ctx context.Context, o *operation, resources []*resource) error {
	return eachOf(ctx, resources, func(i int, r *resource) error {
		if r.Before != nil {
			return nil
		}
		o.machine.progress("staging directories", i, len(resources))
		if err := r.disk(o.machine).MakeDirectory(r.Temp, r.After.Attributes); err != nil {
			return fail(wire.CodeInternal, r.Name, "it can't be made").because(err)
		}
		o.unsynced = append(o.unsynced, r.Temp)
		o.touch(r.Temp)
		return nil
	})
}

// byPath orders resources so that directories come before what they hold.
func byPath(resources []*resource) []*resource {
	return slices.SortedStableFunc(slices.Values(resources), func(a, b *resource) int {
		return strings.Compare(a.Place.Path, b.Place.Path)
	})
}

func (directoryKind) publish(ctx context.Context, o *operation, resources []*resource) error {
	return eachOf(ctx, byPath(resources), func(i int, r *resource) error {
		o.machine.progress("publishing directories", i, len(resources))
		disk, name := r.disk(o.machine), r.Place.Path
		if r.Before == nil {
			o.touch(name, r.Temp)
			if err := disk.Rename(r.Temp, name); err != nil {
				return changedBecause(r, err)
			}
			r.reached = true
			return nil
		}
		found, err := readDirectory(disk, name)
		if err != nil {
			return fail(wire.CodeInternal, r.Name, "it can't be looked at").because(err)
		}
		if !found.is(r.Before) {
			return changed(r, "its owner or mode is another")
		}
		r.reached = true
		return changeDirectory(o, disk, r, r.After)
	})
}

func changeDirectory(o *operation, disk Disk, r *resource, to *state) error {
	o.dirty[r.Place.Path] = true
	if err := disk.Change(r.Place.Path, to.Attributes); err != nil {
		return fail(wire.CodeInternal, r.Name, "its owner and mode can't be set").because(err)
	}
	return nil
}

func (directoryKind) undo(_ context.Context, o *operation, resources []*resource) []error {
	var failed []error
	for _, r := range slices.Backward(byPath(resources)) {
		if err := r.unlessTaken(undoDirectory(o, r)); err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

func undoDirectory(o *operation, r *resource) error {
	disk, name := o.machine.disk, r.Place.Path
	live, err := readDirectory(disk, name)
	if err != nil {
		return fail(wire.CodeInternal, r.Name, "it can't be looked at").because(err)
	}
	if live.is(r.Before) {
		return nil
	}
	if r.Before != nil {
		// chown and chmod are two steps: a crash may lie between them.
		if !live.is(r.After) && !betweenStates(live, r.Before, r.After) {
			return neitherFile(o, r, live)
		}
		return changeDirectory(o, r.disk(o.machine), r, r.Before)
	}
	if waiting, err := readDirectory(disk, r.Temp); err != nil || waiting != nil {
		return err // it was never put in its place
	}
	// Its owner may have changed its mode since; that does not make it his.
	if live.Type != TypeDirectory || live.UID != r.After.UID {
		return changed(r, "something else is in its place")
	}
	o.touch(name)
	err = disk.Remove(name)
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		// Somebody has put something into it: that is kept.
		o.touch(r.Trash)
		err = disk.Rename(name, r.Trash)
	}
	if err != nil {
		return fail(wire.CodeInternal, r.Name, "it can't be removed").because(err)
	}
	return nil
}

// betweenStates tells whether each attribute is the one or the other.
func betweenStates(live, before, after *state) bool {
	return live != nil && live.Type == TypeDirectory &&
		(live.Mode == before.Mode || live.Mode == after.Mode) &&
		(live.UID == before.UID || live.UID == after.UID) &&
		(live.GID == before.GID || live.GID == after.GID)
}

func (directoryKind) sweep(o *operation, resources []*resource) error {
	var failed error
	for _, r := range resources {
		failed = errors.Join(failed, r.unlessTaken(sweepTemp(o, r.Temp)))
	}
	return failed
}

func (directoryKind) digest(_ *resource, s *state) string { return digestOf(s.Mode, s.Owner) }

func (directoryKind) show(_ *resource, s *state) string {
	return fmt.Sprintf("owner %d:%d mode %04o", s.UID, s.GID, s.Mode)
}

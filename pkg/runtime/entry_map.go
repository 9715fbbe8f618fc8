package runtime

import (
	"errors"
	"io/fs"
	"path"
	"syscall"

	"orchestra/pkg/runtime/sqlitemap"
	"orchestra/pkg/wire"
)

// mapEntries are the entries of a map that is an SQLite file; sqlitemap says which
// table. It is edited in place, in one transaction, so that a key costs the same
// whatever the map holds, and a daemon that has it open sees what changes.
//
// SQLite opens files by their names: so a map lies where only root may write.
type mapEntries struct{}

func (mapEntries) observe(o *operation, group []*resource) error {
	first := group[0]
	there, err := o.lookAtFile(group)
	if err != nil {
		return err
	}
	if there == nil {
		wanted := toBe(group)
		return concerning(o.onlyRoots(wanted[0]), wanted...)
	}
	disk, name := o.machine.disk, first.Place.Path
	found, _, err := disk.ReadMap(name, wantedKeys(group))
	if errors.Is(err, sqlitemap.ErrHot) && !o.dry {
		// Left by somebody's crash. To roll that back is what any writer would do first.
		if err = disk.EditMap(name, nil, noEdits); err == nil {
			found, _, err = disk.ReadMap(name, wantedKeys(group))
		}
	}
	if err != nil {
		return mapProblem(first, "it can't be read as a map", err)
	}
	for _, r := range group {
		r.Before = entryIn(found)(r.Name)
	}
	return nil
}

// mapProblem is the problem of a map that does not let itself be read or written.
func mapProblem(r *resource, what string, err error) *problem {
	code := wire.CodeInternal
	switch {
	case errors.Is(err, sqlitemap.ErrBusy):
		code = wire.CodeBusy
	case errors.Is(err, sqlitemap.ErrNoMap), errors.Is(err, sqlitemap.ErrLog), errors.Is(err, sqlitemap.ErrHot),
		errors.Is(err, fs.ErrPermission), isTaken(err):
		code = wire.CodeTaken
	}
	return fail(code, r.where, "%s", what).because(err)
}

func noEdits(map[string]string) (map[string]*string, error) { return nil, nil }

func wantedKeys(group []*resource) []string {
	keys := make([]string, len(group))
	for i, r := range group {
		keys[i] = r.Name
	}
	return keys
}

// entryIn returns how to look an entry up in what was found.
func entryIn(found map[string]string) func(key string) *state {
	return func(key string) *state {
		if value, ok := found[key]; ok {
			return &state{Text: value}
		}
		return nil
	}
}

// onlyRoots refuses a map that is to be made where others than root may write, or
// will be allowed to by this operation.
func (o *operation) onlyRoots(r *resource) error {
	for name := directoryOf(r); r.After != nil; name = path.Dir(name) {
		attributes, err := o.directoryAttributes(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fail(wire.CodeTaken, r.where, "%s can't be looked at", name).because(err)
		}
		if err == nil && (attributes.UID != 0 || attributes.Mode&0o022 != 0) {
			return fail(wire.CodeTaken, r.where, "a map of SQLite must lie where only root may write, and others may write to %s", name)
		}
		if name == "/" {
			return nil
		}
	}
	return nil
}

// directoryAttributes returns those that a directory has, or that this operation gives it.
func (o *operation) directoryAttributes(name string) (Attributes, error) {
	if declared := o.indexed[kindDirectory+"\x00"+name]; declared != nil && declared.After != nil {
		return declared.After.Attributes, nil
	}
	info, err := o.machine.disk.Stat(name)
	return info.Attributes, err
}

// stage makes a map that is missing, with all its entries, and sets aside beside it
// what the journals of publishing and of undoing may need.
func (mapEntries) stage(o *operation, group []*resource) error {
	first := group[0]
	if first.Made {
		entries := map[string]string{}
		for _, r := range group {
			if r.After != nil {
				entries[r.Name] = r.After.Text
			}
		}
		attributes, err := o.directoryAttributes(directoryOf(first))
		if err != nil {
			return fail(wire.CodeInternal, first.where, "its directory can't be looked at").because(err)
		}
		// It may hold passwords, and a daemon has to read it: whoever the directory's
		// group is may.
		attributes = Attributes{Owner: Owner{GID: attributes.GID}, Mode: 0o640}
		o.touch(first.Temp)
		if err := o.machine.disk.CreateMap(first.Temp, entries, attributes); err != nil {
			return fail(wire.CodeInternal, first.where, "it can't be made").because(err)
		}
		o.unsynced = append(o.unsynced, first.Temp)
		return reserveForMap(o, group, undoName(first.Temp))
	}
	if err := reserveForMap(o, group, first.Temp); err != nil {
		return err
	}
	return reserveForMap(o, group, undoName(first.Temp))
}

// mapPages is how many bytes of pages one key may touch, with the tree above it and its
// neighbours; each is copied to the journal first.
const mapPages = 64 << 10

// reserveForMap sets aside space to edit a map once, under the name reserve: for a
// journal of what it holds, or of what the keys touch if that is less, and to grow.
func reserveForMap(o *operation, group []*resource, reserve string) error {
	disk, first := o.machine.disk, group[0]
	info, err := disk.Stat(first.Place.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(wire.CodeInternal, first.where, "it can't be looked at").because(err)
	}
	size := min(info.Size, int64(len(group))*mapPages) + 2*grownBy(group) + entryGrowth
	o.touch(reserve)
	err = disk.Create(reserve, nil, rootFile)
	if err == nil {
		err = disk.Allocate(reserve, size)
	}
	if err != nil {
		return fail(wire.CodeInternal, first.where, "no space can be set aside beside it").because(err)
	}
	o.unsynced = append(o.unsynced, reserve)
	return nil
}

// editMap edits a map; where the disk is full it gives the reserve away, if there is one.
func editMap(o *operation, group []*resource, reserve string, edit func(map[string]string) (map[string]*string, error)) error {
	disk, name := o.machine.disk, group[0].Place.Path
	err := disk.EditMap(name, wantedKeys(group), edit)
	if errors.Is(err, syscall.ENOSPC) && reserve != "" {
		o.touch(reserve)
		if disk.Remove(reserve) == nil {
			err = disk.EditMap(name, wantedKeys(group), edit)
		}
	}
	return err
}

// editsOf returns what is to be written for the entries that are due.
func editsOf(due []*resource, back bool) map[string]*string {
	edits := map[string]*string{}
	for _, r := range due {
		to := r.After
		if back {
			to = r.Before
		}
		edits[r.Name] = nil
		if to != nil {
			edits[r.Name] = &to.Text
		}
	}
	return edits
}

func (mapEntries) publish(o *operation, group []*resource) error {
	first, reserve := group[0], group[0].Temp
	if first.Made {
		o.touch(first.Place.Path, first.Temp)
		reached(group, true)
		err := o.machine.disk.Rename(first.Temp, first.Place.Path)
		if err == nil {
			return nil
		}
		reached(group, false)
		if !errors.Is(err, fs.ErrExist) {
			return changedBecause(first, err)
		}
		reserve = "" // another operation has made it meanwhile
	}
	err := editMap(o, group, reserve, func(found map[string]string) (map[string]*string, error) {
		due, failed := dueEntries(group, entryIn(found), false)
		reached(group, len(failed) == 0)
		return editsOf(due, false), errors.Join(failed...)
	})
	var conflict *problem
	switch {
	case err == nil || errors.As(err, &conflict):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return changed(first, "the map is gone")
	}
	return mapProblem(first, "it can't be edited", err)
}

func (mapEntries) undo(o *operation, group []*resource) []error {
	first, disk := group[0], o.machine.disk
	var failed []error
	err := editMap(o, group, undoName(first.Temp), func(found map[string]string) (map[string]*string, error) {
		due, conflicts := dueEntries(group, entryIn(found), true)
		failed = conflicts
		return editsOf(due, true), nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		due, conflicts := dueEntries(group, entryIn(nil), true)
		for _, r := range due {
			conflicts = append(conflicts, changed(r, "its map is gone"))
		}
		return conflicts
	}
	if err == nil && first.Made {
		err = removeMade(o, first, func(name string) (bool, error) {
			_, empty, err := disk.ReadMap(name, nil)
			return empty, err
		})
	}
	if err != nil {
		failed = append(failed, mapProblem(first, "it can't be put back", err))
	}
	return failed
}

package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"orchestra/pkg/wire"
)

// scope is what a backend says is its own: `own KIND SCOPE [all [FORMAT]]`. Of
// users and groups the scope is a range of ids, of members a group: all that is
// there is its own. Of files, directories, links and entries the scope is a path,
// which others may use as well: its own is what was last kept for it there, or
// everything where it says "all".
type scope struct {
	kind, value string
	all         bool
	format      string // of the file of entries, with all
}

var scopeKinds = []string{kindFile, kindDirectory, kindLink, kindEntry, kindUser, kindGroup, kindMember}

// parseScope reads the arguments of own.
func parseScope(arguments []string) (scope, error) {
	if len(arguments) < 2 || len(arguments) > 4 {
		return scope{}, errArguments
	}
	own := scope{kind: arguments[0], value: arguments[1], all: len(arguments) > 2, format: formatLines}
	if own.all && arguments[2] != "all" {
		return own, fmt.Errorf("%q is not all", printable(arguments[2]))
	}
	if len(arguments) > 3 {
		own.format = arguments[3]
	}
	if own.format != formatLines && own.format != formatColon {
		return own, fmt.Errorf("%q is neither lines nor colon", printable(own.format))
	}
	switch own.kind {
	case kindUser, kindGroup:
		_, _, err := idRange(own.value)
		return own, err
	case kindMember:
		if !validAccount(own.value) {
			return own, fmt.Errorf("%q is no group", printable(own.value))
		}
		return own, nil
	}
	if !slices.Contains(scopeKinds, own.kind) {
		return own, fmt.Errorf("%q can't be owned", printable(own.kind))
	}
	return own, checkPath(own.value)
}

func idRange(text string) (first, last uint32, err error) {
	from, to, ok := strings.Cut(text, "-")
	low, err := strconv.ParseUint(from, 10, 32)
	high, err2 := strconv.ParseUint(to, 10, 32)
	if !ok || errors.Join(err, err2) != nil || low > high {
		return 0, 0, fmt.Errorf("%q is no range of ids such as 70000-99999", printable(text))
	}
	return uint32(low), uint32(high), nil
}

// present is something that is there within a scope.
type present struct{ key, kind, title, text string }

// search finds what is there within scopes. What it reads, it reads once.
type search struct {
	o       *operation
	kept    map[string]registryEntry // all that is remembered here, by key
	names   *accountNames
	members map[string][]string // of all groups
}

// leftovers notes what is there within the scopes of all steps, and not declared.
func (o *operation) leftovers() error {
	entries, err := o.registry.all()
	if err != nil {
		return err
	}
	look := &search{o: o, kept: make(map[string]registryEntry, len(entries))}
	for _, entry := range entries {
		look.kept[entry.Key] = entry
	}
	for _, s := range o.steps {
		noted := map[string]bool{}
		for _, own := range s.scopes {
			found, err := look.within(own, s)
			if err != nil {
				return inStep(s.Name, err)
			}
			for _, one := range found {
				if noted[one.key] || look.accounted(one.key, s) {
					continue
				}
				noted[one.key] = true
				s.differs = append(s.differs, wire.Difference{
					Kind: one.kind, Resource: printable(one.title), Reason: wire.ReasonLeftOver,
					Object: look.kept[one.key].Object, Before: printable(one.text),
				})
			}
		}
	}
	return nil
}

// accounted tells whether something is declared, be it to go or as something of
// another kind, or kept by another step, which answers for it.
func (l *search) accounted(key string, s *step) bool {
	kinds := []string{kindFile, kindDirectory, kindLink, kindPark}
	kind, name, _ := strings.Cut(key, "\x00")
	if !slices.Contains(kinds, kind) {
		kinds = []string{kind}
	}
	for _, kind := range kinds {
		if l.o.indexed[kind+"\x00"+name] != nil {
			return true
		}
	}
	entry, known := l.kept[key]
	return known && entry.Step != s.keeper()
}

func (l *search) within(own scope, s *step) ([]present, error) {
	switch {
	case own.kind == kindUser || own.kind == kindGroup:
		return l.ids(own, s)
	case own.kind == kindMember:
		return l.membersOf(own.value)
	}
	place, err := l.o.resolver.resolve(own.value)
	if err != nil {
		return nil, err
	}
	switch {
	case own.kind == kindEntry:
		return l.entries(own, place, s)
	case own.all:
		return l.files(place)
	}
	return l.keptFiles(own, place, s)
}

// ids finds users or groups in our range, and those that were kept outside of it
// when the range was another.
func (l *search) ids(own scope, s *step) ([]present, error) {
	first, last, err := idRange(own.value)
	if err != nil {
		return nil, err
	}
	if l.names == nil {
		if l.names, err = readAccountNames(l.o.machine.disk); err != nil {
			return nil, err
		}
	}
	list := l.names.users
	if own.kind == kindGroup {
		list = l.names.groups
	}
	var found []present
	for name, id := range list {
		key := own.kind + "\x00" + name
		if id < first || id > last {
			if l.kept[key].Step != s.keeper() {
				continue
			}
		}
		found = append(found, present{key, own.kind, name, fmt.Sprintf("id %d", id)})
	}
	slices.SortFunc(found, func(a, b present) int { return strings.Compare(a.title, b.title) })
	return found, nil
}

// membersOf finds the members of a group.
func (l *search) membersOf(group string) ([]present, error) {
	if l.members == nil {
		if err := l.readMembers(); err != nil {
			return nil, err
		}
	}
	var found []present
	for _, member := range l.members[group] {
		name := group + " " + member
		found = append(found, present{kindMember + "\x00" + name, kindMember, name, "member"})
	}
	return found, nil
}

// readMembers reads the members of all groups in one pass.
func (l *search) readMembers() error {
	data, _, err := l.o.machine.disk.Read(pathGroup, ownLimit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.members = map[string][]string{}
	for raw := range bytes.Lines(data) {
		fields := strings.Split(strings.TrimSuffix(string(raw), "\n"), ":")
		if len(fields) != 4 || fields[3] == "" {
			continue
		}
		if _, twice := l.members[fields[0]]; !twice {
			l.members[fields[0]] = strings.Split(fields[3], ",")
		}
	}
	return nil
}

// files finds all that is in a directory, but for what an operation has staged there.
func (l *search) files(place place) ([]present, error) {
	disk := place.as(l.o.machine.disk)
	names, err := disk.List(place.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fail(wire.CodeTaken, place.Path, "it can't be listed").because(err)
	}
	var found []present
	for _, name := range names {
		if strings.HasPrefix(name, tempPrefix) {
			continue
		}
		if one, there, err := l.file(disk, path.Join(place.Path, name)); err != nil {
			return nil, err
		} else if there {
			found = append(found, one)
		}
	}
	return found, nil
}

// keptFiles finds what was last kept below a directory for this step.
func (l *search) keptFiles(own scope, place place, s *step) ([]present, error) {
	var found []present
	for _, kept := range l.keptBelow(own.kind, place, s) {
		resolved, err := l.o.resolver.resolve(kept[1])
		if err != nil {
			return nil, err
		}
		if one, there, err := l.file(resolved.as(l.o.machine.disk), kept[1]); err != nil {
			return nil, err
		} else if there {
			found = append(found, one)
		}
	}
	return found, nil
}

// keptBelow returns the parts of the keys of what was last kept for a step at a
// place or below it, in order: kind, path and, of an entry, its key.
func (l *search) keptBelow(kind string, place place, s *step) [][]string {
	var found [][]string
	for key, entry := range l.kept {
		fields := strings.Split(key, "\x00")
		if fields[0] == kind && len(fields) > 1 && entry.Step == s.keeper() &&
			(fields[1] == place.Path || strings.HasPrefix(fields[1], place.Path+"/")) {
			found = append(found, fields)
		}
	}
	slices.SortFunc(found, slices.Compare)
	return found
}

// file describes what is at a path. Its content may be a secret.
func (l *search) file(disk Disk, name string) (present, bool, error) {
	info, err := disk.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return present{}, false, nil
	}
	if err != nil {
		return present{}, false, fail(wire.CodeTaken, name, "it can't be looked at").because(err)
	}
	kind := kindFile
	switch info.Type {
	case TypeDirectory:
		kind = kindDirectory
	case TypeLink:
		kind = kindLink
	}
	return present{kind + "\x00" + name, kind, name, fmt.Sprintf("%s, mode %04o", info.Type, info.Mode)}, true, nil
}

// entries finds all entries of a file, or those that were kept for this step in
// files at a place or below it.
func (l *search) entries(own scope, place place, s *step) ([]present, error) {
	if own.all {
		names, err := l.entryNames(place.as(l.o.machine.disk), place.Path, own.format)
		if err != nil {
			return nil, err
		}
		var found []present
		for _, name := range slices.Sorted(maps.Keys(names)) {
			found = append(found, presentEntry(place.Path, name))
		}
		return found, nil
	}
	kept := map[string][]string{} // names, by file
	for _, fields := range l.keptBelow(kindEntry, place, s) {
		if len(fields) == 3 {
			kept[fields[1]] = append(kept[fields[1]], fields[2])
		}
	}
	var found []present
	for _, file := range slices.Sorted(maps.Keys(kept)) {
		there, err := l.entriesOf(file, kept[file])
		if err != nil {
			return nil, err
		}
		for _, name := range kept[file] {
			if there[name] {
				found = append(found, presentEntry(file, name))
			}
		}
	}
	return found, nil
}

func presentEntry(file, name string) present {
	return present{kindEntry + "\x00" + file + "\x00" + name, kindEntry, file + ": " + name, "entry"}
}

// entriesOf tells which of names are in a file. What is remembered of them says no
// format.
func (l *search) entriesOf(file string, names []string) (map[string]bool, error) {
	there := map[string]bool{}
	if found, _, err := l.o.machine.disk.ReadMap(file, names); err == nil {
		for name := range found {
			there[name] = true
		}
		return there, nil
	}
	resolved, err := l.o.resolver.resolve(file)
	if err != nil {
		return nil, err
	}
	return l.entryNames(resolved.as(l.o.machine.disk), file, formatLines, formatColon)
}

// entryNames returns the keys of a file's lines, in any of the formats.
func (l *search) entryNames(disk Disk, file string, formats ...string) (map[string]bool, error) {
	data, _, err := disk.Read(file, ownLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fail(wire.CodeTaken, file, "it can't be read").because(err)
	}
	there := map[string]bool{}
	for raw := range bytes.Lines(data) {
		for _, format := range formats {
			if key, _ := entryKey(strings.TrimSuffix(string(raw), "\n"), format); key != "" {
				there[key] = true
			}
		}
	}
	return there, nil
}

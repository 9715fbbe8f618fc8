package runtime

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"orchestra/pkg/wire"
)

// accountEdits is what a step, or its undo, makes of the files of accounts.
type accountEdits struct {
	edits  map[string]map[string]lineEdit // by file and name
	order  map[string][]string            // names in each file, in the order declared
	failed []error
}

// editAccounts finds what has to be edited for resources, forward or back. One
// pass over each file, for any number of resources.
func editAccounts(files accountFiles, resources []*resource, back bool) (*accountEdits, error) {
	e := &accountEdits{edits: map[string]map[string]lineEdit{}, order: map[string][]string{}}
	wanted := map[string]map[string]bool{pathPasswd: {}, pathGroup: {}}
	for _, r := range resources {
		switch r.Kind {
		case kindUser:
			wanted[pathPasswd][r.Name] = true
		case kindGroup:
			wanted[pathGroup][r.Name] = true
		case kindMember:
			group, _ := memberOf(r)
			wanted[pathGroup][group] = true
		}
	}
	wanted[pathShadow], wanted[pathGshadow] = wanted[pathPasswd], wanted[pathGroup]
	live := map[string]map[string]string{}
	for _, path := range accountPaths {
		found, err := lookUpLines(files[path], wanted[path])
		if err != nil {
			return nil, fail(wire.CodeChanged, path, "it can't be understood").because(err)
		}
		live[path], e.edits[path] = found, map[string]lineEdit{}
	}
	e.users(live, resources, back)
	e.groups(files, live, resources, back)
	return e, errors.Join(e.failed...)
}

func (e *accountEdits) users(live map[string]map[string]string, resources []*resource, back bool) {
	for _, r := range resources {
		if r.Kind != kindUser {
			continue
		}
		from, to := r.Before, r.After
		if back {
			from, to = to, from
		}
		for path, line := range map[string]func(*state) string{
			pathPasswd: func(s *state) string { return s.Text },
			pathShadow: func(s *state) string { return s.Shadow },
		} {
			now, was, should := live[path][r.Name], "", ""
			if from != nil {
				was = line(from)
			}
			if to != nil {
				should = line(to)
			}
			switch now {
			case should:
			case was:
				e.edit(r, path, r.Name, lineEdit{from: now, to: should})
			default:
				e.failed = append(e.failed, neitherLine(r, path, now))
			}
		}
	}
}

// edit notes an edit; a line that comes back does so where it was.
func (e *accountEdits) edit(r *resource, path, name string, edit lineEdit) {
	edit.after, edit.known = r.Behind[path]
	if _, twice := e.edits[path][name]; !twice {
		e.order[path] = append(e.order[path], name)
	}
	e.edits[path][name] = edit
}

// groupWork is a group in both of its files while it is edited.
type groupWork struct {
	lines   map[string]*groupLine // by file; missing: no such line
	present map[string]*memberList
	behind  map[string]map[string][]string // members that come back, by file and what they stood behind
	owner   *resource                      // that made or removed it
}

func (e *accountEdits) groups(files accountFiles, live map[string]map[string]string, resources []*resource, back bool) {
	works := map[string]*groupWork{}
	var order []string
	work := func(name string) *groupWork {
		if works[name] != nil {
			return works[name]
		}
		w := &groupWork{lines: map[string]*groupLine{}, present: map[string]*memberList{}, behind: map[string]map[string][]string{}}
		works[name], order = w, append(order, name)
		for _, path := range []string{pathGroup, pathGshadow} {
			text, ok := live[path][name]
			if !ok {
				continue
			}
			line, err := parseGroupLine(text)
			if err != nil {
				e.failed = append(e.failed, fail(wire.CodeChanged, "group "+name, "its line in %s", path).because(err))
				continue
			}
			w.lines[path] = &line
			w.present[path] = newMemberList(line.members)
		}
		return w
	}
	phases := []func(){
		func() { // groups that come
			for _, r := range resources {
				if r.Kind == kindGroup && target(r, back) != nil {
					e.failed = append(e.failed, work(r.Name).make(files, r, back)...)
				}
			}
		},
		func() {
			for _, r := range resources {
				if r.Kind == kindMember {
					group, user := memberOf(r)
					e.failed = append(e.failed, work(group).member(r, user, back)...)
				}
			}
		},
		func() {
			for _, w := range works {
				for path, behind := range w.behind {
					w.lines[path].comeBack(behind)
				}
			}
		},
		func() { // groups that go
			for _, r := range resources {
				if r.Kind == kindGroup && target(r, back) == nil {
					e.failed = append(e.failed, work(r.Name).remove(r, back)...)
				}
			}
		},
	}
	for _, phase := range phases {
		phase()
	}
	for _, name := range order {
		w := works[name]
		for _, path := range []string{pathGroup, pathGshadow} {
			text := ""
			if line := w.lines[path]; line != nil {
				text = line.String()
			}
			if was := live[path][name]; was != text {
				owner := w.owner
				if owner == nil {
					owner = &resource{}
				}
				e.edit(owner, path, name, lineEdit{from: was, to: text})
			}
		}
	}
}

func target(r *resource, back bool) *state {
	if back {
		return r.Before
	}
	return r.After
}

// make makes a group; back, it brings one back with all that it had.
func (w *groupWork) make(files accountFiles, r *resource, back bool) []error {
	to := target(r, back)
	w.owner = r
	var failed []error
	for path, text := range map[string]string{pathGroup: to.Text, pathGshadow: to.Shadow} {
		if text == "" {
			continue
		}
		should, err := parseGroupLine(text)
		if err != nil {
			return []error{err}
		}
		now := w.lines[path]
		switch {
		case now == nil && (path != pathGshadow || files[path] != nil):
			w.lines[path] = &should
			w.present[path] = newMemberList(should.members)
		case now == nil: // there is no gshadow here any more
		case now.head != should.head:
			failed = append(failed, neitherLine(r, path, now.String()))
		}
	}
	return failed
}

// remove removes a group as it was seen; back, one that was made, which nobody
// may have joined meanwhile.
func (w *groupWork) remove(r *resource, back bool) []error {
	from := r.Before
	if back {
		from = r.After
	}
	w.owner = r
	var failed []error
	for path, text := range map[string]string{pathGroup: from.Text, pathGshadow: from.Shadow} {
		if now := w.lines[path]; now != nil {
			if now.String() != text {
				failed = append(failed, neitherLine(r, path, now.String()))
				continue
			}
			delete(w.lines, path)
		}
	}
	return failed
}

// Bits of the files in which a member is.
const (
	memberGroup   = 1
	memberGshadow = 2
)

var memberFiles = []struct {
	path string
	bit  uint32
}{{pathGroup, memberGroup}, {pathGshadow, memberGshadow}}

// member brings about the membership of one user.
func (w *groupWork) member(r *resource, user string, back bool) []error {
	from, to := r.Before, r.After
	if back {
		from, to = to, from
	}
	var failed []error
	for _, file := range memberFiles {
		line := w.lines[file.path]
		was, should := from != nil && from.Mode&file.bit != 0, to != nil && to.Mode&file.bit != 0
		if line == nil {
			if should {
				failed = append(failed, changed(r, "there is no such group in "+file.path))
			}
			continue
		}
		now := w.present[file.path].has(user)
		switch {
		case now == should || was == should:
		case should:
			w.present[file.path].set(user, true)
			behind, known := r.Behind[file.path]
			if !known {
				line.members = append(line.members, user)
				continue
			}
			if w.behind[file.path] == nil {
				w.behind[file.path] = map[string][]string{}
			}
			w.behind[file.path][behind] = append(w.behind[file.path][behind], user)
		default:
			line.remove(user)
			w.present[file.path].set(user, false)
		}
	}
	return failed
}

// memberOf returns group and user of a membership.
func memberOf(r *resource) (group, user string) {
	group, user, _ = strings.Cut(r.Name, " ")
	return group, user
}

// apply returns the files as they become.
func (e *accountEdits) apply(files accountFiles) accountFiles {
	edited := accountFiles{}
	for _, path := range accountPaths {
		if len(e.edits[path]) > 0 {
			edited[path] = editLines(files[path], e.edits[path], e.order[path])
		}
	}
	return edited
}

// checkAccounts refuses ids that something else has, in the files as they become.
func checkAccounts(files accountFiles, resources []*resource) error {
	uids, gids := map[uint32]bool{}, map[uint32]bool{}
	for _, r := range resources {
		switch {
		case r.Kind == kindUser && r.After != nil:
			uids[r.After.UID] = true
		case r.Kind == kindGroup && r.After != nil:
			gids[r.After.GID] = true
		}
	}
	users, groups := lookUpNumbers(files[pathPasswd], uids), lookUpNumbers(files[pathGroup], gids)
	for _, r := range resources {
		if r.After == nil {
			continue
		}
		number, holder := r.After.UID, users[r.After.UID]
		switch r.Kind {
		case kindGroup:
			number, holder = r.After.GID, groups[r.After.GID]
		case kindUser:
		default:
			continue
		}
		if holder != "" && holder != r.Name && !leaves(resources, r.Kind, holder) {
			return concerning(fail(wire.CodeTaken, r.Kind+" "+r.Name, "its id %d is that of %s", number, printable(holder)), r)
		}
	}
	return nil
}

// leaves tells whether the holder of an id goes with this operation.
func leaves(resources []*resource, kind, name string) bool {
	return slices.ContainsFunc(resources, func(r *resource) bool {
		return r.Kind == kind && r.Name == name && r.After == nil
	})
}

// freeGID returns a group id for the system's own groups that nobody has: as
// groupadd --system, from above.
func freeGID(data []byte, taken map[uint32]bool) (uint32, error) {
	const first, last = 100, 999
	candidates := map[uint32]bool{}
	for gid := uint32(first); gid <= last; gid++ {
		candidates[gid] = true
	}
	used := lookUpNumbers(data, candidates)
	for gid := uint32(last); gid >= first; gid-- {
		if _, ok := used[gid]; !ok && !taken[gid] {
			return gid, nil
		}
	}
	return 0, fmt.Errorf("no id between %d and %d is free", first, last)
}

package runtime

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"orchestra/pkg/wire"
)

// accountView is how the files of accounts are while a step is observed.
type accountView struct {
	o         *operation
	files     accountFiles
	resources []*resource
	lines     map[string]map[string]string      // by file and name
	behind    map[string]map[string]string      // what lines stand behind, by file and name
	members   map[string]map[string]*memberList // by file and group
	given     map[uint32]bool                   // ids of groups given out
	gids      map[uint32]bool                   // ids of groups that are there, or declared
	shells    map[string]bool                   // of /etc/shells, once somebody's shell is looked at
	more      []*resource                       // what follows from the declared
}

// look reads all lines that the step is about, in one pass over each file.
func (v *accountView) look() error {
	users, groups, leaving := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range v.resources {
		switch r.Kind {
		case kindUser:
			users[r.Name] = true
			if r.After == nil {
				leaving[r.Name] = true
			}
		case kindGroup:
			groups[r.Name] = true
		case kindMember:
			group, _ := memberOf(r)
			groups[group] = true
		}
	}
	v.implied(leaving, groups)
	v.lines, v.behind = map[string]map[string]string{}, map[string]map[string]string{}
	v.members, v.given = map[string]map[string]*memberList{}, map[uint32]bool{}
	for _, path := range accountPaths {
		wanted := users
		if path == pathGroup || path == pathGshadow {
			wanted = groups
		}
		found, err := lookUpLines(v.files[path], wanted)
		if err != nil {
			return fail(wire.CodeTaken, path, "it can't be understood").because(err)
		}
		v.lines[path], v.behind[path] = found, linesBefore(v.files[path], v.going(path))
	}
	v.findGroups()
	for _, path := range []string{pathGroup, pathGshadow} {
		v.members[path] = map[string]*memberList{}
		for name, text := range v.lines[path] {
			line, err := parseGroupLine(text)
			if err != nil {
				return fail(wire.CodeTaken, path, "it can't be understood").because(err)
			}
			v.members[path][name] = newMemberList(line.members)
		}
	}
	return nil
}

// going returns the names whose lines go from a file.
func (v *accountView) going(path string) map[string]bool {
	kind := kindUser
	if path == pathGroup || path == pathGshadow {
		kind = kindGroup
	}
	names := map[string]bool{}
	for _, r := range v.resources {
		if r.Kind == kind && r.After == nil {
			names[r.Name] = true
		}
	}
	return names
}

// implied adds what userdel does as well: a user that goes leaves all groups.
func (v *accountView) implied(leaving, groups map[string]bool) {
	known := map[string]bool{}
	for _, r := range v.resources {
		if r.Kind == kindMember {
			known[r.Name] = true
		}
	}
	memberships := groupsOf(v.files, leaving)
	for _, user := range v.resources {
		if user.Kind != kindUser || user.After != nil {
			continue
		}
		for _, group := range memberships[user.Name] {
			name := group + " " + user.Name
			if known[name] {
				continue
			}
			known[name], groups[group] = true, true
			r := &resource{Step: user.Step, Kind: kindMember, Name: name, Object: user.Object}
			v.more = append(v.more, r)
		}
	}
	v.resources = append(slices.Clone(v.resources), v.more...)
}

// findGroups finds which of the users' main groups are there, or declared.
func (v *accountView) findGroups() {
	v.gids = map[uint32]bool{}
	wanted := map[uint32]bool{}
	for _, r := range v.resources {
		if r.Kind == kindUser && r.After != nil {
			wanted[r.After.GID] = true
		}
	}
	for gid := range lookUpNumbers(v.files[pathGroup], wanted) {
		v.gids[gid] = true
	}
	for _, r := range v.o.indexed {
		if r.Kind == kindGroup && r.After != nil {
			v.gids[r.After.GID] = true
		}
	}
}

func (v *accountView) user(r *resource) error {
	passwd, shadow := v.lines[pathPasswd][r.Name], v.lines[pathShadow][r.Name]
	if passwd != "" {
		fields := strings.Split(passwd, ":")
		if len(fields) != 7 || shadow != "" && strings.Count(shadow, ":") != 8 {
			return fail(wire.CodeTaken, "user "+r.Name, "its lines in passwd and shadow can't be understood")
		}
		want := r.expectedID
		if r.After != nil {
			want = r.After.UID
		}
		if fields[2] != strconv.FormatUint(uint64(want), 10) {
			return fail(wire.CodeTaken, "user "+r.Name, "there is one already, with the id %s instead of %d", printable(fields[2]), want)
		}
		r.Before = &state{Text: passwd, Shadow: shadow}
		r.Before.UID = want
	} else if shadow != "" {
		r.Before = &state{Shadow: shadow}
		if r.After != nil {
			r.Before.UID = r.After.UID
		}
	}
	if r.After == nil {
		if r.Before != nil {
			r.Behind = map[string]string{pathPasswd: v.behind[pathPasswd][r.Name], pathShadow: v.behind[pathShadow][r.Name]}
		}
		return nil
	}
	gid := r.After.GID
	if !v.gids[gid] {
		return fail(wire.CodeMissing, "user "+r.Name, "there is no group with the id %d", gid)
	}
	if fields := strings.Split(r.After.Text, ":"); r.Before == nil || !strings.HasSuffix(r.Before.Text, ":"+fields[6]) {
		if err := v.checkShell(r, fields[6]); err != nil {
			return err
		}
	}
	r.After.Shadow = shadowLine(r, shadow, v.o.machine.clock.Now().Unix()/86400)
	if r.Before != nil {
		// The numbers are in the lines: those of the pair are for other kinds.
		r.Before.GID = gid
	}
	return nil
}

// shadowLine returns a user's line of shadow as it should be: the fields that are not
// ours stay, a new line gets what useradd gives. Who is expired also has his
// password locked, which "!" before its hash does; the hash stays.
func shadowLine(r *resource, before string, today int64) string {
	fields := strings.Split(before, ":")
	if before == "" {
		fields = []string{r.Name, noPassword, strconv.FormatInt(today, 10), "0", "99999", "7", "", "", ""}
	}
	hash := r.hash
	if hash == "" || r.keep && before != "" {
		hash = fields[1]
		if rest := strings.TrimPrefix(hash, "!"); rest != "" && fields[7] == "1" {
			hash = rest // it was locked by being expired
		}
	}
	if r.expired && !strings.HasPrefix(hash, "!") {
		hash = "!" + hash
	}
	if strings.TrimPrefix(fields[1], "!") != strings.TrimPrefix(hash, "!") && before != "" {
		fields[2] = strconv.FormatInt(today, 10) // a new password
	}
	fields[1], fields[7] = hash, ""
	if r.expired {
		fields[7] = "1"
	}
	return strings.Join(fields, ":")
}

func (v *accountView) group(r *resource) error {
	line, shadow := v.lines[pathGroup][r.Name], v.lines[pathGshadow][r.Name]
	if line != "" {
		_, gid, ok := nameAndNumber([]byte(line))
		want := r.expectedID
		if r.After != nil {
			want = r.After.GID
		}
		if want == 0 { // any id will do, so the one that it has
			want = gid
		}
		if !ok || gid != want {
			return fail(wire.CodeTaken, "group "+r.Name, "there is one already, with the id %d instead of %d", gid, want)
		}
		r.Before = &state{Text: line, Shadow: shadow}
		r.Before.GID = gid
		if r.After != nil { // its members and passwords are not this resource's business
			*r.After = *r.Before
			return nil
		}
		r.Behind = map[string]string{pathGroup: v.behind[pathGroup][r.Name], pathGshadow: v.behind[pathGshadow][r.Name]}
		return nil
	}
	if r.After == nil {
		return nil
	}
	if r.After.GID == 0 {
		gid, err := freeGID(v.files[pathGroup], v.given)
		if err != nil {
			return fail(wire.CodeTaken, "group "+r.Name, "it can't get an id").because(err)
		}
		r.After.GID, v.given[gid] = gid, true
	}
	r.After.Text = fmt.Sprintf("%s:x:%d:", r.Name, r.After.GID)
	if v.files[pathGshadow] != nil {
		r.After.Shadow = shadow // a line left behind is used again
		if shadow == "" {
			r.After.Shadow = r.Name + ":!::"
		}
	}
	return nil
}

func (v *accountView) member(r *resource) error {
	group, user := memberOf(r)
	declared := v.o.indexed[kindGroup+"\x00"+group]
	exists := v.lines[pathGroup][group] != ""
	if r.After != nil {
		made := declared != nil && declared.After != nil
		if !exists && !made {
			return fail(wire.CodeMissing, "member "+r.Name, "there is no group %s", group)
		}
		if v.files[pathGshadow] == nil || exists && v.lines[pathGshadow][group] == "" {
			r.After.Mode &^= memberGshadow
		}
	}
	bits := uint32(0)
	for _, file := range memberFiles {
		behind, is := v.members[file.path][group].find(user)
		if !is {
			continue
		}
		bits |= file.bit
		if r.After == nil {
			if r.Behind == nil {
				r.Behind = map[string]string{}
			}
			r.Behind[file.path] = behind
		}
	}
	if bits != 0 {
		r.Before = &state{Attributes: Attributes{Mode: bits}}
	}
	return nil
}

// leave drops what is subsumed: members of a group that goes go with its line.
func (v *accountView) leave() {
	gone := map[string]bool{}
	for _, r := range v.resources {
		if r.Kind == kindGroup && r.After == nil && r.Before != nil {
			gone[r.Name] = true
		}
	}
	for _, r := range v.resources {
		if group, _ := memberOf(r); r.Kind == kindMember && gone[group] && r.After == nil {
			r.Before = nil
		}
	}
}

package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"orchestra/pkg/wire"
)

// accountsKind brings about users, groups and memberships, in bulk:
// `user NAME UID GID HOME SHELL GECOS HASH EXPIRED`, `group NAME GID`,
// `member GROUP USER`, and `drop` of each.
type accountsKind struct{}

const (
	leastUID = 1000 // below are the system's own users
	leastGID = 100  // below are Debian's fixed groups
)

func (accountsKind) declare(s *step, d declaration) (*resource, error) {
	kind, drop := strings.CutPrefix(d.Verb, "drop-")
	arguments := d.Arguments
	count := 2
	if kind == kindUser && !drop {
		count = 8
	}
	if len(arguments) != count {
		return nil, errArguments
	}
	if !validAccount(arguments[0]) || kind == kindMember && !validAccount(arguments[1]) {
		return nil, fmt.Errorf("%q can't be the name of a %s", printable(strings.Join(arguments[:2], " ")), kind)
	}
	switch {
	case kind == kindMember:
		r := &resource{Kind: kindMember, Name: arguments[0] + " " + arguments[1]}
		if !drop {
			r.After = &state{Attributes: Attributes{Mode: memberGroup | memberGshadow}}
		}
		return r, nil
	case kind == kindGroup:
		r := &resource{Kind: kindGroup, Name: arguments[0], After: &state{}}
		if arguments[1] != "-" || drop { // "-" asks for any id of the system's
			gid, err := parseID(arguments[1], leastGID)
			if err != nil {
				return nil, err
			}
			r.After.GID = gid
		}
		if drop {
			r.After, r.Act = nil, nil
			r.expectedID, _ = parseID(arguments[1], leastGID)
		}
		return r, nil
	case drop:
		uid, err := parseID(arguments[1], leastUID)
		return &resource{Kind: kindUser, Name: arguments[0], expectedID: uid}, err
	}
	return declareUser(s, arguments)
}

func declareUser(s *step, arguments []string) (*resource, error) {
	r := &resource{Kind: kindUser, Name: arguments[0], After: &state{}}
	var err error
	if r.After.UID, err = parseID(arguments[1], leastUID); err != nil {
		return nil, err
	}
	if r.After.GID, err = parseID(arguments[2], leastGID); err != nil {
		return nil, err
	}
	home, shell, gecos, expired := arguments[3], arguments[4], arguments[5], arguments[7]
	for _, field := range []string{home, shell, gecos} {
		if strings.ContainsAny(field, ":\n\r") || printable(field) != field || HoldsReference(field) {
			return nil, fmt.Errorf("%q can't be a field of passwd", printable(field))
		}
	}
	if checkPath(home) != nil || checkPath(shell) != nil {
		return nil, fmt.Errorf("home %q and shell %q must be clean absolute paths", home, shell)
	}
	r.After.Text = strings.Join([]string{r.Name, "x", arguments[1], arguments[2], gecos, home, shell}, ":")
	if arguments[6] != "" {
		content, _, err := s.contentOf(arguments[6])
		if err != nil {
			return nil, err
		}
		hash := strings.TrimSuffix(string(content), "\n")
		if hash == "" || strings.ContainsAny(hash, ":\n\r\x00 \t") || printable(hash) != hash {
			return nil, errors.New("that can't be a password hash")
		}
		r.hash = hash
	}
	switch expired {
	case "0":
	case "1":
		r.expired = true
	default:
		return nil, fmt.Errorf("whether the user is expired is 0 or 1, not %q", printable(expired))
	}
	return r, nil
}

// validAccount accepts the names that shadow's tools accept on Debian, and no
// others: what is written here is read by every program.
func validAccount(name string) bool {
	if name == "" || len(name) > 32 || !strings.ContainsAny(name[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == ""
}

func parseID(text string, least uint32) (uint32, error) {
	id, err := parseNumber(text)
	if len(text) == 10 { // parseNumber stops at nine digits
		var n uint64
		n, err = strconv.ParseUint(text, 10, 32)
		id = int(n)
	}
	if err != nil || uint32(id) < least || id == 65534 || id == 65535 || uint64(id) >= 1<<32-2 {
		return 0, fmt.Errorf("%q can't be an id here: it is below %d, or reserved", printable(text), least)
	}
	return uint32(id), nil
}

func (accountsKind) observe(_ context.Context, o *operation, resources []*resource) ([]*resource, error) {
	files, err := readAccountFiles(o.machine.disk)
	if err != nil {
		return nil, fail(wire.CodeTaken, "/etc/passwd", "the files of accounts can't be read").because(err)
	}
	if files[pathPasswd] == nil || files[pathGroup] == nil || files[pathShadow] == nil {
		return nil, fail(wire.CodeMissing, "/etc/shadow", "the files of accounts are not there")
	}
	v := &accountView{o: o, files: files, resources: resources}
	if err := v.look(); err != nil {
		return nil, err
	}
	for _, r := range resources {
		switch r.Kind {
		case kindUser:
			err = v.user(r)
		case kindGroup:
			err = v.group(r)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, r := range resources {
		if r.Kind == kindMember {
			if err := v.member(r); err != nil {
				return nil, err
			}
		}
	}
	v.leave()
	return v.more, checkAccounts(files, resources)
}

func (accountsKind) digest(r *resource, s *state) string {
	switch r.Kind {
	case kindUser:
		shadow := strings.Split(s.Shadow, ":")
		if len(shadow) < 8 {
			return digestOf(s.Text)
		}
		return digestOf(s.Text, shadow[1], shadow[7])
	case kindGroup:
		return digestOf(s.GID)
	}
	return digestOf("member")
}

func (accountsKind) show(r *resource, s *state) string {
	switch r.Kind {
	case kindUser:
		return showUser(r, s)
	case kindGroup:
		return fmt.Sprintf("id %d", s.GID)
	}
	return "member"
}

func showUser(r *resource, s *state) string {
	fields := strings.Split(s.Text, ":")
	if len(fields) != 7 {
		return printable(s.Text)
	}
	password, expired := "none", "no"
	if shadow := strings.Split(s.Shadow, ":"); len(shadow) == 9 {
		switch hash := shadow[1]; {
		case len(hash) > 1 && hash[0] == '!':
			password = "locked"
		case hash != "" && hash != "!" && hash != "*":
			password = "set"
		}
		if r.Before != nil && s == r.After {
			if before := strings.Split(r.Before.Shadow, ":"); len(before) == 9 && before[1] != shadow[1] {
				password += " (changed)"
			}
		}
		if shadow[7] != "" {
			expired = "yes"
		}
	}
	return printable(fmt.Sprintf("id %s\ngroup %s\ncomment %s\nhome %s\nshell %s\npassword %s\nexpired %s",
		fields[2], fields[3], fields[4], fields[5], fields[6], password, expired))
}

// accountView is how the files of accounts are while a step is observed.
type accountView struct {
	o         *operation
	files     accountFiles
	resources []*resource
	lines     map[string]map[string]string   // by file and name
	behind    map[string]map[string]string   // what lines stand behind, by file and name
	members   map[string]map[string][]string // by file and group
	given     map[uint32]bool                // ids of groups given out
	more      []*resource                    // what follows from the declared
}

// look reads all lines that the step is about, in one pass over each file.
func (v *accountView) look() error {
	users, groups, leaving := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range v.resources {
		switch r.Kind {
		case kindUser:
			users[r.Name] = true
			leaving[r.Name] = leaving[r.Name] || r.After == nil
		case kindGroup:
			groups[r.Name] = true
		case kindMember:
			group, _ := memberOf(r)
			groups[group] = true
		}
	}
	v.implied(leaving, groups)
	v.lines, v.behind = map[string]map[string]string{}, map[string]map[string]string{}
	v.members, v.given = map[string]map[string][]string{}, map[uint32]bool{}
	for _, path := range accountPaths {
		wanted := users
		if path == pathGroup || path == pathGshadow {
			wanted = groups
		}
		found, err := lookUpLines(v.files[path], wanted)
		if err != nil {
			return fail(wire.CodeTaken, path, "it can't be understood").because(err)
		}
		v.lines[path], v.behind[path] = found, linesBefore(v.files[path], wanted)
	}
	for _, path := range []string{pathGroup, pathGshadow} {
		v.members[path] = map[string][]string{}
		for name, text := range v.lines[path] {
			line, err := parseGroupLine(text)
			if err != nil {
				return fail(wire.CodeTaken, path, "it can't be understood").because(err)
			}
			v.members[path][name] = line.members
		}
	}
	return nil
}

// implied adds what userdel does as well: a user that goes leaves all groups.
func (v *accountView) implied(leaving, groups map[string]bool) {
	known := map[string]bool{}
	for _, r := range v.resources {
		if r.Kind == kindMember {
			known[r.Name] = true
		}
	}
	for _, user := range v.resources {
		if user.Kind != kindUser || !leaving[user.Name] || user.After != nil {
			continue
		}
		for _, group := range groupsOf(v.files, user.Name) {
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
	if err := v.hasGroup(r); err != nil {
		return err
	}
	gid := r.After.GID
	r.After.Shadow = shadowLine(r, shadow, v.o.machine.clock.Now().Unix()/86400)
	if r.Before != nil {
		// The numbers are in the lines: those of the pair are for other kinds.
		r.Before.GID = gid
	}
	return nil
}

// shadowLine returns a user's line of shadow as it should be: the fields that are not
// ours stay, a new line gets what useradd gives.
func shadowLine(r *resource, before string, today int64) string {
	fields := strings.Split(before, ":")
	if before == "" {
		fields = []string{r.Name, "!", strconv.FormatInt(today, 10), "0", "99999", "7", "", "", ""}
	}
	if r.hash != "" && fields[1] != r.hash {
		fields[1] = r.hash
		if before != "" {
			fields[2] = strconv.FormatInt(today, 10)
		}
	}
	fields[7] = ""
	if r.expired {
		fields[7] = "1"
	}
	return strings.Join(fields, ":")
}

// hasGroup refuses a user whose main group is neither there nor declared.
func (v *accountView) hasGroup(r *resource) error {
	for _, other := range v.o.indexed {
		if other.Kind == kindGroup && other.After != nil && other.After.GID == r.After.GID {
			return nil
		}
	}
	if lookUpNumbers(v.files[pathGroup], map[uint32]bool{r.After.GID: true})[r.After.GID] == "" {
		return fail(wire.CodeMissing, "user "+r.Name, "there is no group with the id %d", r.After.GID)
	}
	return nil
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
		at := slices.Index(v.members[file.path][group], user)
		if at < 0 {
			continue
		}
		bits |= file.bit
		if r.After == nil {
			if r.Behind == nil {
				r.Behind = map[string]string{}
			}
			r.Behind[file.path] = ""
			if at > 0 {
				r.Behind[file.path] = v.members[file.path][group][at-1]
			}
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
	for _, r := range v.more {
		if r.Before == nil {
			continue
		}
	}
}

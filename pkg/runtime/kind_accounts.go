package runtime

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"orchestra/pkg/wire"
)

// accountsKind brings about users, groups and memberships, in bulk:
// `user NAME UID GID HOME SHELL GECOS HASH EXPIRED`, `group NAME GID`,
// `member GROUP USER`, and `drop` of each.
type accountsKind struct{}

const (
	// noPassword stands in shadow where no password lets anybody in, and before
	// a hash that is kept for later.
	noPassword = "!"

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
	keeps := count == 8 && len(arguments) == 9 && arguments[8] == "keep"
	if len(arguments) != count && !keeps {
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
		gid := uint32(0)
		if arguments[1] != "-" { // "-" stands for any id of the system's
			var err error
			if gid, err = parseID(arguments[1], leastGID); err != nil {
				return nil, err
			}
		}
		r := &resource{Kind: kindGroup, Name: arguments[0], expectedID: gid}
		if !drop {
			r.After = &state{Attributes: Attributes{Owner: Owner{GID: gid}}}
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
	switch arguments[6] {
	case "":
	case noPassword:
		r.hash = noPassword
	default:
		content, _, err := s.contentOf(arguments[6])
		if err != nil {
			return nil, err
		}
		hash := strings.TrimSuffix(string(content), "\n")
		if hash == "" || hash[0] == '!' || strings.ContainsAny(hash, ":\n\r\x00 \t") || printable(hash) != hash {
			return nil, errors.New("that can't be a password hash")
		}
		r.hash = hash
	}
	r.keep = len(arguments) == 9
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
	files, err := o.accountsNow()
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
			return nil, concerning(err, r)
		}
	}
	for _, r := range v.resources { // with those that a user who goes leaves
		if r.Kind == kindMember {
			if err := v.member(r); err != nil {
				return nil, concerning(err, r)
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
	return digestOf("member", s.Mode) // of which files
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

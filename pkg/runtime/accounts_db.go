package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The files of accounts.
const (
	pathPasswd  = "/etc/passwd"
	pathShadow  = "/etc/shadow"
	pathGroup   = "/etc/group"
	pathGshadow = "/etc/gshadow"
)

// accountPaths are those files in the order in which they are replaced: a user
// appears in passwd when all the rest of it is there.
var accountPaths = []string{pathGroup, pathGshadow, pathShadow, pathPasswd}

// accountFiles are the contents of the files of accounts; nil for one that is missing.
type accountFiles map[string][]byte

func readAccountFiles(disk Disk) (accountFiles, error) {
	files := accountFiles{}
	for _, name := range accountPaths {
		data, _, err := disk.Read(name, ownLimit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[name] = data
	}
	return files, nil
}

// accountNames are the numbers of the users and groups of a machine.
type accountNames struct{ users, groups map[string]uint32 }

func readAccountNames(disk Disk) (*accountNames, error) {
	names := &accountNames{users: map[string]uint32{}, groups: map[string]uint32{}}
	for path, into := range map[string]map[string]uint32{pathPasswd: names.users, pathGroup: names.groups} {
		data, _, err := disk.Read(path, ownLimit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(data) {
			name, number, ok := nameAndNumber(line)
			if !ok {
				continue
			}
			if _, twice := into[string(name)]; !twice {
				into[string(name)] = number
			}
		}
	}
	return names, nil
}

// nameAndNumber returns the first and the third field of a line of passwd or group.
func nameAndNumber(line []byte) (name []byte, number uint32, ok bool) {
	name, rest, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || name[0] == '+' || name[0] == '-' || name[0] == '#' {
		return nil, 0, false
	}
	_, rest, ok = bytes.Cut(rest, []byte(":"))
	if !ok {
		return nil, 0, false
	}
	digits, _, _ := bytes.Cut(rest, []byte(":"))
	n, err := strconv.ParseUint(string(bytes.TrimRight(digits, "\n")), 10, 32)
	return name, uint32(n), err == nil
}

// lineName returns the name that a line of such a file is about, nil for none.
func lineName(line []byte) []byte {
	name, _, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || name[0] == '+' || name[0] == '-' || name[0] == '#' {
		return nil
	}
	return name
}

// lookUpLines returns the lines of the wanted names, without their newline. A
// name that is there twice is an error: there is no telling which one counts.
func lookUpLines(data []byte, wanted map[string]bool) (map[string]string, error) {
	found := make(map[string]string, len(wanted))
	for line := range bytes.Lines(data) {
		name := lineName(line)
		if name == nil || !wanted[string(name)] {
			continue
		}
		if _, twice := found[string(name)]; twice {
			return nil, fmt.Errorf("%q is there twice", name)
		}
		found[string(name)] = strings.TrimSuffix(string(line), "\n")
	}
	return found, nil
}

// lookUpNumbers returns, for each wanted number, the first name that has it.
func lookUpNumbers(data []byte, wanted map[uint32]bool) map[uint32]string {
	found := map[uint32]string{}
	for line := range bytes.Lines(data) {
		name, number, ok := nameAndNumber(line)
		if ok && wanted[number] {
			if _, twice := found[number]; !twice {
				found[number] = string(name)
			}
		}
	}
	return found
}

// lineEdit is what the line of one name is and becomes: "" for none.
type lineEdit struct {
	from, to string
	// after is the line behind which a line that comes back was: see lineKey.
	after string
	known bool // after is known; otherwise the line comes last
}

// lineKey tells lines apart by their name, or by their text where they have none.
func lineKey(line []byte) string {
	if name := lineName(line); name != nil {
		return string(name)
	}
	return "\x00" + strings.TrimSuffix(string(line), "\n")
}

// linesBefore returns, for each wanted name, the key of the line before its line.
func linesBefore(data []byte, wanted map[string]bool) map[string]string {
	found := map[string]string{}
	last := ""
	for line := range bytes.Lines(data) {
		key := lineKey(line)
		if wanted[key] {
			found[key] = last
		}
		last = key
	}
	return found
}

// editLines returns data with the lines of the names in edits replaced, removed
// or added. All other lines stay byte for byte. A line that comes back goes where it
// was; new ones come last, in the given order, but before lines that say
// "and all the users of NIS".
func editLines(data []byte, edits map[string]lineEdit, order []string) []byte {
	var out bytes.Buffer
	out.Grow(len(data) + 80*len(edits))
	behind := map[string][]string{} // names of lines that come back, by what they follow
	var last []string
	for _, name := range order {
		edit, ok := edits[name]
		switch {
		case !ok || edit.from != "" || edit.to == "":
		case edit.known:
			behind[edit.after] = append(behind[edit.after], name)
		default:
			last = append(last, name)
		}
	}
	write := func(text string) {
		if out.Len() > 0 && out.Bytes()[out.Len()-1] != '\n' {
			out.WriteByte('\n')
		}
		out.WriteString(text + "\n")
	}
	var comeBack func(key string)
	comeBack = func(key string) {
		names := behind[key]
		delete(behind, key)
		for _, name := range names {
			write(edits[name].to)
			comeBack(name)
		}
	}
	addNew := func() {
		for _, name := range last {
			write(edits[name].to)
		}
		last = nil
	}
	comeBack("")
	for line := range bytes.Lines(data) {
		if line[0] == '+' || line[0] == '-' {
			addNew()
		}
		name := lineName(line)
		edit, ok := edits[string(name)]
		if name == nil || !ok || edit.from == "" {
			if out.Len() > 0 && out.Bytes()[out.Len()-1] != '\n' {
				out.WriteByte('\n')
			}
			out.Write(line)
		} else if edit.to != "" {
			write(edit.to)
		}
		comeBack(lineKey(line))
	}
	addNew()
	for len(behind) > 0 { // what they followed is gone
		comeBack(slices.Min(slices.Collect(maps.Keys(behind))))
	}
	return out.Bytes()
}

// groupLine is a line of group or gshadow: what comes before the list of
// members, and that list.
type groupLine struct {
	head    string // with its last colon
	members []string
}

func parseGroupLine(line string) (groupLine, error) {
	at := strings.LastIndexByte(line, ':')
	if strings.Count(line, ":") != 3 {
		return groupLine{}, fmt.Errorf("%q is not a line of four fields", printable(line))
	}
	parsed := groupLine{head: line[:at+1]}
	if line[at+1:] != "" {
		parsed.members = strings.Split(line[at+1:], ",")
	}
	return parsed, nil
}

func (l groupLine) String() string { return l.head + strings.Join(l.members, ",") }

// comeBack puts members back behind those that they stood behind, or last where
// these are gone.
func (l *groupLine) comeBack(behind map[string][]string) {
	members := make([]string, 0, len(l.members)+len(behind))
	var take func(name string)
	take = func(name string) {
		waiting := behind[name]
		delete(behind, name)
		for _, member := range waiting {
			members = append(members, member)
			take(member)
		}
	}
	take("")
	for _, member := range l.members {
		members = append(members, member)
		take(member)
	}
	for len(behind) > 0 {
		take(slices.Min(slices.Collect(maps.Keys(behind))))
	}
	l.members = members
}

// remove takes a member out, however often it is there.
func (l *groupLine) remove(name string) {
	l.members = slices.DeleteFunc(l.members, func(member string) bool { return member == name })
}

// groupsOf returns the groups that list each of the users, in one pass.
func groupsOf(files accountFiles, users map[string]bool) map[string][]string {
	found := map[string][]string{}
	for _, path := range []string{pathGroup, pathGshadow} {
		for line := range bytes.Lines(files[path]) {
			name := lineName(line)
			if name == nil {
				continue
			}
			parsed, err := parseGroupLine(strings.TrimSuffix(string(line), "\n"))
			if err != nil {
				continue // an odd line stays as it is
			}
			for _, member := range parsed.members {
				if users[member] && !slices.Contains(found[member], string(name)) {
					found[member] = append(found[member], string(name))
				}
			}
		}
	}
	return found
}

package runtime

import (
	"bytes"
	"cmp"
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

// findNumber returns the number of one user or group.
func findNumber(data []byte, name string) (uint32, bool) {
	number, found := uint32(0), false
	findLines(data, map[string]bool{name: true}, func(_ string, _ int, line []byte) {
		if _, n, ok := nameAndNumber(line); ok && !found {
			number, found = n, true
		}
	})
	return number, found
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

// fewNames is up to how many names are searched for one by one; for more of
// them all lines are looked at.
const fewNames = 16

// findLines calls f with the wanted lines, without their newline, and where they begin.
func findLines(data []byte, wanted map[string]bool, f func(name string, at int, line []byte)) {
	if len(wanted) > fewNames {
		at := 0
		for line := range bytes.Lines(data) {
			if name := lineName(line); name != nil && wanted[string(name)] {
				f(string(name), at, bytes.TrimSuffix(line, []byte("\n")))
			}
			at += len(line)
		}
		return
	}
	for name := range wanted {
		begin := []byte(name + ":")
		for at := 0; at < len(data); {
			found := bytes.Index(data[at:], begin)
			if found < 0 {
				break
			}
			at += found
			line, _, _ := bytes.Cut(data[at:], []byte("\n"))
			if (at == 0 || data[at-1] == '\n') && string(lineName(line)) == name {
				f(name, at, line)
			}
			at += len(begin)
		}
	}
}

// lookUpLines returns the lines of the wanted names, without their newline. A
// name that is there twice is an error: there is no telling which one counts.
func lookUpLines(data []byte, wanted map[string]bool) (map[string]string, error) {
	found := make(map[string]string, len(wanted))
	var err error
	findLines(data, wanted, func(name string, _ int, line []byte) {
		if _, twice := found[name]; twice {
			err = fmt.Errorf("%q is there twice", name)
		}
		found[name] = string(line)
	})
	return found, err
}

// lookUpNumbers returns, for each wanted number, the first name that has it.
func lookUpNumbers(data []byte, wanted map[uint32]bool) map[uint32]string {
	found := map[uint32]string{}
	take := func(line []byte) {
		name, number, ok := nameAndNumber(line)
		if ok && wanted[number] {
			if _, twice := found[number]; !twice {
				found[number] = string(name)
			}
		}
	}
	if len(wanted) > fewNames {
		for line := range bytes.Lines(data) {
			take(line)
		}
		return found
	}
	for number := range wanted {
		text := fmt.Appendf(nil, ":%d:", number)
		for at := 0; ; at += len(text) - 1 {
			next := bytes.Index(data[at:], text)
			if next < 0 {
				break
			}
			at += next
			take(data[bytes.LastIndexByte(data[:at], '\n')+1:])
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
	findLines(data, wanted, func(name string, at int, _ []byte) {
		found[name] = ""
		if at > 0 {
			found[name] = lineKey(data[bytes.LastIndexByte(data[:at-1], '\n')+1 : at])
		}
	})
	return found
}

// splice is a piece of a file that is replaced.
type splice struct {
	at, end int
	text    string
}

// editLines returns data with the lines of the names in edits replaced, removed
// or added. All other lines stay byte for byte. A line that comes back goes where it
// was; new ones come last, in the given order, but before lines that say
// "and all the users of NIS".
func editLines(data []byte, edits map[string]lineEdit, order []string) []byte {
	var splices []splice
	there := map[string]bool{}      // lines that are replaced or removed
	behind := map[string][]string{} // names of lines that come back, by the key of what they follow
	var last strings.Builder
	for _, name := range order {
		edit, ok := edits[name]
		switch {
		case !ok:
		case edit.from != "":
			there[name] = true
		case edit.to == "":
		case edit.known:
			behind[edit.after] = append(behind[edit.after], name)
		default:
			last.WriteString(edit.to + "\n")
		}
	}
	seen := map[string]bool{}
	findLines(data, there, func(name string, at int, line []byte) {
		if seen[name] {
			return
		}
		seen[name] = true
		end, text := min(at+len(line)+1, len(data)), edits[name].to
		if text != "" {
			text += "\n"
		}
		splices = append(splices, splice{at, end, text})
	})
	splices = append(splices, comingBack(data, edits, behind)...)
	if last.Len() > 0 {
		at := beforeNIS(data)
		splices = append(splices, splice{at, at, last.String()})
	}
	// Where a line goes and another comes, it comes before what stood behind that one.
	slices.SortStableFunc(splices, func(a, b splice) int { return cmp.Or(a.at-b.at, a.end-b.end) })
	return join(data, splices)
}

// comingBack returns what puts lines back behind those that they stood behind, or last
// where these are gone.
func comingBack(data []byte, edits map[string]lineEdit, behind map[string][]string) []splice {
	var splices []splice
	var chain func(key string) string
	chain = func(key string) string {
		text := ""
		names := behind[key]
		delete(behind, key)
		for _, name := range names {
			text += edits[name].to + "\n" + chain(name)
		}
		return text
	}
	comes := map[string]bool{}
	for _, names := range behind {
		for _, name := range names {
			comes[name] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(behind)) {
		if comes[key] {
			continue // it comes back itself, and takes with it what follows it
		}
		if at := endOf(data, key); at >= 0 {
			splices = append(splices, splice{at, at, chain(key)})
		}
	}
	text := ""
	for len(behind) > 0 {
		text += chain(slices.Min(slices.Collect(maps.Keys(behind))))
	}
	if text != "" {
		splices = append(splices, splice{len(data), len(data), text})
	}
	return splices
}

// endOf returns where the line with that key ends, -1 where it is not there.
func endOf(data []byte, key string) int {
	if key == "" {
		return 0
	}
	text, odd := strings.CutPrefix(key, "\x00")
	if !odd {
		text += ":"
	}
	for at := 0; at <= len(data); at++ {
		next := bytes.Index(data[at:], []byte(text))
		if next < 0 {
			return -1
		}
		at += next
		line, _, _ := bytes.Cut(data[at:], []byte("\n"))
		if (at == 0 || data[at-1] == '\n') && lineKey(line) == key {
			return min(at+len(line)+1, len(data))
		}
	}
	return -1
}

// beforeNIS returns where new lines go: the end, or before the first line that
// begins with a plus or a minus.
func beforeNIS(data []byte) int {
	first := len(data)
	for _, sign := range []byte("+-") {
		for at := 0; at < first; at++ {
			next := bytes.IndexByte(data[at:first], sign)
			if next < 0 {
				break
			}
			at += next
			if at == 0 || data[at-1] == '\n' {
				first = at
			}
		}
	}
	return first
}

// join applies splices, in their order. Text that is put behind a line without
// a newline gets one.
func join(data []byte, splices []splice) []byte {
	var out bytes.Buffer
	out.Grow(len(data) + 100*len(splices))
	at := 0
	for _, s := range splices {
		out.Write(data[at:s.at])
		if s.text != "" && out.Len() > 0 && out.Bytes()[out.Len()-1] != '\n' {
			out.WriteByte('\n')
		}
		out.WriteString(s.text)
		at = s.end
	}
	out.Write(data[at:])
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
	if len(users) == 0 {
		return found
	}
	for _, path := range []string{pathGroup, pathGshadow} {
		for line := range bytes.Lines(files[path]) {
			name := lineName(line)
			if name == nil || !mentions(line, users) {
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

// mentions tells whether it is worth taking a line apart for the users.
func mentions(line []byte, users map[string]bool) bool {
	if len(users) > fewNames {
		return true
	}
	for user := range users {
		if bytes.Contains(line, []byte(user)) {
			return true
		}
	}
	return false
}

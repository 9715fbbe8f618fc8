package runtime

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"orchestra/pkg/wire"
)

// entryKind brings about one key of a file that others write to as well:
// `entry FILE KEY VALUE [lines|colon]` and `drop entry FILE KEY [lines|colon]`. Lines of other keys, and
// lines that are no entries, stay byte for byte.
type entryKind struct{}

// The formats of files of entries.
const (
	formatLines = "lines" // KEY, blanks, VALUE: as Postfix's maps
	formatColon = "colon" // KEY:VALUE: as passwd-files
)

// entryGrowth is how much a file may grow meanwhile, by others, and undo still need no space.
const entryGrowth = 64 << 10

func (entryKind) declare(s *step, d declaration) (*resource, error) {
	least, most := 3, 4
	if d.Verb == "drop-entry" {
		least, most = 2, 3
	}
	if len(d.Arguments) < least || len(d.Arguments) > most {
		return nil, errArguments
	}
	r := &resource{Kind: kindEntry, Name: d.Arguments[1], where: d.Arguments[0], Format: formatLines}
	if len(d.Arguments) == most {
		r.Format = d.Arguments[most-1]
	}
	if r.Format != formatLines && r.Format != formatColon {
		return nil, fmt.Errorf("%q is neither lines nor colon", printable(r.Format))
	}
	if !validKey(r.Name, r.Format) {
		return nil, fmt.Errorf("%q can't be the key of an entry", printable(r.Name))
	}
	if d.Verb == "drop-entry" {
		return r, nil
	}
	value, secret, err := s.expand(d.Arguments[2])
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(value, "\n\r\x00") || strings.Trim(value, " \t") != value {
		return nil, fmt.Errorf("the value of %q can't be one of an entry", printable(r.Name))
	}
	r.After, r.Secret = &state{Text: value}, secret
	return r, nil
}

func validKey(key, format string) bool {
	if key == "" || strings.ContainsAny(key, "\n\r\x00 \t") || key[0] == '#' {
		return false
	}
	return format != formatColon || !strings.Contains(key, ":")
}

// entryKey returns the key of a line, "" for a line that is no entry.
func entryKey(line, format string) (key, value string) {
	if line == "" || line[0] == '#' || line[0] == ' ' || line[0] == '\t' {
		return "", ""
	}
	if format == formatColon {
		key, value, found := strings.Cut(line, ":")
		if !found {
			return "", ""
		}
		return key, value
	}
	at := strings.IndexAny(line, " \t")
	if at < 0 {
		return line, ""
	}
	return line[:at], strings.Trim(line[at:], " \t")
}

func entryLine(key, value, format string) string {
	if format == formatColon {
		return key + ":" + value
	}
	if value == "" {
		return key
	}
	return key + " " + value
}

// byFile groups entries, in order of their files.
func byFile(resources []*resource) [][]*resource {
	var groups [][]*resource
	index := map[string]int{}
	for _, r := range resources {
		at, ok := index[r.Place.Path]
		if !ok {
			at, index[r.Place.Path] = len(groups), len(groups)
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], r)
	}
	return groups
}

func (entryKind) observe(ctx context.Context, o *operation, resources []*resource) ([]*resource, error) {
	for _, group := range byFile(resources) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		first := group[0]
		data, _, err := first.disk(o.machine).Read(first.Place.Path, ownLimit)
		if errors.Is(err, fs.ErrNotExist) {
			if err := o.mustHaveParent(first); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, fail(wire.CodeTaken, first.where, "it can't be read").because(err)
		}
		found, err := findEntries(data, group)
		if err != nil {
			return nil, fail(wire.CodeTaken, first.where, "it can't be understood").because(err)
		}
		for _, r := range group {
			if entry, ok := found[r.Name]; ok {
				r.Before, r.Line = &state{Text: entry.value}, entry.line
				if r.After == nil {
					r.Behind = map[string]string{r.Place.Path: entry.behind}
				}
			}
		}
	}
	return nil, nil
}

// nth tells a line apart from those before it that are the same.
func nth(twins map[string]int, line string) string {
	twins[line]++
	return strconv.Itoa(twins[line]) + " " + line
}

// foundEntry is an entry with its line, and the line that it stands behind, as nth
// says it; "" at the beginning of the file.
type foundEntry struct{ value, line, behind string }

// findEntries returns the entries of the keys of group that are in data.
func findEntries(data []byte, group []*resource) (map[string]foundEntry, error) {
	wanted := make(map[string]bool, len(group))
	for _, r := range group {
		wanted[r.Name] = true
		if r.Format != group[0].Format {
			return nil, errors.New("it is declared in two formats")
		}
	}
	found := map[string]foundEntry{}
	last, before, twins := "", "", map[string]int{}
	for raw := range bytes.Lines(data) {
		line, behind := strings.TrimSuffix(string(raw), "\n"), before
		before = nth(twins, line)
		if last != "" && line != "" && (line[0] == ' ' || line[0] == '\t') {
			return nil, fmt.Errorf("the entry of %q goes on in the next line", printable(last))
		}
		key, value := entryKey(line, group[0].Format)
		last = ""
		if !wanted[key] {
			continue
		}
		if _, twice := found[key]; twice {
			return nil, fmt.Errorf("%q is there twice", printable(key))
		}
		found[key], last = foundEntry{value: value, line: line, behind: behind}, key
	}
	return found, nil
}

// editEntries returns data with the pairs of group brought about, in the
// direction of publishing or back, and a problem for each that is neither as
// it was nor as it should become.
func editEntries(data []byte, group []*resource, back bool) ([]byte, []error) {
	found, err := findEntries(data, group)
	if err != nil {
		return nil, []error{fail(wire.CodeChanged, group[0].where, "it can't be understood").because(err)}
	}
	edits := map[string]*resource{}
	var failed []error
	for _, r := range group {
		from, to := r.Before, r.After
		if back {
			from, to = to, from
		}
		var live *state
		if entry, ok := found[r.Name]; ok {
			live = &state{Text: entry.value}
		}
		switch {
		case live.is(to):
		case live.is(from):
			edits[r.Name] = r
		default:
			failed = append(failed, changed(r, "its entry in "+r.Place.Path+" is another"))
		}
	}
	return rewriteEntries(data, group, edits, back), failed
}

// rewriteEntries writes a file anew. Lines of others stay; an entry that comes
// back goes behind the line that it stood behind, new ones come last.
func rewriteEntries(data []byte, group []*resource, edits map[string]*resource, back bool) []byte {
	var out bytes.Buffer
	out.Grow(len(data) + 64*len(edits))
	write := func(r *resource) {
		if out.Len() > 0 && out.Bytes()[out.Len()-1] != '\n' {
			out.WriteByte('\n')
		}
		switch {
		case back && r.Before != nil:
			out.WriteString(r.Line + "\n")
		case !back && r.After != nil:
			out.WriteString(entryLine(r.Name, r.After.Text, r.Format) + "\n")
		}
		delete(edits, r.Name)
	}
	behind := map[string][]*resource{}
	for _, r := range group {
		if after, known := r.Behind[r.Place.Path]; back && known && r.After == nil && edits[r.Name] == r {
			behind[after] = append(behind[after], r)
		}
	}
	var comeBack func(line string)
	comeBack = func(line string) {
		waiting := behind[line]
		delete(behind, line)
		for _, r := range waiting {
			write(r)
			comeBack("1 " + r.Line)
		}
	}
	comeBack("")
	twins := map[string]int{}
	for raw := range bytes.Lines(data) {
		line := strings.TrimSuffix(string(raw), "\n")
		key, _ := entryKey(line, group[0].Format)
		if r := edits[key]; r != nil && !(back && r.After == nil) {
			write(r)
			if back {
				line = r.Line
			}
		} else {
			out.Write(raw)
		}
		comeBack(nth(twins, line))
	}
	for _, r := range group { // what is new comes last, in the order declared
		if edits[r.Name] == r {
			write(r)
		}
	}
	return out.Bytes()
}

// plan gives the resources of one file one temporary name; publish writes to it
// and undo to its sibling.
func (entryKind) plan(o *operation, resources []*resource) error {
	for _, group := range byFile(resources) {
		temp := o.tempName(group[0].Place.Near)
		_, err := group[0].disk(o.machine).Stat(group[0].Place.Path)
		for _, r := range group {
			r.Temp, r.Made = temp, errors.Is(err, fs.ErrNotExist)
		}
	}
	return nil
}

func (entryKind) stage(ctx context.Context, o *operation, resources []*resource) error {
	for _, group := range byFile(resources) {
		if err := ctx.Err(); err != nil {
			return err
		}
		grown := int64(0)
		for _, r := range group {
			if r.After != nil {
				grown += int64(len(r.Name) + len(r.After.Text) + 2)
			}
		}
		if err := stageShared(o, group[0], grown); err != nil {
			return err
		}
	}
	return nil
}

func undoName(temp string) string { return temp + ".undo" }

// stageShared sets space aside beside a shared file, to write it anew twice.
func stageShared(o *operation, r *resource, grown int64) error {
	disk, name := r.disk(o.machine), r.Place.Path
	attributes, size := Attributes{Mode: 0o644}, int64(0)
	if r.Format == formatColon { // such files hold passwords
		attributes.Mode = 0o600
	}
	if r.Place.Owner != nil {
		attributes.Owner = *r.Place.Owner
	}
	info, err := disk.Stat(name)
	exists := err == nil
	if exists {
		attributes, size = info.Attributes, info.Size
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fail(wire.CodeInternal, name, "it can't be looked at").because(err)
	}
	for _, temp := range []string{r.Temp, undoName(r.Temp)} {
		o.touch(temp)
		err := disk.Create(temp, nil, attributes)
		if err == nil {
			err = disk.Allocate(temp, size+grown+entryGrowth)
		}
		if err == nil && exists {
			err = disk.CopyExtended(name, temp)
		}
		if err != nil {
			return fail(wire.CodeInternal, name, "no space can be set aside beside it").because(err)
		}
		o.unsynced = append(o.unsynced, temp)
	}
	return nil
}

func (entryKind) publish(ctx context.Context, o *operation, resources []*resource) error {
	for _, group := range byFile(resources) {
		if err := ctx.Err(); err != nil {
			return err
		}
		first := group[0]
		err := replaceShared(o, first, first.disk(o.machine), first.Temp, func(data []byte) ([]byte, error) {
			edited, failed := editEntries(data, group, false)
			reached(group, len(failed) == 0)
			return edited, errors.Join(failed...)
		})
		if p := (*problem)(nil); errors.As(err, &p) && p.code == wire.CodeChanged {
			reached(group, false) // it was found before anything was put in place
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func reached(group []*resource, is bool) {
	for _, r := range group {
		r.reached = is
	}
}

func (entryKind) undo(_ context.Context, o *operation, resources []*resource) []error {
	var failed []error
	for _, group := range slices.Backward(byFile(resources)) {
		first := group[0]
		var conflicts []error
		err := replaceShared(o, first, o.machine.disk, undoName(first.Temp), func(data []byte) (edited []byte, err error) {
			edited, conflicts = editEntries(data, group, true)
			return edited, nil
		})
		if err == nil && first.Made {
			err = removeMade(o, first)
		}
		err = first.unlessTaken(err)
		failed = append(failed, conflicts...)
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// removeMade removes a file that this operation made, where nobody else has
// written to it.
func removeMade(o *operation, r *resource) error {
	disk, name := o.machine.disk, r.Place.Path
	info, err := disk.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && info.Size > 0) {
		return nil
	}
	if err != nil {
		return err
	}
	o.touch(name, r.Temp)
	if err := disk.Rename(name, r.Temp); err != nil {
		return err
	}
	if info, err := disk.Stat(r.Temp); err != nil || info.Size > 0 {
		return errors.Join(err, disk.Rename(r.Temp, name))
	}
	return nil
}

// replaceShared edits a file that others write to as well. temp has space set
// aside: it gets the new content, and takes the file's place. When somebody else
// wrote meanwhile, his file goes back and the edit is made anew.
func replaceShared(o *operation, r *resource, disk Disk, temp string, edit func([]byte) ([]byte, error)) error {
	name := r.Place.Path
	for range 10 {
		data, info, err := disk.Read(name, ownLimit)
		missing := errors.Is(err, fs.ErrNotExist)
		if err != nil && !missing {
			return fail(wire.CodeInternal, name, "it can't be read").because(err)
		}
		edited, err := edit(data)
		if err != nil {
			return err
		}
		if bytes.Equal(edited, data) {
			return nil
		}
		waiting, err := disk.Stat(temp)
		if err == nil && !missing && waiting.Attributes != info.Attributes {
			return changed(r, "the owner or mode of "+name+" is another")
		}
		err = disk.Overwrite(temp, edited)
		if err == nil {
			err = o.machine.disk.Sync(temp)
		}
		if err != nil {
			return fail(wire.CodeInternal, name, "it can't be written anew").because(err)
		}
		o.touch(name, temp)
		if missing {
			err = disk.Rename(temp, name)
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			return err
		}
		if err := disk.Exchange(temp, name); err != nil {
			return fail(wire.CodeInternal, name, "it can't be put in place").because(err)
		}
		old, was, err := disk.Read(temp, ownLimit)
		if err == nil && bytes.Equal(old, data) && was.Attributes == info.Attributes {
			return nil
		}
		if err := disk.Exchange(temp, name); err != nil {
			return fail(wire.CodeInternal, name, "what somebody else wrote can't be put back from %s", temp).because(err)
		}
	}
	return fail(wire.CodeBusy, name, "others keep writing to it")
}

func (entryKind) sweep(o *operation, resources []*resource) error {
	var failed error
	for _, group := range byFile(resources) {
		temp := group[0].Temp
		if temp == "" {
			continue // staging did not come so far
		}
		failed = errors.Join(failed, group[0].unlessTaken(sweepTemp(o, temp)), group[0].unlessTaken(sweepTemp(o, undoName(temp))))
	}
	return failed
}

func (entryKind) digest(_ *resource, s *state) string {
	sum := sha256.Sum256([]byte(s.Text))
	return digestOf(sum[:])
}

func (entryKind) show(r *resource, s *state) string {
	return printable(entryLine(r.Name, s.Text, r.Format)) + " in " + path.Base(r.Place.Path)
}

package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"orchestra/pkg/wire"
)

// lineEntries are the entries of files of text, a line each, in the formats lines
// and colon. The file is written anew, beside, and exchanged.
type lineEntries struct{}

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

func (lineEntries) observe(o *operation, group []*resource) error {
	first := group[0]
	there, err := o.lookAtFile(group)
	if err != nil || there == nil {
		return err
	}
	data, _, err := first.disk(o.machine).Read(first.Place.Path, ownLimit)
	if err != nil {
		return fail(wire.CodeTaken, first.where, "it can't be read").because(err)
	}
	found, unclear, err := findEntries(data, group)
	if err != nil {
		return concerning(fail(wire.CodeTaken, first.where, "it can't be understood").because(err), unclear)
	}
	for _, r := range group {
		if entry, ok := found[r.Name]; ok {
			r.Before, r.Line = &state{Text: entry.value}, entry.line
			if r.After == nil {
				r.Behind = map[string]string{r.Place.Path: entry.behind}
			}
		}
	}
	return nil
}

// nth tells a line apart from those before it that are the same.
func nth(twins map[string]int, line string) string {
	twins[line]++
	return strconv.Itoa(twins[line]) + " " + line
}

// foundEntry is an entry with its line, and the line that it stands behind, as nth
// says it; "" at the beginning of the file.
type foundEntry struct{ value, line, behind string }

// findEntries returns the entries of the keys of group that are in data, or the one
// whose entry can't be told, and why.
func findEntries(data []byte, group []*resource) (map[string]foundEntry, *resource, error) {
	wanted := make(map[string]*resource, len(group))
	for _, r := range group {
		wanted[r.Name] = r
	}
	found := map[string]foundEntry{}
	last, before, twins := "", "", map[string]int{}
	for raw := range bytes.Lines(data) {
		line, behind := strings.TrimSuffix(string(raw), "\n"), before
		before = nth(twins, line)
		if last != "" && line != "" && (line[0] == ' ' || line[0] == '\t') {
			return nil, wanted[last], fmt.Errorf("the entry of %q goes on in the next line", printable(last))
		}
		key, value := entryKey(line, group[0].Format)
		last = ""
		if wanted[key] == nil {
			continue
		}
		if _, twice := found[key]; twice {
			return nil, wanted[key], fmt.Errorf("%q is there twice", printable(key))
		}
		found[key], last = foundEntry{value: value, line: line, behind: behind}, key
	}
	return found, nil, nil
}

// editEntries returns data with the pairs of group brought about, in the
// direction of publishing or back, and a problem for each that is neither as
// it was nor as it should become.
func editEntries(data []byte, group []*resource, back bool) ([]byte, []error) {
	found, _, err := findEntries(data, group)
	if err != nil {
		return nil, []error{fail(wire.CodeChanged, group[0].where, "it can't be understood").because(err)}
	}
	due, failed := dueEntries(group, func(key string) *state {
		if entry, ok := found[key]; ok {
			return &state{Text: entry.value}
		}
		return nil
	}, back)
	edits := map[string]*resource{}
	for _, r := range due {
		edits[r.Name] = r
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

func (lineEntries) stage(o *operation, group []*resource) error {
	return stageShared(o, group[0], grownBy(group))
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

func (lineEntries) publish(o *operation, group []*resource) error {
	first := group[0]
	err := replaceShared(o, first, first.disk(o.machine), first.Temp, func(data []byte) ([]byte, error) {
		edited, failed := editEntries(data, group, false)
		reached(group, len(failed) == 0)
		return edited, errors.Join(failed...)
	})
	if p := (*problem)(nil); errors.As(err, &p) && p.code == wire.CodeChanged {
		reached(group, false) // it was found before anything was put in place
	}
	return err
}

func (lineEntries) undo(o *operation, group []*resource) []error {
	first := group[0]
	var failed []error
	err := replaceShared(o, first, o.machine.disk, undoName(first.Temp), func(data []byte) (edited []byte, err error) {
		edited, failed = editEntries(data, group, true)
		return edited, nil
	})
	if err == nil && first.Made {
		err = removeMade(o, first, func(name string) (bool, error) {
			info, err := o.machine.disk.Stat(name)
			return info.Size == 0, err
		})
	}
	if err = first.unlessTaken(err); err != nil {
		failed = append(failed, err)
	}
	return failed
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

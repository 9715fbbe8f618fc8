package runtime

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"orchestra/pkg/wire"
)

// trashFor returns the trash of the file system of a directory, which it makes
// where it is missing: ours, or one at the top of another file system.
func (m *machine) trashFor(directory string) (string, error) {
	mount, err := m.disk.Mount(directory)
	if err != nil {
		return "", err
	}
	ours, err := m.disk.Mount(m.dir)
	if err != nil {
		return "", err
	}
	trash := m.path(directoryTrash)
	if mount != ours {
		trash = path.Join(mount, ".orchestra-trash")
	}
	err = m.disk.MakeDirectory(trash, rootOnly)
	if err == nil {
		return trash, m.disk.Sync(path.Dir(trash))
	}
	if !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	info, err := m.disk.Stat(trash)
	if err == nil && (info.Type != TypeDirectory || info.UID != 0 || info.Mode&0o077 != 0) {
		return "", fail(wire.CodeTaken, trash, "it must be a directory that only root may enter")
	}
	return trash, err
}

// trashFor is the machine's, which is asked once for each directory.
func (o *operation) trashFor(directory string) (string, error) {
	if known, ok := o.trashes[directory]; ok {
		return known, nil
	}
	trash, err := o.machine.trashFor(directory)
	if err == nil {
		o.trashes[directory] = trash
	}
	return trash, err
}

// trashName returns a name in a trash that tells when it came there, and from which
// operation. It begins with the day, for those who empty it.
func (o *operation) trashName(trash, name string) string {
	o.made++
	base := strings.TrimLeft(path.Base(name), ".")
	if len(base) > 100 {
		base = base[:100]
	}
	return path.Join(trash, strings.Join([]string{
		o.machine.records.later().Format(trashDay), o.id, strconv.Itoa(o.made), base}, "."))
}

const trashDay = "2006-01-02"

// fileTrash is the log of what was moved to a trash, for those who want it back.
const fileTrash = "trash.log"

// trashLine is one line of it.
type trashLine struct {
	Time      time.Time `json:"time"`
	Operation string    `json:"operation"`
	Path      string    `json:"path,omitempty"`
	Kind      string    `json:"kind,omitempty"` // of what is no path, and its name
	Name      string    `json:"name,omitempty"`
	Trash     string    `json:"trash"`
	Object    string    `json:"object,omitempty"`
}

// logTrash notes what an operation that is kept has moved to the trash.
func (o *operation) logTrash() error {
	var lines []byte
	for _, r := range o.resources() {
		known := trashLine{Time: o.machine.clock.Now().UTC(), Operation: o.id, Path: r.Place.Path, Trash: r.Trash, Object: r.Object}
		switch {
		case r.parks() && r.changes():
			known.Kind, known.Name = r.Act.Kind, r.Act.Key
		case r.Kind != kindPark || r.Before == nil:
			continue
		}
		line, err := json.Marshal(known)
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	if len(lines) == 0 {
		return nil
	}
	name := o.machine.path(fileTrash)
	err := o.machine.disk.Append(name, lines)
	if errors.Is(err, fs.ErrNotExist) {
		err = o.machine.disk.Create(name, lines, rootFile)
		o.touch(name)
	}
	o.unsynced = append(o.unsynced, name)
	return err
}

// trashRetention is how long what was parked can be had back.
const trashRetention = 30 * 24 * time.Hour

// purgeTrash removes what has lain long enough in every trash that is known: the
// names in it begin with the day. It takes its time only up to a limit.
func (m *machine) purgeTrash() {
	places := map[string]bool{m.path(directoryTrash): true}
	if data, _, err := m.disk.Read(m.path(fileTrash), ownLimit); err == nil {
		for line := range strings.Lines(string(data)) {
			var known trashLine
			if json.Unmarshal([]byte(line), &known) == nil && path.IsAbs(known.Trash) {
				places[path.Dir(known.Trash)] = true
			}
		}
	}
	const most = 20000
	left := most
	oldest := m.earlier().Add(-trashRetention).Format(trashDay)
	for place := range places {
		names, err := m.disk.List(place)
		if err != nil {
			continue
		}
		for _, name := range names {
			day, _, _ := strings.Cut(name, ".")
			if _, err := time.Parse(trashDay, day); err == nil && day < oldest && left > 0 {
				left = m.removeTree(path.Join(place, name), left)
			}
		}
	}
}

// removeTree removes a thing and all in it, at most so many entries, following no
// link and entering no other file system. It returns how many are left.
func (m *machine) removeTree(name string, most int) int {
	if most <= 0 {
		return 0
	}
	info, err := m.disk.Stat(name)
	if err != nil {
		return most
	}
	if info.Type == TypeDirectory {
		if mount, err := m.disk.Mount(name); err != nil || mount == name {
			return most
		}
		names, _ := m.disk.List(name)
		for _, below := range names {
			most = m.removeTree(path.Join(name, below), most)
		}
	}
	_ = m.disk.Remove(name)
	return most - 1
}

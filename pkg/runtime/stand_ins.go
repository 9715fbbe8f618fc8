package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
)

// recordedOwners is a disk for demonstrations without root: everything belongs to
// who calls, and whose it should be is recorded by the number of its inode.
type recordedOwners struct {
	Disk
	shared *ownerRecords
	user   *Owner
}

type ownerRecords struct {
	mutex  sync.Mutex
	name   string
	owners map[uint64]Attributes
}

type ownerLine struct {
	Inode uint64     `json:"inode"`
	Is    Attributes `json:"is"`
}

// recordOwners returns disk with its owners recorded in a file of directory.
func recordOwners(disk Disk, directory string) (Disk, error) {
	d := &recordedOwners{Disk: disk, shared: &ownerRecords{name: path.Join(directory, "owners"), owners: map[uint64]Attributes{}}}
	data, _, err := disk.Read(d.shared.name, ownLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = decodeLines(data, func(content []byte) error {
		var line ownerLine
		if err := json.Unmarshal(content, &line); err != nil {
			return err
		}
		d.shared.owners[line.Inode] = line.Is
		return nil
	})
	return d, err
}

// seen returns info with the recorded owner: root's where nothing is recorded.
func (d *recordedOwners) seen(info Info) Info {
	d.shared.mutex.Lock()
	defer d.shared.mutex.Unlock()
	recorded, ok := d.shared.owners[info.inode]
	if !ok {
		info.Owner = Owner{}
		return info
	}
	info.Owner = recorded.Owner
	return info
}

// record notes whose the thing at name should be.
func (d *recordedOwners) record(name string, attributes Attributes) error {
	info, err := d.Disk.Stat(name)
	if err != nil {
		return err
	}
	d.shared.mutex.Lock()
	defer d.shared.mutex.Unlock()
	known, ok := d.shared.owners[info.inode]
	if ok && known == attributes || !ok && attributes.Owner == (Owner{}) {
		return nil
	}
	d.shared.owners[info.inode] = attributes
	line, err := encodeLine(ownerLine{Inode: info.inode, Is: attributes})
	if err != nil {
		return err
	}
	err = d.Disk.Append(d.shared.name, line)
	if errors.Is(err, fs.ErrNotExist) {
		err = d.Disk.Create(d.shared.name, line, ours(rootFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // our own directory is not made yet: what is made now is root's
		}
	}
	return err
}

// ours returns the attributes as we can give them.
func ours(attributes Attributes) Attributes {
	attributes.Owner = Owner{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	return attributes
}

// Stat implements Disk.
func (d *recordedOwners) Stat(name string) (Info, error) {
	info, err := d.Disk.Stat(name)
	return d.seen(info), err
}

// Read implements Disk.
func (d *recordedOwners) Read(name string, limit int64) ([]byte, Info, error) {
	data, info, err := d.Disk.Read(name, limit)
	return data, d.seen(info), err
}

// Create implements Disk.
func (d *recordedOwners) Create(name string, data []byte, attributes Attributes) error {
	if err := d.Disk.Create(name, data, ours(attributes)); err != nil {
		return err
	}
	return d.record(name, attributes)
}

// CreateMap implements Disk.
func (d *recordedOwners) CreateMap(name string, entries map[string]string, attributes Attributes) error {
	if err := d.Disk.CreateMap(name, entries, ours(attributes)); err != nil {
		return err
	}
	return d.record(name, attributes)
}

// MakeDirectory implements Disk.
func (d *recordedOwners) MakeDirectory(name string, attributes Attributes) error {
	if err := d.Disk.MakeDirectory(name, ours(attributes)); err != nil {
		return err
	}
	return d.record(name, attributes)
}

// MakeLink implements Disk.
func (d *recordedOwners) MakeLink(name, target string, owner Owner) error {
	if err := d.Disk.MakeLink(name, target, ours(Attributes{}).Owner); err != nil {
		return err
	}
	return d.record(name, Attributes{Owner: owner, Mode: 0o777})
}

// Change implements Disk.
func (d *recordedOwners) Change(name string, attributes Attributes) error {
	if err := d.Disk.Change(name, ours(attributes)); err != nil {
		return err
	}
	return d.record(name, attributes)
}

// CopyExtended implements Disk.
func (d *recordedOwners) CopyExtended(string, string) error { return nil }

// As implements Disk.
func (d *recordedOwners) As(_ string, owner Owner) Disk {
	return &recordedOwners{Disk: d.Disk, shared: d.shared, user: &owner}
}

// standIn announces what only root or a daemon could do.
type standIn struct{ Runner }

// Run implements Runner.
func (s standIn) Run(ctx context.Context, child Child) (Result, error) {
	switch child.Kind {
	case ChildDeclare:
		return s.Runner.Run(ctx, child)
	case ChildProgram:
		return Result{Output: fmt.Sprintf("stand-in: %s announced, not run\n", strings.Join(child.Arguments, " "))}, nil
	}
	return Result{
		Output: fmt.Sprintf("stand-in: %s announced, not run\n", child.Function),
		Answer: standInAnswer(child),
	}, nil
}

// standInAnswer says of every act that it is done.
func standInAnswer(child Child) []byte {
	if child.Kind != ChildAct {
		return nil
	}
	var answer []byte
	for _, key := range child.Arguments {
		answer = fmt.Appendf(answer, "%s\x00done\x00done\x00", key)
	}
	return answer
}

// Find implements Runner: what is missing here is announced where it would be run.
func (standIn) Find(string) bool { return true }

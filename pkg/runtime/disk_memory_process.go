package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"syscall"
)

// MemoryProcess is a disk in memory as one process has it.
type MemoryProcess struct {
	memory *Memory
	name   string
	life   *memoryLife
	user   *Owner
	tree   string
}

type memoryLife struct{ dead bool }

// Kill ends the process: its locks are free, and whatever it still tries fails.
func (p *MemoryProcess) Kill() {
	p.memory.mutex.Lock()
	defer p.memory.mutex.Unlock()
	p.life.dead = true
	maps.DeleteFunc(p.memory.locks, func(_ string, holder *MemoryProcess) bool { return holder.life == p.life })
}

// As implements Disk.
func (p *MemoryProcess) As(tree string, owner Owner) Disk {
	return &MemoryProcess{memory: p.memory, name: p.name, life: p.life, user: &owner, tree: tree}
}

// do runs one operation under the disk's lock.
func (p *MemoryProcess) do(changes bool, operation, name string, f func(m *Memory) error) error {
	m := p.memory
	m.mutex.Lock()
	hook, number := m.options.Hook, 0
	if changes && !p.life.dead {
		m.changes++
		number = m.changes
	}
	m.mutex.Unlock()
	var err error
	if hook != nil {
		err = hook(MemoryOperation{Process: p.name, Name: operation, Path: name, Number: number})
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if p.life.dead {
		return ErrDead
	}
	if err == nil {
		err = f(m)
	}
	return pathError(operation, name, err)
}

// allowed checks what a user may do in a directory or with a file.
func (p *MemoryProcess) allowed(node *memoryNode, bit uint32) error {
	if p.user == nil {
		return nil
	}
	if node.attributes.UID == p.user.UID {
		bit <<= 6
	}
	if node.attributes.Mode&bit == 0 {
		return fs.ErrPermission
	}
	return nil
}

func (p *MemoryProcess) mayGive(owner Owner) error {
	if p.user != nil && owner.UID != p.user.UID {
		return fs.ErrPermission
	}
	return nil
}

func (n *memoryNode) info() Info {
	return Info{Attributes: n.attributes, Type: n.kind, Size: int64(len(n.data)), Target: n.target, Modified: n.modified, inode: n.inode}
}

func (n *memoryNode) mustBeDirectory() error {
	switch n.kind {
	case TypeDirectory:
		return nil
	case TypeLink:
		return syscall.ELOOP
	}
	return syscall.ENOTDIR
}

// Stat implements Disk.
func (p *MemoryProcess) Stat(name string) (info Info, err error) {
	err = p.do(false, "stat", name, func(m *Memory) error {
		node, err := m.find(name)
		if err == nil {
			info = node.info()
		}
		return err
	})
	return info, err
}

// Read implements Disk.
func (p *MemoryProcess) Read(name string, limit int64) (data []byte, info Info, err error) {
	err = p.do(false, "read", name, func(m *Memory) error {
		node, err := m.find(name)
		if err != nil {
			return err
		}
		if node.kind == TypeLink {
			return syscall.ELOOP
		}
		info = node.info()
		if node.kind != TypeFile {
			return fmt.Errorf("it is a %s", node.kind)
		}
		if int64(len(node.data)) > limit {
			return syscall.EFBIG
		}
		data = slices.Clone(node.data)
		return p.allowed(node, 4)
	})
	return data, info, err
}

// List implements Disk.
func (p *MemoryProcess) List(name string) (names []string, err error) {
	err = p.do(false, "list", name, func(m *Memory) error {
		node, err := m.find(name)
		if err != nil {
			return err
		}
		if err := node.mustBeDirectory(); err != nil {
			return err
		}
		names = slices.Sorted(maps.Keys(node.entries))
		return nil
	})
	return names, err
}

// add enters a new node into a directory.
func (p *MemoryProcess) add(operation, name string, attributes Attributes, make func(m *Memory) (*memoryNode, error)) error {
	return p.do(true, operation, name, func(m *Memory) error {
		directory, base, err := m.directory(name)
		if err != nil {
			return err
		}
		if directory.entries[base] != nil {
			return fs.ErrExist
		}
		if err := errors.Join(p.allowed(directory, 2), p.mayGive(attributes.Owner)); err != nil {
			return err
		}
		node, err := make(m)
		if err != nil {
			return err
		}
		directory.entries[base] = node
		m.change(func() { directory.durableEntries[base] = node }, directory)
		return nil
	})
}

// Create implements Disk.
func (p *MemoryProcess) Create(name string, data []byte, attributes Attributes) error {
	return p.add("create", name, attributes, func(m *Memory) (*memoryNode, error) {
		node := m.node(TypeFile, attributes)
		return node, m.grow(node, func() { node.data = slices.Clone(data) })
	})
}

// MakeDirectory implements Disk.
func (p *MemoryProcess) MakeDirectory(name string, attributes Attributes) error {
	return p.add("mkdir", name, attributes, func(m *Memory) (*memoryNode, error) {
		return m.node(TypeDirectory, attributes), nil
	})
}

// MakeLink implements Disk.
func (p *MemoryProcess) MakeLink(name, target string, owner Owner) error {
	return p.add("symlink", name, Attributes{Owner: owner}, func(m *Memory) (*memoryNode, error) {
		node := m.node(TypeLink, Attributes{Owner: owner, Mode: 0o777})
		node.target = target
		return node, nil
	})
}

// file runs f on a file that is to be written.
func (p *MemoryProcess) file(operation, name string, f func(m *Memory, node *memoryNode) error) error {
	return p.do(true, operation, name, func(m *Memory) error {
		node, err := m.find(name)
		if err != nil {
			return err
		}
		switch node.kind {
		case TypeFile:
		case TypeLink:
			return syscall.ELOOP
		default:
			return syscall.EISDIR
		}
		if err := p.allowed(node, 2); err != nil {
			return err
		}
		return f(m, node)
	})
}

// Append implements Disk.
func (p *MemoryProcess) Append(name string, data []byte) error {
	return p.file("append", name, func(m *Memory, node *memoryNode) error {
		node.synced = false
		return m.grow(node, func() { node.data = append(slices.Clone(node.data), data...) })
	})
}

// Overwrite implements Disk.
func (p *MemoryProcess) Overwrite(name string, data []byte) error {
	return p.file("overwrite", name, func(m *Memory, node *memoryNode) error {
		node.synced = false
		// What is set aside is used up, and cut to the length of the content.
		return m.grow(node, func() { node.data, node.allocated = slices.Clone(data), 0 })
	})
}

// Allocate implements Disk.
func (p *MemoryProcess) Allocate(name string, size int64) error {
	return p.file("allocate", name, func(m *Memory, node *memoryNode) error {
		return m.grow(node, func() { node.allocated = max(node.allocated, size) })
	})
}

// Change implements Disk.
func (p *MemoryProcess) Change(name string, attributes Attributes) error {
	return p.do(true, "change", name, func(m *Memory) error {
		node, err := m.find(name)
		if err != nil {
			return err
		}
		if err := node.mustBeDirectory(); err != nil {
			return err
		}
		if p.user != nil && (node.attributes.UID != p.user.UID || attributes.UID != p.user.UID) {
			return fs.ErrPermission
		}
		node.attributes = attributes
		m.change(func() { node.durableMode = attributes }, node)
		return nil
	})
}

// CopyExtended implements Disk: there are no such attributes here.
func (p *MemoryProcess) CopyExtended(_, to string) error {
	return p.do(false, "copy attributes", to, func(m *Memory) error {
		_, err := m.find(to)
		return err
	})
}

// Rename implements Disk.
func (p *MemoryProcess) Rename(from, to string) error {
	return p.move("rename", from, to, func(source, target *memoryNode) error {
		if source == nil {
			return fs.ErrNotExist
		}
		if target != nil {
			return fs.ErrExist
		}
		return nil
	})
}

// Exchange implements Disk.
func (p *MemoryProcess) Exchange(a, b string) error {
	return p.move("exchange", a, b, func(source, target *memoryNode) error {
		if source == nil || target == nil {
			return fs.ErrNotExist
		}
		return nil
	})
}

func (p *MemoryProcess) move(operation, from, to string, check func(source, target *memoryNode) error) error {
	return p.do(true, operation, to, func(m *Memory) error {
		fromDirectory, fromBase, err := m.directory(from)
		if err != nil {
			return err
		}
		toDirectory, toBase, err := m.directory(to)
		if err != nil {
			return err
		}
		source, target := fromDirectory.entries[fromBase], toDirectory.entries[toBase]
		if err := check(source, target); err != nil {
			return err
		}
		if strings.HasPrefix(to, from+"/") || target != nil && strings.HasPrefix(from, to+"/") {
			return syscall.EINVAL
		}
		if m.mount(from) != m.mount(to) {
			return syscall.EXDEV
		}
		if err := errors.Join(p.allowed(fromDirectory, 2), p.allowed(toDirectory, 2)); err != nil {
			return err
		}
		swap := func(fromEntries, toEntries map[string]*memoryNode) {
			toEntries[toBase] = source
			if target != nil {
				fromEntries[fromBase] = target
			} else {
				delete(fromEntries, fromBase)
			}
		}
		swap(fromDirectory.entries, toDirectory.entries)
		m.change(func() { swap(fromDirectory.durableEntries, toDirectory.durableEntries) }, fromDirectory, toDirectory)
		return nil
	})
}

// Remove implements Disk.
func (p *MemoryProcess) Remove(name string) error {
	return p.do(true, "remove", name, func(m *Memory) error {
		directory, base, err := m.directory(name)
		if err != nil {
			return err
		}
		node := directory.entries[base]
		if node == nil {
			return fs.ErrNotExist
		}
		if len(node.entries) > 0 {
			return syscall.ENOTEMPTY
		}
		if err := p.allowed(directory, 2); err != nil {
			return err
		}
		delete(directory.entries, base)
		m.used -= node.cost()
		m.change(func() { delete(directory.durableEntries, base) }, directory)
		return nil
	})
}

// Sync implements Disk.
func (p *MemoryProcess) Sync(names ...string) error {
	var failed error
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		failed = errors.Join(failed, p.do(true, "sync", name, func(m *Memory) error {
			node, err := m.find(name)
			if err != nil {
				return err
			}
			node.durableData, node.synced = slices.Clone(node.data), true
			m.commit(node)
			return nil
		}))
	}
	return failed
}

// Lock implements Disk.
func (p *MemoryProcess) Lock(name string, _ bool) (Unlocker, error) {
	err := p.do(false, "lock", name, func(m *Memory) error {
		directory, base, err := m.directory(name)
		if err != nil {
			return err
		}
		if directory.entries[base] == nil {
			node := m.node(TypeFile, Attributes{Mode: 0o600})
			node.synced = true
			directory.entries[base], directory.durableEntries[base] = node, node
		}
		if m.locks[name] != nil {
			return ErrLocked
		}
		m.locks[name] = p
		return nil
	})
	if err != nil {
		return nil, err
	}
	return memoryLock{process: p, name: name}, nil
}

type memoryLock struct {
	process *MemoryProcess
	name    string
}

// Unlock implements Unlocker.
func (l memoryLock) Unlock() error {
	m := l.process.memory
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.locks[l.name] == l.process {
		delete(m.locks, l.name)
	}
	return nil
}

// Free implements Disk.
func (p *MemoryProcess) Free(name string) (free uint64, err error) {
	err = p.do(false, "free", name, func(m *Memory) error {
		free = 1 << 40
		if m.options.Capacity > 0 {
			free = uint64(max(0, m.options.Capacity-m.used))
		}
		return nil
	})
	return free, err
}

// Mount implements Disk.
func (p *MemoryProcess) Mount(name string) (mount string, err error) {
	err = p.do(false, "mount", name, func(m *Memory) error {
		if _, err := m.find(name); err != nil {
			return err
		}
		mount = m.mount(name)
		return nil
	})
	return mount, err
}

package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrDead is what every method of a disk answers to a process that was killed.
var ErrDead = errors.New("the process is dead")

// Memory is a machine's disk for simulations. It is as unkind as a real one may
// be: what was not synced can be lost at a power cut, each directory apart;
// files that were being written come back torn.
type Memory struct {
	mutex     sync.Mutex
	options   MemoryOptions
	random    *rand.Rand
	root      *memoryNode
	processes []*MemoryProcess
	pending   []memoryChange // of directories, not durable yet
	locks     map[string]*MemoryProcess
	used      int64
	inodes    uint64
	changes   int
}

// MemoryOptions shape a disk in memory.
type MemoryOptions struct {
	Seed     uint64
	Capacity int64    // bytes of content; 0: no limit
	Mounts   []string // directories that are file systems of their own
	// Hook is called before each operation, outside locks: it may wait, kill
	// the process, or return the error that the operation fails with.
	Hook func(operation MemoryOperation) error
}

// MemoryOperation is one operation on a disk in memory.
type MemoryOperation struct {
	Process string
	Name    string // "create", "sync" …
	Path    string
	Number  int // of those that change something; 0 for one that does not
}

type memoryNode struct {
	kind       FileType
	attributes Attributes
	data       []byte
	allocated  int64
	target     string
	entries    map[string]*memoryNode
	modified   time.Time
	inode      uint64

	// What a power cut leaves.
	synced         bool // data is durable as it is
	durableData    []byte
	durableMode    Attributes
	durableEntries map[string]*memoryNode
}

// memoryChange is a change of directories that is not durable.
type memoryChange struct {
	directories []*memoryNode
	apply       func()
}

// NewMemory returns an empty disk.
func NewMemory(options MemoryOptions) *Memory {
	m := &Memory{options: options, random: rand.New(rand.NewPCG(options.Seed, 1)), locks: map[string]*MemoryProcess{}}
	m.root = m.node(TypeDirectory, Attributes{Mode: 0o755})
	return m
}

func (m *Memory) node(kind FileType, attributes Attributes) *memoryNode {
	m.inodes++
	node := &memoryNode{kind: kind, attributes: attributes, durableMode: attributes, inode: m.inodes, modified: time.Now()}
	if kind == TypeDirectory {
		node.entries, node.durableEntries = map[string]*memoryNode{}, map[string]*memoryNode{}
	}
	return node
}

// Put makes a durable file, with the directories above it where they are missing.
func (m *Memory) Put(name, content string, attributes Attributes) {
	m.put(name, func() *memoryNode {
		node := m.node(TypeFile, attributes)
		node.data, node.durableData, node.synced = []byte(content), []byte(content), true
		m.used += node.cost()
		return node
	})
}

// PutDirectory makes a durable directory.
func (m *Memory) PutDirectory(name string, attributes Attributes) {
	m.put(name, func() *memoryNode { return m.node(TypeDirectory, attributes) })
}

// PutLink makes a durable symbolic link.
func (m *Memory) PutLink(name, target string) {
	m.put(name, func() *memoryNode {
		node := m.node(TypeLink, Attributes{Mode: 0o777})
		node.target = target
		return node
	})
}

func (m *Memory) put(name string, make func() *memoryNode) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	directory := m.root
	elements := strings.Split(strings.TrimPrefix(name, "/"), "/")
	for _, element := range elements[:len(elements)-1] {
		next := directory.entries[element]
		if next == nil {
			next = m.node(TypeDirectory, Attributes{Mode: 0o755})
			directory.entries[element], directory.durableEntries[element] = next, next
		}
		directory = next
	}
	last := elements[len(elements)-1]
	if old := directory.entries[last]; old != nil {
		m.used -= old.cost()
	}
	node := make()
	directory.entries[last], directory.durableEntries[last] = node, node
}

// Dump describes everything by its path, except what lies below the given
// directories: type, owner, mode and content. Two dumps are equal exactly where the disks are.
func (m *Memory) Dump(except ...string) map[string]string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	all := map[string]string{}
	var walk func(name string, node *memoryNode)
	walk = func(name string, node *memoryNode) {
		if slices.Contains(except, name) {
			return
		}
		all[name] = fmt.Sprintf("%s %d:%d %04o %s%s", node.kind, node.attributes.UID, node.attributes.GID, node.attributes.Mode, node.target, node.data)
		for entry, below := range node.entries {
			walk(path.Join(name, entry), below)
		}
	}
	walk("/", m.root)
	return all
}

// Changes returns how many operations have changed something so far.
func (m *Memory) Changes() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.changes
}

// Process returns the disk as one process has it.
func (m *Memory) Process(name string) *MemoryProcess {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	process := &MemoryProcess{memory: m, name: name, life: &memoryLife{}}
	m.processes = append(m.processes, process)
	return process
}

// SetHook replaces the hook of the options.
func (m *Memory) SetHook(hook func(MemoryOperation) error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.options.Hook = hook
}

// SetCapacity changes the size of the disk; 0: no limit.
func (m *Memory) SetCapacity(bytes int64) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.options.Capacity = bytes
}

// Used returns how many bytes are taken.
func (m *Memory) Used() int64 {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.used
}

// PowerCut kills all processes and leaves what a disk leaves: all that was
// synced, and of the rest what chance wants.
func (m *Memory) PowerCut() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, process := range m.processes {
		process.life.dead = true
	}
	m.processes, m.locks = nil, map[string]*MemoryProcess{}
	lost := map[*memoryNode]bool{}
	odds := m.random.Float64()
	for _, change := range m.pending {
		gone := m.random.Float64() < odds
		for _, directory := range change.directories {
			gone = gone || lost[directory]
		}
		if gone { // and with it all that came later in the same directories
			for _, directory := range change.directories {
				lost[directory] = true
			}
			continue
		}
		change.apply()
	}
	m.pending, m.used = nil, 0
	seen := map[*memoryNode]bool{}
	var revive func(node *memoryNode)
	revive = func(node *memoryNode) {
		if seen[node] {
			return
		}
		seen[node] = true
		if node.kind == TypeFile && !node.synced {
			node.data = m.torn(node.durableData, node.data)
			node.durableData, node.synced = slices.Clone(node.data), true
		}
		node.attributes = node.durableMode
		m.used += node.cost()
		node.entries = maps.Clone(node.durableEntries)
		for _, below := range node.entries {
			revive(below)
		}
	}
	revive(m.root)
}

// torn returns what may be left of a file that was being changed.
func (m *Memory) torn(before, after []byte) []byte {
	switch m.random.IntN(3) {
	case 0:
		return slices.Clone(before)
	case 1:
		return slices.Clone(after)
	}
	cut := m.random.IntN(len(after) + 1)
	mixed := slices.Clone(after[:cut])
	if len(before) > cut && m.random.IntN(2) == 0 {
		mixed = append(mixed, before[cut:]...)
	}
	if len(before) <= len(after) && string(before) == string(after[:len(before)]) && len(mixed) < len(before) {
		return slices.Clone(before) // it was appended to: what was synced stays
	}
	return mixed
}

func (n *memoryNode) cost() int64 {
	const block = 4096
	size := max(int64(len(n.data)), n.allocated)
	return (size + block - 1) / block * block
}

// change makes a change of directories durable later.
func (m *Memory) change(apply func(), directories ...*memoryNode) {
	m.pending = append(m.pending, memoryChange{directories: directories, apply: apply})
}

// commit makes the changes of one directory durable, with all that they rest on.
func (m *Memory) commit(directory *memoryNode) {
	needed := map[*memoryNode]bool{directory: true}
	taken := make([]bool, len(m.pending))
	for i := len(m.pending) - 1; i >= 0; i-- {
		for _, touched := range m.pending[i].directories {
			taken[i] = taken[i] || needed[touched]
		}
		if taken[i] {
			for _, touched := range m.pending[i].directories {
				needed[touched] = true
			}
		}
	}
	var rest []memoryChange
	for i, change := range m.pending {
		if taken[i] {
			change.apply()
		} else {
			rest = append(rest, change)
		}
	}
	m.pending = rest
}

// find walks to name without following any link.
func (m *Memory) find(name string) (*memoryNode, error) {
	if _, err := relativePath(name); err != nil {
		return nil, err
	}
	node := m.root
	for element := range strings.SplitSeq(strings.TrimPrefix(name, "/"), "/") {
		if element == "" {
			continue
		}
		switch node.kind {
		case TypeLink:
			return nil, syscall.ELOOP
		case TypeDirectory:
		default:
			return nil, syscall.ENOTDIR
		}
		if node = node.entries[element]; node == nil {
			return nil, fs.ErrNotExist
		}
	}
	return node, nil
}

// directory finds the directory that holds name.
func (m *Memory) directory(name string) (*memoryNode, string, error) {
	if name == "/" {
		return nil, "", syscall.EBUSY
	}
	node, err := m.find(path.Dir(name))
	if err != nil {
		return nil, "", err
	}
	if node.kind == TypeLink {
		return nil, "", syscall.ELOOP
	}
	if node.kind != TypeDirectory {
		return nil, "", syscall.ENOTDIR
	}
	return node, path.Base(name), nil
}

// mount returns the file system that name is on.
func (m *Memory) mount(name string) string {
	best := "/"
	for _, mount := range m.options.Mounts {
		if (name == mount || strings.HasPrefix(name, mount+"/")) && len(mount) > len(best) {
			best = mount
		}
	}
	return best
}

// grow takes space, or refuses.
func (m *Memory) grow(node *memoryNode, change func()) error {
	before, data, allocated := node.cost(), node.data, node.allocated
	change()
	grown := node.cost() - before
	if grown > 0 && m.options.Capacity > 0 && m.used+grown > m.options.Capacity {
		node.data, node.allocated = data, allocated
		return syscall.ENOSPC
	}
	m.used += grown
	return nil
}

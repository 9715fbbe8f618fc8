package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"orchestra/pkg/runtime/sqlitemap"
)

// A map in memory is a file of this first line and a line for each entry. Like
// SQLite's it is edited in place, beside a journal that holds what was there, and
// whoever finds a journal without its writer rolls back.
const memoryMap = "a map\n"

func encodeMap(entries map[string]string) []byte {
	data := []byte(memoryMap)
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		data = fmt.Appendf(data, "%q %q\n", key, entries[key])
	}
	return data
}

func decodeMap(data []byte) (map[string]string, error) {
	rest, ok := strings.CutPrefix(string(data), memoryMap)
	if !ok {
		return nil, sqlitemap.ErrNoMap
	}
	entries := map[string]string{}
	for rest != "" {
		line, after, whole := strings.Cut(rest, "\n")
		first, err := strconv.QuotedPrefix(line)
		if err != nil || !whole || len(line) < len(first)+1 {
			return nil, fmt.Errorf("%w: it is malformed", sqlitemap.ErrNoMap)
		}
		key, err := strconv.Unquote(first)
		if err != nil {
			return nil, err
		}
		if entries[key], err = strconv.Unquote(line[len(first)+1:]); err != nil {
			return nil, fmt.Errorf("%w: it is malformed", sqlitemap.ErrNoMap)
		}
		rest = after
	}
	return entries, nil
}

func mapJournal(name string) string { return name + "-journal" }

// CreateMap implements Disk.
func (p *MemoryProcess) CreateMap(name string, entries map[string]string, attributes Attributes) error {
	return p.Create(name, encodeMap(entries), attributes)
}

// mapFile finds a map where only root may write.
func (p *MemoryProcess) mapFile(m *Memory, name string) (*memoryNode, error) {
	node, err := m.find(name)
	if err != nil {
		return nil, err
	}
	switch node.kind {
	case TypeFile:
	case TypeLink:
		return nil, syscall.ELOOP
	default:
		return nil, sqlitemap.ErrNoMap
	}
	if _, err := m.find(mapJournal(name)); err != nil && !strings.HasPrefix(string(node.data), memoryMap) {
		return nil, sqlitemap.ErrNoMap
	}
	if p.user != nil {
		return nil, fs.ErrPermission
	}
	for above := name; ; above = path.Dir(above) {
		one, err := m.find(above)
		if err != nil {
			return nil, err
		}
		if one.attributes.UID != 0 || one.attributes.Mode&0o022 != 0 {
			return nil, fs.ErrPermission
		}
		if above == "/" {
			return node, nil
		}
	}
}

// ReadMap implements Disk. While somebody else writes, it reads what was there before.
func (p *MemoryProcess) ReadMap(name string, keys []string) (found map[string]string, empty bool, err error) {
	err = p.do(false, "read map", name, func(m *Memory) error {
		node, err := p.mapFile(m, name)
		if err != nil {
			return err
		}
		if journal, err := m.find(mapJournal(name)); err == nil {
			if m.locks[mapJournal(name)] == nil {
				return sqlitemap.ErrHot
			}
			node = journal
		}
		entries, err := decodeMap(node.data)
		if err != nil {
			return err
		}
		found, empty = chosen(entries, keys), len(entries) == 0
		return nil
	})
	return found, empty, err
}

func chosen(entries map[string]string, keys []string) map[string]string {
	found := map[string]string{}
	for _, key := range keys {
		if value, ok := entries[key]; ok {
			found[key] = value
		}
	}
	return found
}

// EditMap implements Disk.
func (p *MemoryProcess) EditMap(name string, keys []string, edit func(map[string]string) (map[string]*string, error)) error {
	journal := mapJournal(name)
	var entries map[string]string
	hot := false
	err := p.do(false, "lock map", name, func(m *Memory) error {
		node, err := p.mapFile(m, name)
		if err != nil {
			return err
		}
		if m.locks[journal] != nil {
			return sqlitemap.ErrBusy
		}
		m.locks[journal] = p
		if left, err := m.find(journal); err == nil {
			hot, node = true, left
		}
		entries, err = decodeMap(node.data)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = memoryLock{process: p, name: journal}.Unlock() }()
	if hot {
		if err := p.endMap("roll back", name, rollBackMap); err != nil {
			return err
		}
	}
	edits, err := edit(chosen(entries, keys))
	if err != nil || len(edits) == 0 {
		return err
	}
	before := encodeMap(entries)
	for key, value := range edits {
		if delete(entries, key); value != nil {
			entries[key] = *value
		}
	}
	if err := p.makeJournal(name, before); err != nil {
		return err
	}
	err = p.file("overwrite", name, func(m *Memory, node *memoryNode) error {
		node.synced = false
		return m.grow(node, func() { node.data = encodeMap(entries) })
	})
	if err != nil { // as SQLite does, where it lives
		return errors.Join(err, p.endMap("roll back", name, rollBackMap))
	}
	return p.endMap("commit", name, func(_, _ *memoryNode) {})
}

func rollBackMap(node, journal *memoryNode) { node.data = slices.Clone(journal.data) }

// makeJournal makes the journal of a map, which is durable before the map is written to.
func (p *MemoryProcess) makeJournal(name string, before []byte) error {
	journal := mapJournal(name)
	return p.add("create", journal, Attributes{Mode: 0o600}, func(m *Memory) (*memoryNode, error) {
		node := m.node(TypeFile, Attributes{Mode: 0o600})
		if err := m.grow(node, func() { node.data = before }); err != nil {
			return nil, err
		}
		node.durableData, node.synced = before, true
		directory, base, err := m.directory(journal)
		if err == nil {
			directory.durableEntries[base] = node
		}
		return node, err
	})
}

// endMap makes a map durable as finish leaves it, and removes its journal.
func (p *MemoryProcess) endMap(operation, name string, finish func(node, journal *memoryNode)) error {
	return p.do(true, operation, name, func(m *Memory) error {
		node, err := m.find(name)
		if err != nil {
			return err
		}
		directory, base, err := m.directory(mapJournal(name))
		if err != nil {
			return err
		}
		journal := directory.entries[base]
		m.used -= node.cost() + journal.cost()
		finish(node, journal)
		m.used += node.cost()
		node.durableData, node.synced = slices.Clone(node.data), true
		delete(directory.entries, base)
		m.change(func() { delete(directory.durableEntries, base) }, directory)
		m.commit(directory)
		return nil
	})
}

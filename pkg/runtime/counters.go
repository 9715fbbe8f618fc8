package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"orchestra/pkg/wire"
)

// countersLimit is from where on the log of counters is written anew, in bytes.
const countersLimit = 8 << 20

// countersWait is how long another session may take to write that log.
const countersWait = 10 * time.Second

// checkCounters refuses what could not be read again, or is too much. What a
// counter counts is the panel's business.
func checkCounters(counters map[string]int64) error {
	if len(counters) > wire.MaxCounters {
		return fail(wire.CodeOrder, "", "more than %d counters at once", wire.MaxCounters)
	}
	for name, last := range counters {
		if !wire.ValidCounter(name, last) {
			return fail(wire.CodeOrder, "", "%q can't be a counter", printable(name))
		}
	}
	return nil
}

// counters returns the largest number heard of each counter.
func (r *records) counters() (map[string]int64, error) {
	largest := map[string]int64{}
	data, _, err := r.disk.Read(r.path(fileCounters), ownLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return largest, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = decodeLines(data, func(content []byte) error {
		var heard map[string]int64
		if err := json.Unmarshal(content, &heard); err != nil {
			return err
		}
		for name, last := range heard {
			largest[name] = max(largest[name], last)
		}
		return nil
	})
	return largest, err
}

// keepCounters notes how far a panel's counters are, so that a database that is
// restored from a backup can hear it again. It is durable only once the names
// it returns are synced.
func (m *machine) keepCounters(ctx context.Context, counters map[string]int64) (unsynced []string, err error) {
	if len(counters) == 0 {
		return nil, nil
	}
	lock, err := m.lock(ctx, m.path(fileCountersLock), false, countersWait)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	name := m.path(fileCounters)
	info, err := m.disk.Stat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && info.Size > countersLimit {
		return m.keepCountersAnew(name, counters)
	}
	content, err := encodeLine(counters)
	if err != nil {
		return nil, err
	}
	// The line before it may be torn by a power cut: an empty one counts for nothing.
	err = m.disk.Append(name, append([]byte("\n"), content...))
	if !errors.Is(err, fs.ErrNotExist) {
		return []string{name}, err
	}
	return []string{name, m.dir}, m.disk.Create(name, content, rootFile)
}

// keepCountersAnew writes the log anew, with what it says in one line.
func (m *machine) keepCountersAnew(name string, counters map[string]int64) (unsynced []string, err error) {
	largest, err := m.counters()
	if err != nil {
		return nil, err
	}
	for name, last := range counters {
		largest[name] = max(largest[name], last)
	}
	content, err := encodeLine(largest)
	if err != nil {
		return nil, err
	}
	return m.replaceLog(name, content)
}

// replaceLog replaces one of our logs by another content. It is durable only
// once the names it returns are synced.
func (r *records) replaceLog(name string, content []byte) (unsynced []string, err error) {
	fresh := name + ".new"
	if err := r.disk.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := r.disk.Create(fresh, content, rootFile); err != nil {
		return nil, err
	}
	if err := r.disk.Sync(fresh); err != nil {
		return nil, err
	}
	if err := r.disk.Exchange(fresh, name); err != nil {
		return nil, err
	}
	return []string{r.dir}, r.disk.Remove(fresh)
}

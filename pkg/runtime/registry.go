package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// The registry remembers what was last kept here, by resource: so a file can be
// told to be ours, and a hand edit from a stale object. It is a number of
// logs, chosen by a hash of the resource: what one look-up costs is a small part of
// one of them. A log is written anew when most of it is out of date.
type registry struct {
	records *records
	read    map[string]*registryLog
}

const registryLogs = 256

type registryLog struct {
	entries map[string]registryEntry
	lines   int
	torn    bool
	missing bool
}

// registryEntry is what is known of one resource.
type registryEntry struct {
	Key    string `json:"key"`
	Digest string `json:"digest,omitempty"` // "" for one that is ours no longer
	Step   string `json:"step,omitempty"`
	Object string `json:"object,omitempty"`
}

func newRegistry(records *records) *registry {
	return &registry{records: records, read: map[string]*registryLog{}}
}

func (r *registry) bucket(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:1])
}

func (r *registry) log(bucket string) (*registryLog, error) {
	if log := r.read[bucket]; log != nil {
		return log, nil
	}
	log := &registryLog{entries: map[string]registryEntry{}}
	data, _, err := r.records.disk.Read(r.records.path(directoryReg, bucket), ownLimit)
	if errors.Is(err, fs.ErrNotExist) {
		log.missing = true
	} else if err != nil {
		return nil, err
	}
	log.torn, err = decodeLines(data, func(content []byte) error {
		var entry registryEntry
		if err := json.Unmarshal(content, &entry); err != nil {
			return fmt.Errorf("registry: %w", err)
		}
		log.lines++
		if entry.Digest == "" {
			delete(log.entries, entry.Key)
		} else {
			log.entries[entry.Key] = entry
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.read[bucket] = log
	return log, nil
}

// find returns what was last kept of a resource.
func (r *registry) find(key string) (registryEntry, bool, error) {
	log, err := r.log(r.bucket(key))
	if err != nil {
		return registryEntry{}, false, err
	}
	entry, ok := log.entries[key]
	return entry, ok, nil
}

// all returns all that is known: it costs what there is.
func (r *registry) all() ([]registryEntry, error) {
	var all []registryEntry
	for n := range registryLogs {
		log, err := r.log(fmt.Sprintf("%02x", n))
		if err != nil {
			return nil, err
		}
		for _, entry := range log.entries {
			all = append(all, entry)
		}
	}
	slices.SortFunc(all, func(a, b registryEntry) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return all, nil
}

// put records entries, durably. Those that are known already cost nothing.
func (r *registry) put(entries []registryEntry) error {
	changed := map[string][]registryEntry{}
	for _, entry := range entries {
		bucket := r.bucket(entry.Key)
		log, err := r.log(bucket)
		if err != nil {
			return err
		}
		known, ok := log.entries[entry.Key]
		if ok && known == entry || !ok && entry.Digest == "" {
			continue
		}
		if entry.Digest == "" {
			delete(log.entries, entry.Key)
		} else {
			log.entries[entry.Key] = entry
		}
		changed[bucket] = append(changed[bucket], entry)
	}
	var unsynced []string
	for bucket, entries := range changed {
		names, err := r.write(bucket, entries)
		if err != nil {
			r.read = map[string]*registryLog{} // what is in memory is not what is there
			return err
		}
		unsynced = append(unsynced, names...)
	}
	if len(unsynced) == 0 {
		return nil
	}
	return r.records.disk.Sync(unsynced...)
}

// write adds entries to one log, and returns what is to be synced.
func (r *registry) write(bucket string, entries []registryEntry) ([]string, error) {
	log, name := r.read[bucket], r.records.path(directoryReg, bucket)
	const few = 200
	if log.torn || log.lines+len(entries) > few+3*len(log.entries) {
		return r.compact(bucket)
	}
	content, err := encodeEntries(entries)
	if err != nil {
		return nil, err
	}
	log.lines += len(entries)
	if log.missing {
		log.missing = false
		return []string{name, r.records.path(directoryReg)}, r.records.disk.Create(name, content, rootFile)
	}
	return []string{name}, r.records.disk.Append(name, content)
}

// compact writes a log anew.
func (r *registry) compact(bucket string) ([]string, error) {
	log, name := r.read[bucket], r.records.path(directoryReg, bucket)
	entries := make([]registryEntry, 0, len(log.entries))
	for _, entry := range log.entries {
		entries = append(entries, entry)
	}
	content, err := encodeEntries(entries)
	if err != nil {
		return nil, err
	}
	disk, fresh := r.records.disk, name+".new"
	if err := disk.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := disk.Create(fresh, content, rootFile); err != nil {
		return nil, err
	}
	if err := disk.Sync(fresh); err != nil {
		return nil, err
	}
	log.lines, log.torn = len(entries), false
	if log.missing {
		log.missing = false
		return []string{r.records.path(directoryReg)}, disk.Rename(fresh, name)
	}
	if err := disk.Exchange(fresh, name); err != nil {
		return nil, err
	}
	return []string{r.records.path(directoryReg)}, disk.Remove(fresh)
}

func encodeEntries(entries []registryEntry) ([]byte, error) {
	var content []byte
	for _, entry := range entries {
		line, err := encodeLine(entry)
		if err != nil {
			return nil, err
		}
		content = append(content, line...)
	}
	return content, nil
}

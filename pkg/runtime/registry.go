package runtime

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// The registry remembers what was last kept here, by resource: so a file can be
// told to be ours, and a hand edit from a stale object.
//
// It is a journal and 256 parts, chosen by a hash of the resource. What is kept
// is appended to the journal, with one sync; when that is long, it is folded into
// the parts. A look-up reads the journal and one part, and takes the last line of
// the resource: what it costs hardly grows with what is stored. A part is
// written anew when most of its lines are out of date.
//
// Only the holder of the server's lock writes; everybody may read: what a fold
// moves is in the parts before it leaves the journal.
type registry struct {
	records *records
	read    map[string]*registryLog // journal and parts, by name
}

const (
	registryJournal = "journal"
	registryParts   = 256
	registryFold    = 4 << 20 // bytes of the journal
	registrySpare   = 200     // lines out of date that a part may always have
)

// registryEntry is what is known of one resource.
type registryEntry struct {
	Key    string `json:"key"`
	Digest string `json:"digest,omitempty"` // "" for one that is ours no longer
	Step   string `json:"step,omitempty"`
	Object string `json:"object,omitempty"`
	Secret bool   `json:"secret,omitempty"` // its content is never shown
}

// registryLog is one file of the registry: lines of "ID ENTRY CHECKSUM". It is
// searched for a few ids, and indexed where many are asked for.
type registryLog struct {
	data    []byte
	asked   int
	last    map[string]int // where the last line of each id begins; nil: not indexed
	lines   int
	torn    bool // the last line is not whole
	missing bool
}

func newRegistry(records *records) *registry {
	return &registry{records: records, read: map[string]*registryLog{}}
}

const registryID = 32 // characters of an id

func idOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:registryID/2])
}

func partOf(id string) string { return id[:2] }

// checksumOf returns what stands at the end of a line: a blank and eight digits.
func checksumOf(data []byte) string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	return string(hex.AppendEncode([]byte{' '}, sum))
}

func (e registryEntry) encode() ([]byte, error) {
	content, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	line := fmt.Appendf(nil, "%s %s", idOf(e.Key), content)
	return append(append(line, checksumOf(line)...), '\n'), nil
}

// readLog takes a file of the registry. Lines that are damaged do not count.
func readLog(data []byte) *registryLog {
	return &registryLog{data: data, torn: len(data) > 0 && data[len(data)-1] != '\n'}
}

// index finds the last line of each id.
func (l *registryLog) index() map[string]int {
	if l.last != nil {
		return l.last
	}
	l.last = map[string]int{}
	at := 0
	for line := range bytes.Lines(l.data) {
		if body, whole := bytes.CutSuffix(line, []byte{'\n'}); whole && validLine(body) {
			l.lines++
			l.last[string(line[:registryID])] = at
		}
		at += len(line)
	}
	return l.last
}

// find returns where the last line of an id begins.
func (l *registryLog) find(id string) (at int, ok bool) {
	if l.asked++; l.last != nil || l.asked > fewNames {
		at, ok = l.index()[id]
		return at, ok
	}
	for from := 0; ; {
		next := bytes.Index(l.data[from:], []byte(id))
		if next < 0 {
			return at, ok
		}
		next += from
		from = next + registryID
		line, _, whole := bytes.Cut(l.data[next:], []byte{'\n'})
		if (next == 0 || l.data[next-1] == '\n') && whole && validLine(line) {
			at, ok = next, true
		}
	}
}

func validLine(line []byte) bool {
	const sum = 9 // characters of a checksum
	if len(line) < registryID+1+sum || line[registryID] != ' ' {
		return false
	}
	body := line[:len(line)-sum]
	return string(line[len(body):]) == checksumOf(body)
}

// entry returns the last entry of an id.
func (l *registryLog) entry(id string) (registryEntry, bool, error) {
	at, ok := l.find(id)
	if !ok {
		return registryEntry{}, false, nil
	}
	line, _, _ := bytes.Cut(l.data[at:], []byte("\n"))
	var entry registryEntry
	err := json.Unmarshal(line[registryID+1:len(line)-9], &entry)
	if err != nil {
		err = fmt.Errorf("registry: %w", err)
	}
	return entry, true, err
}

func (r *registry) log(name string) (*registryLog, error) {
	if log := r.read[name]; log != nil {
		return log, nil
	}
	data, _, err := r.records.disk.Read(r.records.path(directoryReg, name), ownLimit)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, err
	}
	log := readLog(data)
	log.missing = missing
	r.read[name] = log
	return log, nil
}

// find returns what was last kept of a resource, false where it is not ours.
func (r *registry) find(key string) (registryEntry, bool, error) {
	id := idOf(key)
	for _, name := range []string{registryJournal, partOf(id)} { // in this order: see above
		log, err := r.log(name)
		if err != nil {
			return registryEntry{}, false, err
		}
		entry, ok, err := log.entry(id)
		if err != nil || ok {
			return entry, ok && entry.Digest != "", err
		}
	}
	return registryEntry{}, false, nil
}

// all returns all that is known, by key: it costs what there is.
func (r *registry) all() ([]registryEntry, error) {
	known := map[string]registryEntry{}
	names := []string{registryJournal}
	for n := range registryParts {
		names = append(names, fmt.Sprintf("%02x", n))
	}
	for _, name := range names {
		log, err := r.log(name)
		if err != nil {
			return nil, err
		}
		for id := range log.index() {
			if _, later := known[id]; later {
				continue
			}
			if known[id], _, err = log.entry(id); err != nil {
				return nil, err
			}
		}
	}
	entries := slices.Collect(maps.Values(known))
	entries = slices.DeleteFunc(entries, func(e registryEntry) bool { return e.Digest == "" })
	slices.SortFunc(entries, func(a, b registryEntry) int { return strings.Compare(a.Key, b.Key) })
	return entries, nil
}

// put records entries, durably. What is known already is not written again.
func (r *registry) put(entries []registryEntry) error {
	r.read = map[string]*registryLog{} // others may have written since
	var lines []byte
	for _, entry := range entries {
		known, ok, err := r.find(entry.Key)
		if err != nil {
			return err
		}
		if ok && known == entry || !ok && entry.Digest == "" {
			continue
		}
		line, err := entry.encode()
		if err != nil {
			return err
		}
		lines = append(lines, line...)
	}
	if len(lines) == 0 {
		return nil
	}
	journal, err := r.log(registryJournal)
	if err != nil {
		return err
	}
	if journal.torn {
		lines = append([]byte("\n"), lines...)
	}
	r.read = map[string]*registryLog{}
	unsynced, err := r.append(registryJournal, lines, journal.missing)
	if err == nil {
		err = r.records.disk.Sync(unsynced...)
	}
	if err == nil && len(journal.data)+len(lines) > registryFold {
		err = r.fold()
	}
	return err
}

// append adds lines to a file and returns what is to be synced.
func (r *registry) append(name string, lines []byte, missing bool) ([]string, error) {
	path := r.records.path(directoryReg, name)
	if missing {
		return []string{path, r.records.path(directoryReg)}, r.records.disk.Create(path, lines, rootFile)
	}
	return []string{path}, r.records.disk.Append(path, lines)
}

// fold moves what is in the journal to the parts.
func (r *registry) fold() error {
	journal, err := r.log(registryJournal)
	if err != nil {
		return err
	}
	if journal.missing {
		return nil
	}
	moving := map[string][]string{} // ids, by part
	for id := range journal.index() {
		moving[partOf(id)] = append(moving[partOf(id)], id)
	}
	var unsynced []string
	for part, ids := range moving {
		names, err := r.foldPart(journal, part, ids)
		if err != nil {
			return err
		}
		unsynced = append(unsynced, names...)
	}
	if err := r.records.disk.Sync(unsynced...); err != nil {
		return err
	}
	name := r.records.path(directoryReg, registryJournal)
	if err := r.records.disk.Overwrite(name, nil); err != nil {
		return err
	}
	r.read = map[string]*registryLog{}
	return r.records.disk.Sync(name)
}

// foldPart adds the journal's last lines of ids to a part, or writes it anew.
func (r *registry) foldPart(journal *registryLog, part string, ids []string) ([]string, error) {
	log, err := r.log(part)
	if err != nil {
		return nil, err
	}
	var lines []byte
	slices.Sort(ids)
	log.index()
	if !log.torn && log.lines+len(ids) <= registrySpare+3*len(log.last) || log.missing {
		for _, id := range ids {
			lines = append(lines, journal.line(id)...)
		}
		return r.append(part, lines, log.missing)
	}
	for _, id := range slices.Sorted(maps.Keys(log.index())) {
		if _, moved := journal.last[id]; moved {
			continue
		}
		if entry, _, err := log.entry(id); err != nil {
			return nil, err
		} else if entry.Digest != "" {
			lines = append(lines, log.line(id)...)
		}
	}
	for _, id := range ids {
		if entry, _, err := journal.entry(id); err != nil {
			return nil, err
		} else if entry.Digest != "" {
			lines = append(lines, journal.line(id)...)
		}
	}
	return r.replace(part, lines)
}

// line returns the last line of an id, with its newline.
func (l *registryLog) line(id string) []byte {
	at := l.last[id]
	return l.data[at : at+bytes.IndexByte(l.data[at:], '\n')+1]
}

// replace writes a part anew.
func (r *registry) replace(part string, lines []byte) ([]string, error) {
	disk, name := r.records.disk, r.records.path(directoryReg, part)
	fresh := name + ".new"
	if err := disk.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := disk.Create(fresh, lines, rootFile); err != nil {
		return nil, err
	}
	if err := disk.Sync(fresh); err != nil {
		return nil, err
	}
	if err := disk.Exchange(fresh, name); err != nil {
		return nil, err
	}
	return []string{r.records.path(directoryReg)}, disk.Remove(fresh)
}

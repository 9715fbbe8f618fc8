package runtime

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"orchestra/pkg/wire"
)

// A file that grows has a number that only grows, such as a zone's serial, on
// the line that ends with a mark. Others have seen the number, so that undo goes
// on to the old content with a newer number, which is staged in advance, and the
// same content with another number is no difference. Where others count it on as
// well, as a signed zone does by itself, it goes further ahead than by one.

// growing is such a file, taken apart.
type growing struct {
	before, after []byte // the number
	number        uint64
}

// readGrowing finds the number before mark; nil where there is none.
func readGrowing(data []byte, mark string) *growing {
	end := bytes.Index(data, []byte(mark+"\n"))
	if end < 0 {
		return nil
	}
	for end > 0 && (data[end-1] == ' ' || data[end-1] == '\t') {
		end--
	}
	start := end
	for start > 0 && data[start-1] >= '0' && data[start-1] <= '9' {
		start--
	}
	number, err := strconv.ParseUint(string(data[start:end]), 10, 63)
	if err != nil {
		return nil
	}
	return &growing{before: data[:start], after: data[end:], number: number}
}

// with returns the file with another number.
func (g *growing) with(number uint64) []byte {
	whole := append([]byte{}, g.before...)
	return append(strconv.AppendUint(whole, number, 10), g.after...)
}

// same tells whether both are the same but for their numbers.
func (g *growing) same(other *growing) bool {
	return bytes.Equal(g.before, other.before) && bytes.Equal(g.after, other.after)
}

// grow gives a file its number: larger than that of the live one, which has the
// content live. What has the same content and no smaller number does not differ.
func (r *resource) grow(live []byte) {
	wanted, is := readGrowing(r.content, r.mark), readGrowing(live, r.mark)
	if is == nil {
		return
	}
	if is.same(wanted) && is.number >= wanted.number {
		r.setContent(live)
		return
	}
	number := max(wanted.number, is.number+r.ahead)
	r.setContent(wanted.with(number))
	r.newer = is.with(number + r.ahead)
	r.Newer = contentState(r.newer, r.Before.Attributes)
}

func (r *resource) setContent(content []byte) {
	r.content = content
	r.After = contentState(content, r.After.Attributes)
}

// contentState describes a file that has content.
func contentState(content []byte, attributes Attributes) *state {
	sum := sha256.Sum256(content)
	return &state{Type: TypeFile, Attributes: attributes, Hash: hex.EncodeToString(sum[:]), Size: int64(len(content))}
}

// stageNewer lays what undo goes on to beside the live file.
func (o *operation) stageNewer(r *resource) error {
	if r.Newer == nil {
		return nil
	}
	disk := r.disk(o.machine)
	err := disk.Create(r.NewerTemp, r.newer, r.Newer.Attributes)
	if err == nil {
		err = disk.CopyExtended(r.Place.Path, r.NewerTemp)
	}
	if err != nil {
		return fail(wire.CodeInternal, r.Name, "what undo would go on to can't be written").because(err)
	}
	o.unsynced = append(o.unsynced, r.NewerTemp)
	o.touch(r.NewerTemp)
	return nil
}

// rememberNewer records, before an operation ends as undone, what undo went on
// to: it is ours, and no hand edit.
func (o *operation) rememberNewer() error {
	var entries []registryEntry
	for _, s := range o.steps {
		for _, r := range s.Resources {
			if r.Newer == nil {
				continue
			}
			live, _, err := readState(o.machine.disk, r.Place.Path)
			if err != nil {
				return fmt.Errorf("%s: %w", r.Name, err)
			}
			if live.is(r.Newer) {
				entries = append(entries, registryEntry{
					Key: r.key(), Step: s.keeper(), Object: r.Object, Secret: r.Secret, Digest: o.kindOf(r).digest(r, r.Newer),
				})
			}
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return o.machine.withReserve(func() error { return newRegistry(o.machine.records).put(entries) })
}

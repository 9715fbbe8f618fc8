package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"syscall"
	"unicode/utf8"

	"orchestra/pkg/wire"
)

// fileKind brings about whole files: `file PATH OWNER GROUP MODE CONTENT [new]
// [secret] [grows MARK [AHEAD]]` and `absent PATH`.
type fileKind struct{}

// fileWords may follow the content of a file.
var fileWords = []string{"new", "secret", "grows"}

const (
	fileLimit = 256 << 20 // the largest live file that is replaced, in bytes
	showLimit = 64 << 10  // the largest that is shown in a difference
)

func (fileKind) declare(s *step, d declaration) (*resource, error) {
	if d.Verb == "absent" {
		if len(d.Arguments) != 1 {
			return nil, errArguments
		}
		return &resource{Kind: kindFile, Name: d.Arguments[0], where: d.Arguments[0]}, nil
	}
	if len(d.Arguments) < 5 {
		return nil, errArguments
	}
	mode, err := parseMode(d.Arguments[3])
	if err != nil {
		return nil, err
	}
	r := &resource{
		Kind: kindFile, Name: d.Arguments[0], where: d.Arguments[0],
		After: &state{Type: TypeFile}, owner: d.Arguments[1], group: d.Arguments[2],
	}
	r.After.Mode = mode
	for words := d.Arguments[5:]; len(words) > 0; words = words[1:] {
		switch {
		case words[0] == "new":
			r.new = true
		case words[0] == "secret":
			r.Secret = true
		case words[0] == "grows" && len(words) > 1 && words[1] != "":
			r.mark, words = words[1], words[1:]
			r.ahead = 1
			if len(words) > 1 && !slices.Contains(fileWords, words[1]) {
				if r.ahead, err = strconv.ParseUint(words[1], 10, 31); err != nil || r.ahead == 0 {
					return nil, fmt.Errorf("%q is not how far a number goes ahead", printable(words[1]))
				}
				words = words[1:]
			}
		default:
			return nil, fmt.Errorf("%q is neither new nor secret nor grows MARK [AHEAD]", printable(words[0]))
		}
	}
	text, secret, err := s.expand(d.Arguments[4])
	if err != nil {
		return nil, err
	}
	r.setContent([]byte(text))
	if r.mark != "" && readGrowing(r.content, r.mark) == nil {
		return nil, fmt.Errorf("its content has no number before %q at the end of a line", printable(r.mark))
	}
	r.Secret = r.Secret || secret
	return r, nil
}

// parseMode reads the bits of chmod(1) in octal.
func parseMode(text string) (uint32, error) {
	mode, err := strconv.ParseUint(text, 8, 32)
	if err != nil || len(text) < 3 || len(text) > 4 || mode > 0o7777 {
		return 0, fmt.Errorf("%q is not an octal mode such as 0640", printable(text))
	}
	return uint32(mode), nil
}

func (fileKind) observe(ctx context.Context, o *operation, resources []*resource) ([]*resource, error) {
	return nil, eachOf(ctx, resources, func(_ int, r *resource) error {
		if err := o.resolveOwner(r); err != nil {
			return err
		}
		info, err := o.lookFirst(r)
		if err != nil || info == nil {
			return err
		}
		if info.Type != TypeFile && (info.Type != TypeLink || r.After != nil) {
			return fail(wire.CodeTaken, r.Name, "a %s is in its place", info.Type)
		}
		if r.Before, r.beforeText, err = readState(r.disk(o.machine), r.Place.Path); err != nil {
			return fail(wire.CodeTaken, r.Name, "it can't be read").because(err)
		}
		if r.mark != "" && r.After != nil {
			live, _, err := r.disk(o.machine).Read(r.Place.Path, fileLimit)
			if err != nil {
				return fail(wire.CodeTaken, r.Name, "it can't be read").because(err)
			}
			r.grow(live)
		}
		if r.new && !r.Before.is(r.After) {
			if _, ours, err := o.registry.find(r.key()); err != nil {
				return err
			} else if !ours && !(r.Before.Hash == r.After.Hash) {
				return fail(wire.CodeTaken, r.Name, "there is a file already that is not ours")
			}
		}
		return nil
	})
}

// readState describes a file or link, with the beginning of its text for people.
func readState(disk Disk, name string) (*state, string, error) {
	info, err := disk.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	if info.Type != TypeFile {
		return &state{Type: info.Type, Attributes: info.Attributes, Target: info.Target}, "", nil
	}
	data, info, err := disk.Read(name, fileLimit)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(data)
	found := &state{Type: TypeFile, Attributes: info.Attributes, Hash: hex.EncodeToString(sum[:]), Size: int64(len(data))}
	return found, showContent(data), nil
}

func showContent(data []byte) string {
	if len(data) > showLimit || !utf8.Valid(data) {
		return fmt.Sprintf("%d bytes", len(data))
	}
	return printable(string(data))
}

func (fileKind) plan(o *operation, resources []*resource) error {
	for _, r := range resources {
		if r.After != nil {
			r.Temp = o.tempName(r.Place.Near)
			if r.Newer != nil {
				r.NewerTemp = o.tempName(r.Place.Near)
			}
			continue
		}
		trash, err := o.trashFor(r.Place.Near)
		if err != nil {
			return err
		}
		r.Trash = o.trashName(trash, r.Place.Path)
	}
	return nil
}

func (fileKind) stage(ctx context.Context, o *operation, resources []*resource) error {
	return eachOf(ctx, resources, func(i int, r *resource) error {
		if r.After == nil {
			return nil
		}
		o.machine.progress("staging files", i, len(resources))
		disk := r.disk(o.machine)
		if err := disk.Create(r.Temp, r.content, r.After.Attributes); err != nil {
			return fail(wire.CodeInternal, r.Name, "its new content can't be written").because(err)
		}
		if r.Before != nil {
			if err := disk.CopyExtended(r.Place.Path, r.Temp); err != nil {
				return fail(wire.CodeInternal, r.Name, "its attributes can't be copied").because(err)
			}
		}
		o.unsynced = append(o.unsynced, r.Temp)
		o.touch(r.Temp)
		return o.stageNewer(r)
	})
}

func (fileKind) publish(ctx context.Context, o *operation, resources []*resource) error {
	return eachOf(ctx, resources, func(i int, r *resource) error {
		o.machine.progress("publishing files", i, len(resources))
		return publishEntry(o, r)
	})
}

// publishEntry makes a file or link live, by one rename, or moves it away. What
// comes out is compared with what staging saw, and put back if it is something else.
func publishEntry(o *operation, r *resource) error {
	disk, name := r.disk(o.machine), r.Place.Path
	r.reached = true
	switch {
	case r.After == nil:
		o.touch(name, r.Trash)
		if err := o.machine.disk.Rename(name, r.Trash); err != nil {
			return r.giveBack(changedBecause(r, err))
		}
		if found, _, err := readState(o.machine.disk, r.Trash); err != nil || !found.is(r.Before) {
			return r.giveBack(changed(r, "it is not what was to be removed"), err, o.machine.disk.Rename(r.Trash, name))
		}
	case r.Before == nil:
		o.touch(name, r.Temp)
		if err := disk.Rename(r.Temp, name); err != nil {
			return r.giveBack(changedBecause(r, err))
		}
	default:
		o.touch(name, r.Temp)
		if err := disk.Exchange(r.Temp, name); err != nil {
			return r.giveBack(changedBecause(r, err))
		}
		if found, _, err := readState(disk, r.Temp); err != nil || !found.is(r.Before) {
			return r.giveBack(changed(r, "its content or its owner is another"), err, disk.Exchange(r.Temp, name))
		}
	}
	return nil
}

// giveBack joins errors; when the last of them, that of putting somebody else's
// thing back, is none, then nothing of ours is live.
func (r *resource) giveBack(failed ...error) error {
	r.reached = len(failed) > 1 && failed[len(failed)-1] != nil
	return errors.Join(failed...)
}

func changedBecause(r *resource, err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return changed(r, "it has come into being")
	case errors.Is(err, fs.ErrNotExist):
		return changed(r, "it is gone, or the directory that holds it")
	}
	return fail(wire.CodeInternal, r.Name, "it can't be put in place").because(err)
}

func (fileKind) undo(_ context.Context, o *operation, resources []*resource) []error {
	var failed []error
	for i, r := range slices.Backward(resources) {
		o.machine.progress("undoing files", len(resources)-1-i, len(resources))
		if err := r.unlessTaken(undoEntry(o, r)); err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// undoEntry puts a file or link back as it was.
func undoEntry(o *operation, r *resource) error {
	// As root from here on: undoing may not depend on what a user allows. The
	// paths are opened without following links, and only entries are moved.
	disk, name := o.machine.disk, r.Place.Path
	live, _, err := readState(disk, name)
	if err != nil {
		return fail(wire.CodeInternal, r.Name, "it can't be looked at").because(err)
	}
	if live.is(r.Before) || r.Newer != nil && live.is(r.Newer) {
		return nil
	}
	if waits, err := o.stillWaits(r); err != nil || waits {
		return err
	}
	if !live.is(r.After) {
		return neitherFile(o, r, live)
	}
	switch {
	case r.After == nil:
		o.touch(name, r.Trash)
		if err := disk.Rename(r.Trash, name); err != nil {
			return changedBecause(r, err)
		}
	case r.Before == nil:
		// First away, then looked at: it may change at any moment.
		o.touch(name, r.Temp)
		if err := disk.Rename(name, r.Temp); err != nil {
			return changedBecause(r, err)
		}
		if found, _, err := readState(disk, r.Temp); err != nil || !found.is(r.After) {
			return errors.Join(changed(r, "somebody is writing to it"), err, disk.Rename(r.Temp, name))
		}
	default:
		return o.exchangeBack(r)
	}
	return nil
}

// exchangeBack puts the old content of a file back or, of one that grows, the
// newer file that has it.
func (o *operation) exchangeBack(r *resource) error {
	disk, name, temp := o.machine.disk, r.Place.Path, r.Temp
	if r.Newer != nil {
		temp = r.NewerTemp
	}
	old, _, err := readState(disk, temp)
	if err != nil || old == nil || old.is(r.After) {
		return errors.Join(changed(r, "its old content is gone from "+temp), err)
	}
	o.touch(name, temp)
	if err := disk.Exchange(temp, name); err != nil {
		return changedBecause(r, err)
	}
	if found, _, err := readState(disk, temp); err != nil || !found.is(r.After) {
		return errors.Join(changed(r, "somebody is writing to it"), err, disk.Exchange(temp, name))
	}
	return nil
}

// stillWaits tells whether the new content still lies beside, or the old one was
// not moved away: then what is live was never ours.
func (o *operation) stillWaits(r *resource) (bool, error) {
	name := r.Temp
	if r.After == nil {
		name = r.Trash
	}
	found, _, err := readState(o.machine.disk, name)
	if err != nil {
		return false, fail(wire.CodeInternal, r.Name, "its new content can't be looked at").because(err)
	}
	if r.After == nil {
		return found == nil, nil
	}
	return found.is(r.After), nil
}

func (fileKind) sweep(o *operation, resources []*resource) error {
	var failed error
	for _, r := range resources {
		failed = errors.Join(failed, r.unlessTaken(sweepTemp(o, r.Temp)), r.unlessTaken(sweepTemp(o, r.NewerTemp)))
		if r.After == nil { // what was kept away goes now: it may hold secrets
			failed = errors.Join(failed, sweepTemp(o, r.Trash))
		}
	}
	return failed
}

// unlessTaken forgets an error that says that a user has moved his own
// directories away while we worked in them: what was there is his, and where it
// is now is his business. He could otherwise keep every operation from ending.
func (r *resource) unlessTaken(err error) error {
	if r.Place.Owner != nil && isTaken(err) {
		return nil
	}
	return err
}

func isTaken(err error) bool {
	return errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrNotExist)
}

// sweepTemp removes something temporary of ours, if it is there.
func sweepTemp(o *operation, name string) error {
	if name == "" {
		return nil
	}
	err := o.machine.disk.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		// It may have been removed just before a power cut that forgets it.
		o.touch(name)
		return nil
	}
	o.touch(name)
	return err
}

func (fileKind) digest(_ *resource, s *state) string { return digestOf(s.Mode, s.Owner, s.Hash) }

func (fileKind) show(r *resource, s *state) string {
	text := fmt.Sprintf("owner %d:%d mode %04o\n", s.UID, s.GID, s.Mode)
	if r.After != nil && s.Hash == r.After.Hash && r.content != nil {
		return text + showContent(r.content)
	}
	return text + r.beforeText
}

// directoryOf is the canonical directory that holds a resource.
func directoryOf(r *resource) string { return path.Dir(r.Place.Path) }

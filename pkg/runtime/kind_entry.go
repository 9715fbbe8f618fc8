package runtime

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"orchestra/pkg/wire"
)

// entryKind brings about one key of a file that others write to as well:
// `entry FILE KEY VALUE [FORMAT]` and `drop entry FILE KEY [FORMAT]`. What is not of
// these keys stays byte for byte. Here is what all formats have in common.
type entryKind struct{}

// The formats of files of entries.
const (
	formatLines = "lines"  // KEY, blanks, VALUE: as Postfix's maps
	formatColon = "colon"  // KEY:VALUE: as passwd-files
	formatMap   = "sqlite" // a table of an SQLite file: as Postfix's sqlite: maps
)

// entryFormat is how the entries of one file are handled; group are those that are
// declared for it.
type entryFormat interface {
	observe(o *operation, group []*resource) error
	stage(o *operation, group []*resource) error
	publish(o *operation, group []*resource) error
	undo(o *operation, group []*resource) []error
}

func formatOf(group []*resource) entryFormat {
	if group[0].Format == formatMap {
		return mapEntries{}
	}
	return lineEntries{}
}

// entryGrowth is how much a file may grow meanwhile, by others, and undo still need no space.
const entryGrowth = 64 << 10

func (entryKind) declare(s *step, d declaration) (*resource, error) {
	least, most := 3, 4
	if d.Verb == "drop-entry" {
		least, most = 2, 3
	}
	if len(d.Arguments) < least || len(d.Arguments) > most {
		return nil, errArguments
	}
	r := &resource{Kind: kindEntry, Name: d.Arguments[1], where: d.Arguments[0], Format: formatLines}
	if len(d.Arguments) == most {
		r.Format = d.Arguments[most-1]
	}
	if !slices.Contains([]string{formatLines, formatColon, formatMap}, r.Format) {
		return nil, fmt.Errorf("%q is neither lines nor colon nor sqlite", printable(r.Format))
	}
	if !validKey(r.Name, r.Format) {
		return nil, fmt.Errorf("%q can't be the key of an entry", printable(r.Name))
	}
	if d.Verb == "drop-entry" {
		return r, nil
	}
	value, secret, err := s.expand(d.Arguments[2])
	if err != nil {
		return nil, err
	}
	if !validValue(value, r.Format) {
		return nil, fmt.Errorf("the value of %q can't be one of an entry", printable(r.Name))
	}
	r.After, r.Secret = &state{Text: value}, secret
	return r, nil
}

func validKey(key, format string) bool {
	if key == "" || len(key) > entryKeyLimit {
		return false
	}
	if format == formatMap {
		return !strings.Contains(key, "\x00")
	}
	if strings.ContainsAny(key, "\n\r\x00 \t") || key[0] == '#' {
		return false
	}
	return format != formatColon || !strings.Contains(key, ":")
}

// entryKeyLimit is the longest key, in bytes.
const entryKeyLimit = 4000

func validValue(value, format string) bool {
	if format == formatMap {
		return !strings.Contains(value, "\x00")
	}
	return !strings.ContainsAny(value, "\n\r\x00") && strings.Trim(value, " \t") == value
}

// byFile groups entries, in order of their files.
func byFile(resources []*resource) [][]*resource {
	var groups [][]*resource
	index := map[string]int{}
	for _, r := range resources {
		at, ok := index[r.Place.Path]
		if !ok {
			at, index[r.Place.Path] = len(groups), len(groups)
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], r)
	}
	return groups
}

// eachFile calls f with the entries of each file, until ctx ends or one fails.
func eachFile(ctx context.Context, resources []*resource, f func(group []*resource) error) error {
	for _, group := range byFile(resources) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(group); err != nil {
			return concerning(err, group...)
		}
	}
	return nil
}

func (entryKind) observe(ctx context.Context, o *operation, resources []*resource) ([]*resource, error) {
	return nil, eachFile(ctx, resources, func(group []*resource) error {
		for _, r := range group {
			if r.Format != group[0].Format {
				return fail(wire.CodeDeclared, r.where, "it is declared in two formats, %s and %s", group[0].Format, r.Format)
			}
		}
		return formatOf(group).observe(o, group)
	})
}

// lookAtFile describes the file of a group, nil where there is none: those that are
// to be in it need its directory.
func (o *operation) lookAtFile(group []*resource) (*Info, error) {
	wanted := toBe(group)
	info, err := o.lookFirst(wanted[0])
	return info, concerning(err, wanted...)
}

// toBe returns the entries of a group that are to be there, all of it where none is.
func toBe(group []*resource) []*resource {
	wanted := slices.DeleteFunc(slices.Clone(group), func(r *resource) bool { return r.After == nil })
	if len(wanted) == 0 {
		return group
	}
	return wanted
}

// plan gives the resources of one file one temporary name; publish writes to it
// and undo to its sibling.
func (entryKind) plan(o *operation, resources []*resource) error {
	for _, group := range byFile(resources) {
		temp := o.tempName(group[0].Place.Near)
		_, err := group[0].disk(o.machine).Stat(group[0].Place.Path)
		for _, r := range group {
			r.Temp, r.Made = temp, errors.Is(err, fs.ErrNotExist)
		}
	}
	return nil
}

func (entryKind) stage(ctx context.Context, o *operation, resources []*resource) error {
	return eachFile(ctx, resources, func(group []*resource) error { return formatOf(group).stage(o, group) })
}

// grownBy is how many bytes the entries of group add at most.
func grownBy(group []*resource) int64 {
	grown := int64(0)
	for _, r := range group {
		if r.After != nil {
			grown += int64(len(r.Name) + len(r.After.Text) + 2)
		}
	}
	return grown
}

func (entryKind) publish(ctx context.Context, o *operation, resources []*resource) error {
	return eachFile(ctx, resources, func(group []*resource) error { return formatOf(group).publish(o, group) })
}

func reached(group []*resource, is bool) {
	for _, r := range group {
		r.reached = is
	}
}

func (entryKind) undo(_ context.Context, o *operation, resources []*resource) []error {
	var failed []error
	for _, group := range slices.Backward(byFile(resources)) {
		failed = append(failed, formatOf(group).undo(o, group)...)
	}
	return failed
}

// dueEntries returns those of group that are to be edited, in the direction of
// publishing or back, and a problem for each that is neither as it was nor as it should
// become.
func dueEntries(group []*resource, live func(key string) *state, back bool) (due []*resource, failed []error) {
	for _, r := range group {
		from, to := r.Before, r.After
		if back {
			from, to = to, from
		}
		switch now := live(r.Name); {
		case now.is(to):
		case now.is(from):
			due = append(due, r)
		default:
			failed = append(failed, neitherEntry(r, now))
		}
	}
	return due, failed
}

// removeMade removes a file that this operation made, where nobody else has
// written to it: first it is moved away, and moved back if it is not empty after all.
func removeMade(o *operation, r *resource, empty func(name string) (bool, error)) error {
	disk, name := o.machine.disk, r.Place.Path
	if _, err := disk.Stat(r.Temp); !errors.Is(err, fs.ErrNotExist) {
		return err // what was to be put in its place still waits, or it is moved away already
	}
	is, err := empty(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !is {
		return nil
	}
	if err != nil {
		return err
	}
	o.touch(name, r.Temp)
	if err := disk.Rename(name, r.Temp); err != nil {
		return err
	}
	if is, err := empty(r.Temp); err != nil || !is {
		return errors.Join(err, disk.Rename(r.Temp, name))
	}
	return nil
}

func (entryKind) sweep(o *operation, resources []*resource) error {
	var failed error
	for _, group := range byFile(resources) {
		temp := group[0].Temp
		if temp == "" {
			continue // staging did not come so far
		}
		failed = errors.Join(failed, group[0].unlessTaken(sweepTemp(o, temp)), group[0].unlessTaken(sweepTemp(o, undoName(temp))))
	}
	return failed
}

func (entryKind) digest(_ *resource, s *state) string {
	sum := sha256.Sum256([]byte(s.Text))
	return digestOf(sum[:])
}

func (entryKind) show(r *resource, s *state) string {
	return printable(entryLine(r.Name, s.Text, r.Format)) + " in " + path.Base(r.Place.Path)
}

package runtime

import (
	"fmt"
	"strings"

	"orchestra/pkg/wire"
)

// What is neither as it was before the operation nor as it would have become, only an
// administrator can put right: he is told all three, and may choose of the last two.

// neither is the problem of such a resource.
func neither(r *resource, what, now, before, after string) *problem {
	return fail(wire.CodeChanged, r.Kind+" "+r.Name, "somebody else changed it meanwhile: %s is %s; before the operation it was %s, and it would have become %s",
		what, now, before, after)
}

// neitherFile is that of a file, a link or a directory. What it was is kept, where the
// operation had come to it.
func neitherFile(o *operation, r *resource, live *state) *problem {
	before := fileText(r, r.Before)
	for _, kept := range []string{r.Temp, r.Trash} {
		if kept == "" || r.Before == nil || r.Kind == kindDirectory {
			continue
		}
		if found, _, err := readState(o.machine.disk, kept); err == nil && found.is(r.Before) {
			before += ", which is kept as " + kept
			break
		}
	}
	return neither(r, "it", fileText(r, live), before, fileText(r, r.After))
}

// fileText says what somebody can compare with ls and sha256sum.
func fileText(r *resource, s *state) string {
	if s == nil {
		return "not there"
	}
	text := fmt.Sprintf("a %s of %d:%d", s.Type, s.UID, s.GID)
	switch s.Type {
	case TypeLink:
		return text + " to " + printable(s.Target)
	case TypeFile:
		text += fmt.Sprintf(" with mode %04o and %d bytes", s.Mode, s.Size)
		if !r.Secret && s.Hash != "" {
			text += ", sha256sum " + s.Hash[:min(len(s.Hash), 16)] + "…"
		}
		return text
	}
	return text + fmt.Sprintf(" with mode %04o", s.Mode)
}

// neitherLine is that of a line in a file of accounts.
func neitherLine(r *resource, path, now string) *problem {
	line := func(s *state) string {
		switch {
		case s == nil:
			return ""
		case path == pathShadow || path == pathGshadow:
			return s.Shadow
		}
		return s.Text
	}
	before := line(r.Before)
	return neither(r, "its line in "+path, lineText(path, now, before), lineText(path, before, before), lineText(path, line(r.After), before))
}

// lineText shows a line, and of its password only whether it is another than before.
func lineText(path, line, before string) string {
	if line == "" {
		return "not there"
	}
	if path != pathShadow && path != pathGshadow {
		return fmt.Sprintf("%q", printable(line))
	}
	fields, was := strings.Split(line, ":"), strings.Split(before, ":")
	switch {
	case len(fields) < 2:
		return "one that can't be understood"
	case len(was) > 1 && was[1] == fields[1]:
		fields[1] = "…"
	default:
		fields[1] = "changed"
	}
	return fmt.Sprintf("%q", printable(strings.Join(fields, ":")))
}

// neitherEntry is that of an entry.
func neitherEntry(r *resource, now *state) *problem {
	text := func(s *state) string {
		switch {
		case s == nil:
			return "not there"
		case r.Secret:
			return "another, which is secret"
		}
		return fmt.Sprintf("%q", printable(s.Text))
	}
	return neither(r, "its entry in "+r.Place.Path, text(now), text(r.Before), text(r.After))
}

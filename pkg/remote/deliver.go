package remote

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"strconv"
	"strings"

	"orchestra/pkg/fault"
)

//go:embed scripts/deliver.sh
var deliverScript string

// versionsKept is how many versions of the program stay on a server.
const versionsKept = 3

// Deliver copies source's program to server, to bin/SHA256/orchestra below
// directory, where it appears whole, synced and checked, or not at all. The
// fault of kind Unreachable says why it could not be copied.
func Deliver(ctx context.Context, transport Transport, server string, source Source, directory string) error {
	return (&Launcher{Directory: directory}).deliver(ctx, transport, server, source)
}

func (l *Launcher) deliver(ctx context.Context, transport Transport, server string, source Source) error {
	content, err := source.Open()
	if err != nil {
		return fault.New(fault.Internal, "the program to copy to server %s cannot be read", server).Because(err)
	}
	defer content.Close()
	script := shellScript{name: "orchestra-deliver", text: deliverScript, arguments: []string{
		l.Directory, source.SHA256, strconv.FormatInt(source.Size, 10), strconv.Itoa(versionsKept),
	}}
	starting, cancel := l.startContext(ctx)
	defer cancel()
	s, said, err := l.converse(starting, transport, server, script)
	if err != nil {
		return err
	}
	if said == "ready" {
		if said, err = s.begin(ctx, content, source.Size); err != nil {
			return l.notCopied(ctx, server, s, err)
		}
	}
	if said == "done" {
		go s.reap() // it tidies up
		return nil
	}
	reason, ok := strings.CutPrefix(said, "failed ")
	if !ok {
		s.process.Kill()
		return l.strangeAnswer(server, said)
	}
	return l.refused(server, reason, s.reap())
}

// reap reads a process to its end, and returns how it ended.
func (s *session) reap() error {
	s.process.Input().Close()
	io.Copy(io.Discard, s.output)
	return s.process.Wait()
}

// notCopied explains a copy that broke off.
func (l *Launcher) notCopied(ctx context.Context, server string, s *session, err error) error {
	if own, ok := errors.AsType[*sourceError](err); ok {
		return fault.New(fault.Internal, "the program to copy to server %s cannot be read", server).Because(own.err)
	}
	return l.noAnswer(ctx, server, s, err)
}

// refused explains why the script could not put the program there. how says
// how it ended: it carries what its commands complained of.
func (l *Launcher) refused(server, reason string, how error) error {
	var because error
	if ended, ok := errors.AsType[*ExitError](how); ok && ended.Errors != "" {
		because = errors.New(ended.Errors)
	}
	check := func(e *fault.Error) error {
		return e.Because(because).WithHint("orchestra server check %s", server)
	}
	switch reason {
	case "owner":
		return check(fault.New(fault.Unreachable, "the runtime's directory %s on server %s belongs to somebody else", l.Directory, server))
	case "directory":
		return check(fault.New(fault.Unreachable, "the runtime's directory %s cannot be made on server %s", l.Directory, server))
	case "short", "sum":
		return check(fault.New(fault.Unreachable, "the runtime did not arrive on server %s as it was sent", server))
	}
	return check(fault.New(fault.Unreachable, "the runtime cannot be written to %s on server %s", l.Directory, server))
}

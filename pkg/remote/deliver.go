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
	s, said, err := l.converseFor(ctx, transport, server, script)
	if err != nil {
		return err
	}
	if said == "ready" {
		if said, err = s.begin(ctx, content, source.Size); err != nil {
			return l.copyBroken(ctx, server, err)
		}
	}
	if said == "done" {
		go s.reap() // it tidies up
		return nil
	}
	s.process.Input().Close()
	s.process.Wait()
	return l.notDelivered(server, said, s)
}

// reap reads a process to its end.
func (s *session) reap() {
	s.process.Input().Close()
	io.Copy(io.Discard, s.output)
	s.process.Wait()
}

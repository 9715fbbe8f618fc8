package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"orchestra/pkg/noun"
	"orchestra/pkg/operation"
	"orchestra/pkg/output"
	"orchestra/pkg/remote"
)

// Process is what a command is given of the world around it; tests give theirs.
type Process struct {
	Streams     output.Streams
	Environment []string // as os.Environ
	Directory   string   // relative names of files are below it; "" is the working directory
	Version     string   // of the program
	User        int      // effective uid
	Now         func() time.Time
	// Owns says that this command has the process for itself, and may give up
	// rights for good.
	Owns bool

	// Nouns are the kinds of things; nil for those of the program.
	Nouns func() []*noun.Noun
	// waited is told which servers are waited for; nil where nobody asks.
	waited *waitedFor
	// Connect reaches a server; nil for SSH, or this machine.
	Connect func(context.Context, operation.Server) (remote.Transport, error)
	// CheckHostKey asks a server whether it has the key that is given; nil for
	// SSH, or for nobody where Connect is given.
	CheckHostKey func(context.Context, remote.Target) error
}

// SystemProcess returns what the operating system gives.
func SystemProcess(version string) Process {
	return Process{
		Streams: output.SystemStreams(os.Getenv), Environment: os.Environ(),
		Version: version, User: os.Geteuid(), Now: time.Now, Owns: true,
	}
}

// getenv returns a variable of the environment, "" where it is not set.
func (p Process) getenv(name string) string {
	for i := len(p.Environment) - 1; i >= 0; i-- {
		if value, is := strings.CutPrefix(p.Environment[i], name+"="); is {
			return value
		}
	}
	return ""
}

// path returns the place of a file that was named on the command line.
func (p Process) path(name string) string {
	if p.Directory == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.Directory, name)
}

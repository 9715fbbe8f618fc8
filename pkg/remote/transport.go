// Package remote starts a process with three streams on a server: over SSH, on
// this machine, or simulated. It knows nothing of what the process says.
package remote

import (
	"context"
	"io"
)

// Transport reaches one server. It is safe for concurrent use.
type Transport interface {
	// Start begins the runtime there. A fault of kind Unreachable means that
	// nothing was started and nothing of the caller was sent.
	Start(ctx context.Context, command Command) (Process, error)
	// Close ends the connection; running processes lose their streams.
	Close() error
}

// Command is a program with its arguments, given literally: no shell sees them
// but quoted.
type Command struct {
	Program   string
	Arguments []string
}

// Process is a started process. Its streams end when it, or its connection, does.
type Process interface {
	Input() io.WriteCloser
	Output() io.Reader
	// Errors is the process's standard error.
	Errors() io.Reader
	// Wait returns when the process has ended; the error tells its exit status.
	Wait() error
	// Kill drops the process: the connection's channel is closed.
	Kill() error
}

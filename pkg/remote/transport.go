// Package remote starts a process with three streams on a server: over SSH, on
// this machine, or simulated. It knows nothing of what the process says.
package remote

import (
	"context"
	"io"
)

// Transport reaches one server. It is safe for concurrent use.
type Transport interface {
	// Start begins a process there; ctx bounds the starting, not the process. A
	// fault of kind Unreachable means that nothing was started and nothing of
	// the caller was sent. What Launcher.Bind returns takes an empty Command for
	// the runtime.
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
	// Output is to be read to its end, or the process killed; a process whose
	// output nobody reads stands still.
	Output() io.Reader
	// Errors is the process's standard error. Nobody has to read it: the last
	// 64 KiB are kept.
	Errors() io.Reader
	// Wait returns when the process has ended, or its connection is lost. The
	// error is an *ExitError where the process said how it ended, else a fault
	// that says why that is not known.
	Wait() error
	// Kill drops the process: the connection's channel is closed, and whoever
	// waits at its streams is freed. The process sees the end of its input.
	Kill() error
}

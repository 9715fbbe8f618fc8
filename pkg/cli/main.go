// Package cli is the command line: it makes the commands of what the nouns
// declare, asks, shows, and turns errors into exit codes.
package cli

import (
	"context"
	"errors"
	"runtime/debug"
	"syscall"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/prompt"
)

// Main runs one command line, without the program's name, and returns the exit
// code of the process. It never ends the process itself, so that what was begun
// is always ended in order. A cancelled context interrupts: what has not been
// committed is undone first.
func Main(ctx context.Context, args []string, process Process) (code int) {
	if process.Owns {
		debug.SetMemoryLimit(memoryLimit)
	}
	a := newApp(process)
	defer func() {
		if value := recover(); value != nil {
			code = a.panicked(value, debug.Stack())
		}
		a.close()
	}()
	return a.finish(ctx, a.run(ctx, args))
}

// memoryLimit is from where on the collector saves memory instead of time, in
// bytes: a batch of many lines is no reason to fill a small panel.
const memoryLimit = 160 << 20

// finish tells what went wrong and returns the exit code.
func (a *app) finish(ctx context.Context, err error) int {
	var silent *exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &silent):
		return silent.code
	case errors.Is(err, syscall.EPIPE):
		// Whoever read our output has read enough, as head(1) does.
		return 0
	}
	if errors.Is(err, prompt.ErrInterrupted) {
		a.tell(message.New("interrupted; nothing was changed"))
		return fault.Interrupted.ExitCode()
	}
	if kind := fault.KindOf(err); ctx.Err() != nil && (kind == fault.Internal || kind != fault.Unrecovered && errors.Is(err, context.Canceled)) {
		err = fault.New(fault.Interrupted, "interrupted").Because(err)
	}
	a.showError(err)
	a.logError(err)
	return fault.KindOf(err).ExitCode()
}

// exitCode ends the command with a code and no further word.
type exitCode struct{ code int }

// Error implements error.
func (exitCode) Error() string { return "" }

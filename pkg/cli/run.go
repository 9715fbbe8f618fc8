package cli

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"orchestra/pkg/message"
)

// Run runs the command line of this process and returns its exit code. A first
// SIGINT, SIGTERM or SIGHUP interrupts: what was not committed is undone. More
// of them change nothing, since an undo that is cut short is worse than one
// that is waited for.
func Run(args []string, version string) int {
	process := SystemProcess(version)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)

	// Notified, SIGPIPE becomes an error of the write: a reader that went away
	// must not kill an operation in the middle. Ignored, children would inherit it.
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	defer signal.Stop(pipes)

	interrupts := make(chan os.Signal, 4)
	signal.Notify(interrupts, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(interrupts)
	var over atomic.Bool
	defer over.Store(true)
	go func() {
		for count := 0; ; count++ {
			received := <-interrupts
			switch {
			case over.Load():
				return
			case count == 0:
				cancel(interruption{received})
			default:
				a := newApp(process)
				a.warn(message.New("already interrupted: what was begun is being ended in order"))
			}
		}
	}()
	return Main(ctx, args, process)
}

// interruption is why a context was cancelled: a signal.
type interruption struct{ signal os.Signal }

// Error implements error.
func (i interruption) Error() string { return i.signal.String() }

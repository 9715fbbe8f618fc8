package cli

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"orchestra/pkg/message"
)

// Run runs the command line of this process and returns its exit code. A first
// SIGINT, SIGTERM or SIGHUP interrupts: what was not committed is undone. A
// second one is told what is waited for, and more of them change nothing, since
// an undo that is cut short is worse than one that is waited for.
func Run(args []string, version string) int {
	// Notified, SIGPIPE becomes an error of the write: a reader that went away
	// must not kill an operation in the middle. Ignored, children would inherit it.
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	defer signal.Stop(pipes)

	interrupts := make(chan os.Signal, 4)
	signal.Notify(interrupts, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(interrupts)
	return attend(args, SystemProcess(version), interrupts)
}

// attend runs a command line and answers interrupts meanwhile.
func attend(args []string, process Process, interrupts <-chan os.Signal) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if process.waited == nil {
		process.waited = &waitedFor{}
	}
	ended := make(chan struct{})
	defer close(ended)
	var over atomic.Bool
	defer over.Store(true)
	go func() {
		for count := 0; ; count++ {
			select {
			case <-ended:
				return
			case received := <-interrupts:
				switch {
				case over.Load():
					return
				case count == 0:
					cancel(interruption{received})
				case count == 1:
					process.waited.tell(newApp(process))
				}
			}
		}
	}()
	return Main(ctx, args, process)
}

// interruption is why a context was cancelled: a signal.
type interruption struct{ signal os.Signal }

// Error implements error.
func (i interruption) Error() string { return i.signal.String() }

// waitedFor are the servers that an operation has begun with and is not through
// with. Where it is nil, nobody asks.
type waitedFor struct {
	mutex sync.Mutex
	names []string
	// print writes a line above those that live, nil where none do.
	print func(line string)
}

// begin notes that lines live until clear, add a server, and drop that it is
// through.
func (w *waitedFor) begin(print func(string)) {
	if w == nil {
		return
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.print = print
}

func (w *waitedFor) add(server string) {
	w.change(func(names []string) []string {
		if slices.Contains(names, server) {
			return names
		}
		return append(names, server)
	})
}

func (w *waitedFor) drop(server string) {
	w.change(func(names []string) []string {
		return slices.DeleteFunc(names, func(name string) bool { return name == server })
	})
}

func (w *waitedFor) clear() {
	w.change(func([]string) []string { return nil })
	w.begin(nil)
}

func (w *waitedFor) change(names func([]string) []string) {
	if w == nil {
		return
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.names = names(w.names)
}

// tell warns of what is waited for, above what lives on the terminal.
func (w *waitedFor) tell(a *app) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	text := w.text(os.Getpid())
	if w.print == nil {
		a.warn(text)
		return
	}
	w.print(a.warning(text))
}

// text says what an interrupted command waits for, and the way out.
func (w *waitedFor) text(pid int) message.Text {
	if len(w.names) == 0 {
		return message.New("already interrupted: what was begun is being ended in order. If that can't be waited for: kill -9 %d, then orchestra recover", pid)
	}
	slices.Sort(w.names)
	return message.New("already interrupted: what was begun is being ended in order, and %s is waited for. If that can't be: kill -9 %d, then orchestra recover",
		joinWords(w.names), pid)
}

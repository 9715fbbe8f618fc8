package remote

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"orchestra/pkg/fault"
)

// Local is the Transport of the server that the panel itself runs on. Its
// processes are in a session of their own: a ^C at the panel's terminal does
// not reach them, and they outlive a panel that is killed, as those on other
// servers do.
type Local struct {
	Name string // the server's name, for messages
	// Executable is the program that the runtime is part of; "" for the running one.
	Executable string
	// Sudo runs everything through "sudo -n". NewLocal sets it unless we are root.
	Sudo bool
}

// NewLocal returns the Transport of this machine.
func NewLocal(name string) *Local { return &Local{Name: name, Sudo: os.Geteuid() != 0} }

// Start begins a process. ctx bounds the starting, not the process.
func (l *Local) Start(ctx context.Context, command Command) (Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Interrupted, "connecting to server %s was interrupted", l.Name).Because(context.Cause(ctx))
	}
	program, arguments := command.Program, command.Arguments
	if l.Sudo {
		program, arguments = "sudo", append([]string{"-n", "--", program}, arguments...)
	}
	process, err := startChild(exec.Command(program, arguments...))
	if errors.Is(err, exec.ErrNotFound) && l.Sudo {
		return nil, fault.New(fault.Unreachable, "server %s is this machine: changing it takes root, and sudo is not installed", l.Name).
			WithHint("run orchestra as root")
	}
	if err != nil {
		return nil, fault.New(fault.Unreachable, "no process could be started on server %s, which is this machine", l.Name).Because(err)
	}
	return process, nil
}

// startOwn starts the program that we are, with arguments; nothing needs to be
// delivered to where we run.
func (l *Local) startOwn(ctx context.Context, arguments []string) (Process, error) {
	program := l.Executable
	if program == "" && !l.Sudo {
		program = "/proc/self/exe" // the very image that runs, even after an upgrade replaced its file
	}
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, fault.New(fault.Internal, "the path of this program is not known").Because(err)
		}
	}
	return l.Start(ctx, Command{Program: program, Arguments: arguments})
}

// Close does nothing: there is no connection. Processes go on.
func (l *Local) Close() error { return nil }

// child is a process on this machine.
type child struct {
	command *exec.Cmd
	input   *os.File
	output  *os.File
	errors  *tail
	cut     func() // once
	done    chan struct{}
	err     error
}

// startChild starts command with three pipes. They are ours rather than those
// of exec.Cmd, whose Wait throws unread output away.
func startChild(command *exec.Cmd) (*child, error) {
	var ours, theirs [3]*os.File
	closeAll := func(files [3]*os.File) {
		for _, file := range files {
			if file != nil {
				file.Close()
			}
		}
	}
	for i := range ours {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(ours)
			closeAll(theirs)
			return nil, err
		}
		if i == 0 {
			theirs[i], ours[i] = r, w
		} else {
			ours[i], theirs[i] = r, w
		}
	}
	command.Stdin, command.Stdout, command.Stderr = theirs[0], theirs[1], theirs[2]
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err := command.Start()
	closeAll(theirs)
	if err != nil {
		closeAll(ours)
		return nil, err
	}
	c := &child{command: command, input: ours[0], output: ours[1], errors: newTail(), done: make(chan struct{})}
	c.cut = sync.OnceFunc(func() { closeAll(ours) })
	drained := make(chan struct{})
	go func() {
		io.Copy(c.errors, ours[2])
		c.errors.end()
		ours[2].Close()
		close(drained)
	}()
	go func() {
		err := command.Wait()
		select {
		case <-drained:
		case <-time.After(endOfOutputGrace): // a child of its own holds the stream
		}
		c.err = c.explain(err)
		close(c.done)
	}()
	return c, nil
}

// explain returns how the process ended.
func (c *child) explain(err error) error {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err
	}
	ended := &ExitError{Status: exit.ExitCode(), Errors: printable(c.errors.last())}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		ended.Signal = status.Signal().String()
	}
	return ended
}

func (c *child) Input() io.WriteCloser { return c.input }
func (c *child) Output() io.Reader     { return c.output }
func (c *child) Errors() io.Reader     { return c.errors.reader() }

func (c *child) Wait() error {
	<-c.done
	return c.err
}

// Kill drops the process as a broken connection would: its streams end, and
// what it does then is its own affair.
func (c *child) Kill() error {
	c.cut()
	return nil
}

package remotetest

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// grace is how long a process has to end once its connection is gone.
const grace = 2 * time.Second

// Shell returns a Handler that hands each command to a login shell, as sshd
// does: environment is all that it has, and directory is where it is. What is
// left of a command when its connection ends is killed.
func Shell(shell, directory string, environment ...string) Handler {
	return func(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) int {
		cmd := exec.Command(shell, "-c", command)
		cmd.Dir, cmd.Env = directory, environment
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		input, err := cmd.StdinPipe()
		if err != nil {
			return 255
		}
		cmd.Stdout, cmd.Stderr = stdout, stderr
		cmd.WaitDelay = grace // for what inherited the streams
		if err := cmd.Start(); err != nil {
			io.WriteString(stderr, err.Error()+"\n")
			return 255
		}
		go func() {
			io.Copy(input, stdin) // ends with the channel
			input.Close()
		}()
		// What still runs goes with the connection, sooner or later: a process
		// that handles the end of its input has a moment for it.
		ended := make(chan struct{})
		var watch sync.WaitGroup
		watch.Go(func() {
			select {
			case <-ended:
				return
			case <-ctx.Done():
				input.Close()
			}
			select {
			case <-ended:
			case <-time.After(grace):
				syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			}
		})
		err = cmd.Wait()
		close(ended)
		watch.Wait()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			if exit.ExitCode() < 0 {
				return 255
			}
			return exit.ExitCode()
		}
		if err != nil {
			return 255
		}
		return 0
	}
}

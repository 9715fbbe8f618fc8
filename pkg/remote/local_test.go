package remote

import (
	"errors"
	"fmt"
	"golang.org/x/sys/unix"
	"io"
	"os"
	"path/filepath"
	"testing"

	"orchestra/pkg/fault"
)

// childMain is what this test binary does when it is started as the runtime.
func childMain() int {
	session, err := unix.Getsid(0)
	fmt.Println("child", os.Args[1:], session == os.Getpid(), err)
	io.Copy(os.Stdout, os.Stdin)
	fmt.Fprintln(os.Stderr, "input ended")
	return 3
}

func TestLocal(t *testing.T) {
	t.Setenv("REMOTE_TEST_CHILD", "1")
	local := &Local{Name: "panel"}
	launcher := &Launcher{}
	process, err := launcher.Bind(local, "panel").Start(t.Context(), Command{})
	must(t, err)
	io.WriteString(process.Input(), "more\n")
	process.Input().Close()
	ended := process.Wait() // before its output is read
	output, err := io.ReadAll(process.Output())
	must(t, err)
	if got, want := string(output), "child [runtime] true <nil>\nmore\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	failure, ok := errors.AsType[*ExitError](ended)
	if !ok || failure.Status != 3 || failure.Errors != "input ended" {
		t.Errorf("%v", ended)
	}

	t.Run("a dropped process sees the end of its input", func(t *testing.T) {
		process, err := launcher.Start(t.Context(), local, "panel")
		must(t, err)
		must(t, read(process, "child"))
		done := make(chan struct{})
		go func() {
			io.Copy(io.Discard, process.Output())
			close(done)
		}()
		must(t, process.Kill())
		<-done
		if err := process.Wait(); err == nil {
			t.Error("it ended well")
		}
	})
	t.Run("through sudo", func(t *testing.T) {
		bin := t.TempDir()
		must(t, os.WriteFile(filepath.Join(bin, "sudo"), []byte("#!/bin/sh\nprintf '%s ' \"$@\"\n"), 0o755))
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		output, err := run(t, &Local{Name: "panel", Sudo: true}, "", "/bin/true", "-x")
		if err != nil || output != "-n -- /bin/true -x " {
			t.Errorf("%q %v", output, err)
		}
	})
	t.Run("no sudo", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := (&Local{Name: "panel", Sudo: true}).Start(t.Context(), Command{Program: "/bin/true"})
		refused(t, err, fault.Unreachable, "server panel is this machine", "sudo is not installed", "as root")
	})
	t.Run("not a program", func(t *testing.T) {
		_, err := local.Start(t.Context(), Command{Program: "/nowhere/program"})
		if fault.KindOf(err) != fault.Unreachable {
			t.Error(err)
		}
	})
	t.Run("signalled", func(t *testing.T) {
		_, err := run(t, local, "", "/bin/sh", "-c", "kill -9 $$")
		ended, ok := errors.AsType[*ExitError](err)
		if !ok || ended.Signal != "killed" {
			t.Errorf("%v", err)
		}
	})
}

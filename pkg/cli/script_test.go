package cli

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"orchestra/pkg/output"
)

// TestMain lets scripts also start the program as a process of its own, called
// orchestra-process, for what needs one: signals and terminals.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"orchestra-process": func() { os.Exit(Run(os.Args[1:], "test")) },
	})
}

// TestScripts runs one script for each promise of the command line, in this
// process. Beside testscript's own commands there are:
//
//	orchestra ARGS [< FILE]      runs the command; it must end with 0
//	exits CODE orchestra ARGS    runs it and wants that exit code
//	tty WIDTH orchestra ARGS     runs it on a (pretended) terminal
//
// A failing script is updated, where it compares with a file in it, by
// go test -update.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("ORCHESTRA_TEST_UPDATE") != "",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			config := env.Getenv("WORK") + "/orchestra.toml"
			env.Setenv("ORCHESTRA_CONFIG", config)
			env.Setenv("ORCHESTRA_SSH_RETRY_AFTER", "1m")
			env.Setenv("TERM", "xterm")
			env.Setenv("LANG", "C")
			text := "database = \"" + env.Getenv("WORK") + "/orchestra.db\"\n"
			return os.WriteFile(config, []byte(text), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"orchestra": func(ts *testscript.TestScript, negated bool, args []string) {
				if negated {
					ts.Fatalf("say which code: exits CODE orchestra …")
				}
				wantExit(ts, 0, args, 0)
			},
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				code, err := strconv.Atoi(args[0])
				ts.Check(err)
				if args[1] == "tty" {
					width, err := strconv.Atoi(args[2])
					ts.Check(err)
					wantExit(ts, code, args[4:], width)
					return
				}
				wantExit(ts, code, args[2:], 0)
			},
			"tty": func(ts *testscript.TestScript, _ bool, args []string) {
				width, err := strconv.Atoi(args[0])
				ts.Check(err)
				wantExit(ts, 0, args[2:], width)
			},
		},
	})
}

// testTime is the clock of all scripts.
var testTime = time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)

func wantExit(ts *testscript.TestScript, want int, args []string, width int) {
	var in io.Reader = strings.NewReader("")
	if n := len(args); n >= 2 && args[n-2] == "<" {
		in = strings.NewReader(ts.ReadFile(args[n-1]))
		args = args[:n-2]
	}
	var out, errs bytes.Buffer
	got := Main(context.Background(), args, Process{
		Streams: output.Streams{
			In: in, Out: &out, Err: &errs, Width: width, Height: 24,
			InTerminal: width > 0, OutTerminal: width > 0, ErrTerminal: width > 0,
		},
		Environment: []string{
			"ORCHESTRA_CONFIG=" + ts.Getenv("ORCHESTRA_CONFIG"), "LANG=" + ts.Getenv("LANG"), "TERM=" + ts.Getenv("TERM"),
			"NO_COLOR=" + ts.Getenv("NO_COLOR"), "ORCHESTRA_EMERGENCY_CONTACT=" + cmp.Or(ts.Getenv("ORCHESTRA_EMERGENCY_CONTACT"), "off"), "ORCHESTRA_SSH_RETRY_AFTER=" + ts.Getenv("ORCHESTRA_SSH_RETRY_AFTER"), "HOME=" + ts.Getenv("WORK"),
		},
		Directory: ts.MkAbs("."), Connect: fakeServers(ts.Getenv("WORK")), Version: "test", User: 0, Now: func() time.Time { return testTime },
	})
	_, err := ts.Stdout().Write(out.Bytes())
	ts.Check(err)
	_, err = ts.Stderr().Write(errs.Bytes())
	ts.Check(err)
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// fakeProcess returns a process for tests that are no scripts.
func fakeProcess(t *testing.T) (Process, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	var out, errs bytes.Buffer
	return Process{
		Streams:     output.Streams{In: strings.NewReader(""), Out: &out, Err: &errs},
		Environment: []string{"HOME=" + t.TempDir(), "ORCHESTRA_DATABASE=" + t.TempDir() + "/orchestra.db"},
		Version:     "test", Now: func() time.Time { return testTime },
	}, &out, &errs
}

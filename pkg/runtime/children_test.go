package runtime

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

func realRunner(t *testing.T) *RealRunner {
	t.Helper()
	runner, err := NewRealRunner("/", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runner.Close(); err != nil {
			t.Error(err)
		}
	})
	return runner
}

// hide are ways in which processes try to outlive the one that started them.
var hide = map[string]string{
	"in the background":       `sleep 1000 & echo $! >>"$pids"`,
	"in a session of its own": `setsid sleep 1000 & echo $! >>"$pids"`,
	"forked twice":            `(setsid bash -c 'sleep 1000 & echo $! >>"$1"; disown' x "$pids" &) ; sleep 0.2`,
	"deaf to signals":         `(trap '' TERM HUP INT; sleep 1000) & echo $! >>"$pids"`,
	"without descriptors":     `setsid bash -c 'exec 0<&- 1>&- 2>&- 3>&- 4>&-; echo $$ >>"$1"; exec sleep 1000' x "$pids" & sleep 0.2`,
	"stopped":                 `sleep 1000 & echo $! >>"$pids"; kill -STOP $!`,
}

func TestNoProcessIsLeftHoweverItHides(t *testing.T) {
	for name, script := range hide {
		for _, how := range []string{"ends well", "times out", "is interrupted"} {
			t.Run(name+", the child "+how, func(t *testing.T) {
				runner := realRunner(t)
				pids := filepath.Join(t.TempDir(), "pids")
				child := Child{
					Kind: ChildAct, Function: "hide", Timeout: 20 * time.Second,
					Script: fmt.Sprintf("pids=%s\nhide() { %s\n", pids, script),
				}
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				switch how {
				case "ends well":
					child.Script += "}\n"
				case "times out":
					child.Timeout = 700 * time.Millisecond
					child.Script += "sleep 1000; }\n"
				default:
					child.Script += "sleep 1000; }\n"
					time.AfterFunc(700*time.Millisecond, cancel)
				}
				result, err := runner.Run(ctx, child)
				if err != nil {
					t.Fatal(err)
				}
				if result.TimedOut != (how == "times out") || (result.ExitCode == 0) != (how == "ends well") {
					t.Errorf("%+v", result)
				}
				lived(t, pids)
			})
		}
	}
}

// lived fails the test where one of the processes lives, or none was started.
func lived(t *testing.T, pids string) {
	t.Helper()
	data, err := os.ReadFile(pids)
	if err != nil || len(bytes.Fields(data)) == 0 {
		t.Fatalf("nothing was started: %v", err)
	}
	for _, text := range strings.Fields(string(data)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if alive(pid) {
			t.Errorf("process %d lives", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z ")) && !bytes.Contains(stat, []byte(") X "))
}

func TestWithoutControlGroupsNoProcessIsLeftEither(t *testing.T) {
	for name, script := range hide {
		t.Run(name, func(t *testing.T) {
			runner := realRunner(t)
			groups := runner.groups
			runner.groups = nil
			defer func() { runner.groups = groups }()
			pids := filepath.Join(t.TempDir(), "pids")
			child := Child{Kind: ChildAct, Function: "hide", Script: fmt.Sprintf("pids=%s\nhide() { %s\n}\n", pids, script)}
			if result, err := runner.Run(context.Background(), child); err != nil || result.ExitCode != 0 {
				t.Fatalf("%+v %v", result, err)
			}
			lived(t, pids)
		})
	}
}

func TestTheDeclaringPartIsNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("LEFT OUT: it needs root")
	}
	runner := realRunner(t)
	script := `
say() { printf '%s=%s\n' "$1" "$2"; }
say id "$(id -u):$(id -g):$(id -G)"
say capabilities "$(grep -E '^Cap(Eff|Prm|Inh|Amb)' /proc/self/status | tr -d '\t\n')"
say nnp "$(grep NoNewPrivs /proc/self/status | tr -d '\t')"
say directory "$PWD"
say umask "$(umask)"
say path "$PATH"
say variables "$(compgen -e | sort | tr '\n' ' ')"
say interfaces "$(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | tr '\n' ' ')"
say descriptors "$(cd /proc/$$/fd && printf '%s ' *)"
if read -r line; then say input "$line"; else say input none; fi
if (exec 9>/etc/orchestra-test) 2>/dev/null; then say write yes; else say write no; fi
`
	t.Setenv("SECRET", "x")
	result, err := runner.Run(context.Background(), Child{Kind: ChildDeclare, Script: script})
	if err != nil || result.ExitCode != 0 {
		t.Fatalf("%+v %v", result, err)
	}
	for _, want := range []string{
		fmt.Sprintf("id=%[1]d:%[1]d:%[1]d\n", runner.declarer), "nnp=NoNewPrivs:1\n", "directory=/\n", "umask=0022\n", "path=" + childPath + "\n",
		"capabilities=CapInh:0000000000000000CapPrm:0000000000000000CapEff:0000000000000000CapAmb:0000000000000000\n",
		"input=none\n", "write=no\n",
	} {
		if !strings.Contains(result.Output, want) {
			t.Errorf("no %q in\n%s", want, result.Output)
		}
	}
	if strings.Contains(result.Output, "SECRET") || strings.Contains(result.Output, "eth") {
		t.Error(result.Output)
	}
	if all, err := parseDeclarations(result.Answer); len(all) != 0 || err != nil {
		t.Error(len(all), err)
	}
	t.Log(result.Output)
}

func TestADeclaringPartThatLeavesInTheMiddleHasDeclaredNothing(t *testing.T) {
	runner := realRunner(t)
	for script, want := range map[string]bool{
		"dir /a root root 0755\n": true, "dir /a root root 0755\nexit 0\n": false, "dir /a root root 0755\nexec true\n": false,
		"false\ndir /a root root 0755\n": false, "dir /a\n": false, "printf x >&4\n": false, "x=$(false)\n": false,
		"echo this is only for the log\n": true, "printf '2\\0000\\0end\\0' >&4\n": false,
	} {
		result, err := runner.Run(context.Background(), Child{Kind: ChildDeclare, Script: script})
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseDeclarations(result.Answer)
		if good := err == nil && result.ExitCode == 0; good != want {
			t.Errorf("%q: accepted %v: %v %+v", script, good, err, result)
		}
	}
}

func TestActsGetKeysStatesAndContents(t *testing.T) {
	runner := realRunner(t)
	hostile := "a b'\"\\\n\t*$(id)\x1f ü"
	script := `
tell() { local key; for key in "$@"; do state "$key" "${state_before[$key]}, ${trash[$key]}" "${content[$key]}"; done; }
`
	var input []byte
	keys := []string{"one", hostile, "thr]ee", "${x}", "@", "*", "-n"}
	for _, key := range keys {
		input = fmt.Appendf(input, "%s\x00before %s\x00%s\x00trash of %s\x00", key, key, strings.Repeat(hostile, 100), key)
	}
	result, err := runner.Run(context.Background(), Child{Kind: ChildAct, Script: script, Function: "tell", Arguments: keys, Input: input})
	if err != nil || result.ExitCode != 0 {
		t.Fatalf("%+v %v", result, err)
	}
	fields := strings.Split(string(result.Answer), "\x00")
	if len(fields) != 3*len(keys)+1 {
		t.Fatalf("%d fields: %q", len(fields), fields)
	}
	for i, key := range keys {
		if fields[3*i] != key || fields[3*i+1] != "before "+key+", trash of "+key || fields[3*i+2] != strings.Repeat(hostile, 100) {
			t.Errorf("%q became %q", key, fields[3*i:3*i+3])
		}
	}
}

func TestOutputIsCappedAndTheChildIsNotHeldUp(t *testing.T) {
	runner := realRunner(t)
	script := `flood() { echo first; head -c 20000000 /dev/zero | tr '\0' x; echo; echo last; }` + "\n"
	result, err := runner.Run(context.Background(), Child{Kind: ChildAct, Script: script, Function: "flood"})
	if err != nil || result.ExitCode != 0 {
		t.Fatal(result.ExitCode, err)
	}
	if len(result.Output) > 70<<10 || !strings.HasPrefix(result.Output, "first\n") || !strings.HasSuffix(result.Output, "last\n") || !strings.Contains(result.Output, "left out") {
		t.Errorf("%d bytes: %.40q … %.40q", len(result.Output), result.Output, result.Output[max(0, len(result.Output)-40):])
	}
}

func TestForksAreLimited(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("LEFT OUT: it needs root")
	}
	runner := realRunner(t)
	started := time.Now()
	result, err := runner.Run(context.Background(), Child{Kind: ChildDeclare, Script: "bomb() { bomb | bomb & }; bomb; sleep 100\n", Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if !result.TimedOut && result.ExitCode == 0 || time.Since(started) > 30*time.Second {
		t.Errorf("%+v after %v", result, time.Since(started))
	}
	out, _ := exec.Command("ps", "-u", fmt.Sprint(runner.declarer), "-o", "comm=").Output()
	if bytes.Contains(out, []byte("bash")) {
		t.Errorf("left: %s", out)
	}
}

// A session that is in the middle of an act, and one that recovers what it did:
// the real program, both.
func TestARecoveryLeavesNoProcessOfTheFormerRunner(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed %v", killed), func(t *testing.T) {
			root, _ := realServer(t)
			before := tree(t, root)
			pids := filepath.Join(t.TempDir(), "pids")
			lost := startRuntime(t, root)
			stage := stageOf(1, slowStep(pids))
			lost.want(wire.WordStaged, wire.WordStage, stage)
			if err := lost.conn.Send(wire.WordPublish, wire.Publish{Operation: stage.Operation, Steps: []string{"slow"}}); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				if data, err := os.ReadFile(pids); err == nil && len(data) > 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the act does not begin")
				}
			}
			if killed {
				if err := lost.kill(); err != nil {
					t.Fatal(err)
				}
			}
			next := startRuntime(t, root)
			next.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
			lived(t, pids)
			if difference := cmp.Diff(before, tree(t, root)); difference != "" {
				t.Error(difference)
			}
			if err := next.close(); err != nil {
				t.Error(err)
			}
			if err := lost.close(); err == nil {
				t.Error("the former runtime ended well")
			}
		})
	}
}

// slowStep makes a file live and then hangs in an act, with a process that hides.
func slowStep(pids string) wire.Step {
	step := aStep("slow", d("file", "/etc/x", "root", "root", "0644", "x"), d("act", "slow", "key", "probe", "slow", "undo", "reversible"))
	step.Script.Acts = fmt.Sprintf(`
pids=%s
probe() { state "$1" none done; }
slow() { (setsid bash -c 'echo $$ >>"$1"; exec sleep 1000' x "$pids" &); sleep 1000; }
undo() { :; }
`, pids)
	step.Timeout = 100 * time.Second
	return step
}

// startRuntime starts the program itself.
func startRuntime(t *testing.T, root string) *panel {
	t.Helper()
	command := exec.Command(os.Args[0], "runtime", "--root", root)
	fromPanel, toServer := pipe(t)
	fromServer, toPanel := pipe(t)
	command.Stdin, command.Stdout, command.Stderr = fromPanel, toPanel, os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = fromPanel.Close(), toPanel.Close()
	p := &panel{t: t, conn: wire.NewPanelConn(fromServer, toServer), out: toServer, wait: command.Wait, kill: command.Process.Kill, pid: command.Process.Pid}
	t.Cleanup(func() { _ = command.Process.Kill() })
	frame, err := p.conn.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if err := frame.Decode(&p.hello); err != nil {
		t.Fatal(err)
	}
	return p
}

func pipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return reader, writer
}

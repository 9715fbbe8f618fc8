package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/operation"
	"orchestra/pkg/remote"
	"orchestra/pkg/wire"
)

// fakeServers are participants that answer as the protocol has it and do
// nothing. What one does otherwise is in the file servers/NAME of the script:
//
//	down            it cannot be reached
//	fail WORD       it answers WORD (stage, publish, reload …) with FAILED
//	stuck           what was published cannot be undone
//	slow            each answer takes a while
//	full            its disk has little room left
//	takes           what it is asked about would go, and not come
//	differs KIND RESOURCE REASON OBJECT
//	                what a comparison finds; nothing where no line says so
//
// Each question that changes nothing is noted in the file .observed-NAME.
func fakeServers(directory string) func(context.Context, operation.Server) (remote.Transport, error) {
	return func(_ context.Context, server operation.Server) (remote.Transport, error) {
		behaviour, _ := os.ReadFile(filepath.Join(directory, "servers", server.Name)) // none: it behaves
		f := fakeServer{
			name: server.Name, memory: filepath.Join(directory, ".fake-"+server.Name), observed: filepath.Join(directory, ".observed-"+server.Name),
		}
		for _, line := range strings.Split(string(behaviour), "\n") {
			verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch verb {
			case "down":
				return nil, fault.New(fault.Unreachable, "server %s cannot be reached", server.Name)
			case "fail":
				f.fails = wire.Word(strings.ToUpper(rest))
			case "stuck":
				f.stuck = true
			case "slow":
				f.slow = 200 * time.Millisecond
			case "full":
				f.full = true
			case "takes":
				f.takes = true
			case "differs":
				f.differs = append(f.differs, fakeDifference(strings.Fields(rest)))
			}
		}
		return f, nil
	}
}

type fakeServer struct {
	name, memory, observed string
	fails                  wire.Word
	stuck, takes, full     bool
	slow                   time.Duration
	differs                []wire.Difference
}

func fakeDifference(words []string) wire.Difference {
	difference := wire.Difference{Kind: words[0], Resource: words[1], Reason: words[2], Object: strings.Join(words[3:], " "), Before: "one\ntwo\n", After: "one\n2\x1b[2J\n"}
	switch {
	case strings.Contains(words[1], "secret"):
		difference.Before, difference.After = "secret", "secret"
	case words[2] == wire.ReasonLeftOver:
		difference.After = ""
	case words[2] == wire.ReasonRemoved:
		difference.Before = ""
	}
	return difference
}

func (f fakeServer) Close() error { return nil }

func (f fakeServer) Start(context.Context, remote.Command) (remote.Process, error) {
	in, input := io.Pipe()
	output, out := io.Pipe()
	go f.serve(in, out)
	return fakeRemote{input, output, in}, nil
}

type fakeRemote struct {
	input  *io.PipeWriter
	output *io.PipeReader
	in     *io.PipeReader
}

func (p fakeRemote) Input() io.WriteCloser { return p.input }
func (p fakeRemote) Output() io.Reader     { return p.output }
func (p fakeRemote) Errors() io.Reader     { return strings.NewReader("") }
func (p fakeRemote) Wait() error           { return nil }
func (p fakeRemote) Kill() error           { p.in.CloseWithError(io.ErrClosedPipe); return p.output.Close() }

func (f fakeServer) serve(in *io.PipeReader, out *io.PipeWriter) {
	defer out.Close()
	defer in.Close()
	conn := wire.NewConn(in, out)
	hello := wire.Hello{Architecture: "amd64"}
	if known, err := os.ReadFile(f.memory); err == nil {
		_ = json.Unmarshal(known, &hello)
	}
	if conn.Send(wire.WordHello, hello) != nil {
		return
	}
	for {
		frame, err := conn.Receive()
		if err != nil {
			return
		}
		if frame.Word == wire.WordHeartbeat {
			continue
		}
		time.Sleep(f.slow)
		word, payload := f.answer(frame)
		if conn.Send(word, payload) != nil {
			return
		}
	}
}

// noteObserved adds a line to the questions that were asked.
func (f fakeServer) noteObserved() {
	asked, _ := os.ReadFile(f.observed)
	_ = os.WriteFile(f.observed, append(asked, "asked\n"...), 0o600)
}

// goingAway is what a server says of six users that go.
func goingAway() []wire.Difference {
	all := []wire.Difference{
		{Kind: "member", Resource: "a in b", Reason: "left-over", Before: "member"}, {Kind: "act", Resource: "70001", Reason: "changed", Before: "running", After: "ended"},
		{Kind: "file", Resource: "/etc/x", Reason: "changed", Before: "1", After: "2"}, {Kind: "entry", Resource: "/etc/y: z", Reason: "missing", After: "z"},
	}
	for _, name := range []string{"ana", "bob\x1b[2J", "carl", "dora", "emil", "fred"} {
		all = append(all, wire.Difference{Kind: "user", Resource: name, Reason: "left-over", Before: name}, wire.Difference{Kind: "park", Resource: "/home/" + name, Reason: "left-over", Before: "directory"})
	}
	return all
}

// follow remembers a panel, and the largest numbers it has said.
func (f fakeServer) follow(panel string, sequence int64, said map[string]int64) map[string]int64 {
	counters := map[string]int64{}
	if known, err := os.ReadFile(f.memory + "-counters"); err == nil {
		_ = json.Unmarshal(known, &counters)
	}
	for name, last := range said {
		counters[name] = max(counters[name], last)
	}
	for file, content := range map[string]any{f.memory: wire.Hello{PanelID: panel, Sequence: sequence}, f.memory + "-counters": counters} {
		if text, err := json.Marshal(content); err == nil {
			_ = os.WriteFile(file, text, 0o600)
		}
	}
	return counters
}

func (f fakeServer) answer(frame wire.Frame) (wire.Word, any) {
	report := wire.Report{}
	if frame.Word == f.fails {
		report.Failure = &wire.Failure{
			Step: "unix-user", Phase: strings.ToLower(string(f.fails)), Resource: "/etc/passwd", Message: "the file is\x1b[2J damaged", Output: "line 1\nline \x1b]52;c;x\x07 2",
		}
		return wire.WordFailed, report
	}
	switch frame.Word {
	case wire.WordStage:
		var stage wire.Stage
		if frame.Decode(&stage) != nil {
			return wire.WordFailed, wire.Report{Failure: &wire.Failure{Phase: "stage", Message: "not understood"}}
		}
		f.follow(stage.PanelID, stage.Sequence, stage.Counters)
		report.State = wire.StateStaged
		for _, step := range stage.Steps {
			report.Steps = append(report.Steps, wire.StepReport{
				Name: step.Name, Changed: 4, Actions: []string{"made ready"},
				Kinds: []wire.KindCount{{Kind: "user", Made: 3}, {Kind: "directory", Made: 1}},
			})
		}
		return wire.WordStaged, report
	case wire.WordAdopt:
		var adopt wire.Adopt
		_ = frame.Decode(&adopt)
		report.Counters = f.follow(adopt.PanelID, adopt.Sequence, nil)
		return wire.WordAdopted, report
	case wire.WordPublish:
		report.State = wire.StatePublishing
		return wire.WordPublished, report
	case wire.WordReload:
		report.State = wire.StateActivating
		report.Steps = []wire.StepReport{{Name: "unix-user", Reloaded: []string{"ssh"}}}
		return wire.WordActive, report
	case wire.WordKeep:
		report.State = wire.StateKept
		return wire.WordKept, report
	case wire.WordUndo:
		if f.stuck {
			report.Failure = &wire.Failure{Phase: "undo", Message: "somebody else changed it", Unrestored: []string{"/etc/passwd: user ana"}}
			return wire.WordConflict, report
		}
		report.State = wire.StateUndone
		return wire.WordUndone, report
	case wire.WordObserve:
		var observe wire.Observe
		_ = frame.Decode(&observe)
		f.noteObserved()
		if f.takes {
			return wire.WordObserved, wire.Report{Steps: []wire.StepReport{{Name: "unix-user", Differences: goingAway()}}}
		}
		for _, step := range observe.Steps {
			if observe.Drift {
				report.Steps = append(report.Steps, wire.StepReport{Name: step.Name, Differences: f.differs})
				continue
			}
			report.Steps = append(report.Steps, wire.StepReport{Name: step.Name, Changed: 2, Actions: []string{"reload ssh"}, Differences: []wire.Difference{
				{Kind: "user", Resource: "ana", Reason: "missing", After: "ana:x:70001"},
				{Kind: "file", Resource: "/etc/ssh/orchestra/keys/ana", Reason: "changed", Before: "one\ntwo\nthree\n", After: "one\n2\x1b[2J\nthree\n"},
			}})
		}
		return wire.WordObserved, report
	case wire.WordProbe:
		free := map[string]uint64{"/": 1 << 40}
		if f.full {
			free["/var/lib/orchestra"] = 3 << 20
		}
		return wire.WordProbed, wire.Probed{
			Time: testTime, Missing: []string{"rrsync"}, FreeBytes: free,
			SSHD: map[string]string{"usedns": "yes", "maxstartups": "2:30:100"},
		}
	}
	return wire.WordFailed, wire.Report{Failure: &wire.Failure{Phase: "?", Message: "no such word"}}
}

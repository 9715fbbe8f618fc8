package operation

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/remote"
	"orchestra/pkg/runtime"
	"orchestra/pkg/wire"
)

// fakeServer is a participant as the protocol has it, without files: enough to
// see what the coordinator says to whom, and what it makes of the answers.
type fakeServer struct {
	name string

	mutex    sync.Mutex
	panel    string
	sequence int64
	counters map[string]int64
	live     map[string]string // by backend/object: its facts
	staged   map[string]*fakeOperation
	ended    map[string]wire.State
	words    []wire.Word // all that was heard
	starts   int

	down    bool                                   // Start is refused
	other   bool                                   // it shows another host key
	answer  func(word wire.Word) *wire.Failure     // refuses a word
	cut     func(word wire.Word, before bool) bool // ends the connection before, or after, a word has had its effect
	pivot   bool
	hello   func(*wire.Hello)             // what it says of itself
	says    func(wire.Word, *wire.Report) // what it adds to an answer
	busy    func(wire.Word) bool          // never answers a word, and always does something else
	reloads func(steps []string)          // is told of the steps of each RELOAD
	// observed is told of each object that is compared: its name, the action and the value before.
	observed func(object, action, was string)
}

type fakeOperation struct {
	steps     map[string][]runtime.ObjectRecord
	order     []string
	published map[string]map[string]string // by step: what was there before
	state     wire.State
}

func newFake(name string) *fakeServer {
	return &fakeServer{name: name, counters: map[string]int64{}, live: map[string]string{}, staged: map[string]*fakeOperation{}, ended: map[string]wire.State{}}
}

type fakeTransport struct{ server *fakeServer }

type fakeProcess struct {
	input  *io.PipeWriter
	output *io.PipeReader
	in     *io.PipeReader
	out    *io.PipeWriter
}

func (p fakeProcess) Input() io.WriteCloser { return p.input }
func (p fakeProcess) Output() io.Reader     { return p.output }
func (p fakeProcess) Errors() io.Reader     { return nil }
func (p fakeProcess) Wait() error           { return nil }
func (p fakeProcess) Kill() error {
	p.in.CloseWithError(io.ErrClosedPipe)
	p.output.CloseWithError(io.ErrClosedPipe)
	return nil
}

func (t fakeTransport) Close() error { return nil }

func (t fakeTransport) Start(context.Context, remote.Command) (remote.Process, error) {
	t.server.mutex.Lock()
	defer t.server.mutex.Unlock()
	t.server.starts++
	if t.server.other {
		return nil, fault.New(fault.Conflict, "%s shows another host key", t.server.name)
	}
	if t.server.down {
		return nil, fault.New(fault.Unreachable, "%s is down", t.server.name)
	}
	in, input := io.Pipe()
	output, out := io.Pipe()
	go t.server.serve(in, out)
	return fakeProcess{input: input, output: output, in: in, out: out}, nil
}

// serve is one session. Nothing is undone at its end: a test decides what a
// server does of itself.
func (f *fakeServer) serve(in *io.PipeReader, out *io.PipeWriter) {
	defer out.Close()
	defer in.Close()
	conn := wire.NewConn(in, out)
	f.mutex.Lock()
	hello := wire.Hello{Version: runtime.ProtocolVersion, PanelID: f.panel, Sequence: f.sequence}
	if f.hello != nil {
		f.hello(&hello)
	}
	f.mutex.Unlock()
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
		for done := 1; f.busy != nil && f.busy(frame.Word); done++ {
			time.Sleep(wire.HeartbeatInterval)
			if conn.Send(wire.WordHeartbeat, wire.Heartbeat{Doing: "something", Done: done}) != nil {
				return
			}
		}
		f.mutex.Lock()
		if f.cut != nil && f.cut(frame.Word, true) {
			f.mutex.Unlock()
			return
		}
		word, report := f.hear(frame)
		if said, is := report.(wire.Report); is && f.says != nil {
			f.says(word, &said)
			report = said
		}
		cut := f.cut != nil && f.cut(frame.Word, false)
		f.mutex.Unlock()
		if cut || conn.Send(word, report) != nil {
			return
		}
		if word == wire.WordFailed && frame.Word != wire.WordUndo && frame.Word != wire.WordKeep && frame.Word != wire.WordObserve {
			// What was said behind a word that failed is not answered, but for UNDO.
			for {
				if frame, err = conn.Receive(); err != nil {
					return
				}
				if frame.Word == wire.WordUndo {
					f.mutex.Lock()
					word, report = f.hear(frame)
					f.mutex.Unlock()
					if conn.Send(word, report) != nil {
						return
					}
					break
				}
			}
		}
	}
}

func (f *fakeServer) hear(frame wire.Frame) (wire.Word, any) {
	f.words = append(f.words, frame.Word)
	if f.answer != nil {
		if failure := f.answer(frame.Word); failure != nil {
			return wire.WordFailed, wire.Report{Failure: failure}
		}
	}
	switch frame.Word {
	case wire.WordStage:
		var stage wire.Stage
		must(frame.Decode(&stage))
		if f.ended[stage.Operation] != "" || f.staged[stage.Operation] != nil {
			return wire.WordFailed, wire.Report{Failure: &wire.Failure{Phase: "stage", Message: "heard before"}}
		}
		f.panel, f.sequence = stage.PanelID, max(f.sequence, stage.Sequence)
		for name, last := range stage.Counters {
			f.counters[name] = max(f.counters[name], last)
		}
		operation := &fakeOperation{steps: map[string][]runtime.ObjectRecord{}, published: map[string]map[string]string{}, state: wire.StateStaged}
		report := wire.Report{Operation: stage.Operation, State: wire.StateStaged}
		for _, step := range stage.Steps {
			operation.steps[step.Name] = fakeObjects(step)
			operation.order = append(operation.order, step.Name)
			report.Steps = append(report.Steps, wire.StepReport{Name: step.Name, Changed: len(operation.steps[step.Name]), Pivot: f.pivot})
		}
		f.staged[stage.Operation] = operation
		return wire.WordStaged, report
	case wire.WordPublish:
		var publish wire.Publish
		must(frame.Decode(&publish))
		operation := f.staged[publish.Operation]
		for _, name := range publish.Steps {
			operation.published[name] = maps.Clone(f.live)
			for _, object := range operation.steps[name] {
				key := name + "/" + object.Name
				if object.Action == "delete" {
					delete(f.live, key)
				} else {
					f.live[key] = fakeFacts(object)
				}
			}
		}
		operation.state = wire.StatePublishing
		return wire.WordPublished, wire.Report{Operation: publish.Operation, State: wire.StatePublishing}
	case wire.WordReload:
		var reload wire.Reload
		must(frame.Decode(&reload))
		if f.reloads != nil {
			f.reloads(reload.Steps)
		}
		f.staged[reload.Operation].state = wire.StateActivating
		return wire.WordActive, wire.Report{Operation: reload.Operation, State: wire.StateActivating}
	case wire.WordPivot:
		return wire.WordPivoted, wire.Report{State: wire.StateActivating}
	case wire.WordKeep:
		var keep wire.Keep
		must(frame.Decode(&keep))
		return f.end(keep.Operation, wire.StateKept, wire.WordKept)
	case wire.WordUndo:
		var undo wire.Undo
		must(frame.Decode(&undo))
		return f.undo(undo)
	case wire.WordAdopt:
		var adopt wire.Adopt
		must(frame.Decode(&adopt))
		f.panel, f.sequence = adopt.PanelID, adopt.Sequence
		return wire.WordAdopted, wire.Report{Counters: f.counters}
	case wire.WordObserve:
		var observe wire.Observe
		must(frame.Decode(&observe))
		report := wire.Report{}
		for _, step := range observe.Steps {
			one := wire.StepReport{Name: step.Name}
			for _, object := range fakeObjects(step) {
				key := step.Name + "/" + object.Name
				if f.observed != nil {
					f.observed(object.Name, object.Action, object.Before["value"])
				}
				if want := fakeFacts(object); object.Action != "delete" && f.live[key] != want {
					one.Differences = append(one.Differences, wire.Difference{Kind: "file", Resource: key, Reason: "changed", Before: f.live[key], After: want})
				}
			}
			report.Steps = append(report.Steps, one)
		}
		return wire.WordObserved, report
	case wire.WordProbe:
		return wire.WordProbed, wire.Probed{}
	}
	panic("unexpected word " + frame.Word)
}

func (f *fakeServer) undo(undo wire.Undo) (wire.Word, any) {
	operation := f.staged[undo.Operation]
	if operation == nil {
		if f.ended[undo.Operation] == "" {
			f.ended[undo.Operation] = wire.StateUndone // the tombstone
			f.panel, f.sequence = undo.PanelID, max(f.sequence, undo.Sequence)
		}
		return f.end(undo.Operation, wire.StateUndone, wire.WordUndone)
	}
	steps := undo.Steps
	if len(steps) == 0 {
		steps = slices.Clone(operation.order)
		slices.Reverse(steps)
	}
	for _, name := range steps {
		if before := operation.published[name]; before != nil {
			f.live = before
			delete(operation.published, name)
		}
	}
	if !undo.Last {
		return wire.WordUndone, wire.Report{Operation: undo.Operation, State: wire.StatePublishing}
	}
	return f.end(undo.Operation, wire.StateUndone, wire.WordUndone)
}

func (f *fakeServer) end(operation string, state wire.State, word wire.Word) (wire.Word, any) {
	if ended := f.ended[operation]; ended != "" {
		if ended == wire.StateKept {
			word = wire.WordKept
		} else {
			word = wire.WordUndone
		}
		return word, wire.Report{Operation: operation, State: ended}
	}
	if f.staged[operation] == nil {
		return wire.WordFailed, wire.Report{Failure: &wire.Failure{Phase: "keep", Message: "unknown operation"}}
	}
	delete(f.staged, operation)
	f.ended[operation] = state
	return word, wire.Report{Operation: operation, State: state}
}

func fakeFacts(object runtime.ObjectRecord) string {
	facts := maps.Clone(object.Facts)
	for name, list := range object.Lists {
		facts[name] = strings.Join(list, " ")
	}
	delete(facts, "content") // a reference: its number says nothing
	text, err := json.Marshal(facts)
	must(err)
	return string(text)
}

func fakeObjects(step wire.Step) []runtime.ObjectRecord {
	objects, err := runtime.DecodeObjects(step.Objects)
	must(err)
	return objects
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// fakes are the servers of a topology.
func fakes(n int) []*fakeServer {
	servers := make([]*fakeServer, n)
	for i := range servers {
		servers[i] = newFake("h1" + string(rune('1'+i)))
	}
	return servers
}

func connectTo(servers []*fakeServer) func(context.Context, Server) (remote.Transport, error) {
	return func(_ context.Context, server Server) (remote.Transport, error) {
		if int(server.ID) > len(servers) {
			return nil, errors.New("no such server")
		}
		return fakeTransport{servers[server.ID-1]}, nil
	}
}

// values returns what is live, by item.
func (f *fakeServer) values() map[string]string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	values := map[string]string{}
	for key, text := range f.live {
		var facts map[string]string
		must(json.Unmarshal([]byte(text), &facts))
		values[key[len("files/"):]] = facts["value"]
	}
	return values
}

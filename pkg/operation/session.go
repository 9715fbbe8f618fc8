package operation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/remote"
	"orchestra/pkg/runtime"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// session is an operation's conversation with one server, over one link or,
// where that breaks, several.
type session struct {
	c      *Coordinator
	server Server
	// check judges a HELLO, nil for none: whether this server follows this panel.
	check func(context.Context, wire.Hello) error

	// turn is taken by whoever uses what follows. It is no mutex, because it is
	// held while the network is waited for.
	turn   chan struct{}
	link   *link
	closed error // why there is no link
	// sent says that something of the operation may have reached the server:
	// from then on only its own proof tells what is there.
	sent  bool
	state wire.State // last reported
	log   []store.Phase
	// changed counts the resources that were not as declared; pivot says that
	// there is an act without a way back; acted, what was reloaded.
	changed int
	pivot   bool
	acted   map[string]bool // by step
	// brief says that it need not be waited for long; seen, what has become of that.
	brief bool
	seen  answer
	// steps are the names of ours on this server: what it says of others is dropped.
	steps map[string]bool
}

func newSession(c *Coordinator, server Server) *session {
	return &session{c: c, server: server, turn: make(chan struct{}, 1), acted: map[string]bool{}, steps: map[string]bool{}}
}

// lostError says that the connection to a server failed, or was refused.
type lostError struct {
	server Server
	phase  string
	sent   bool // something of the operation may be there
	cause  error
}

func (e *lostError) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.server.Name, e.phase, e.cause)
}

func (e *lostError) Unwrap() error { return e.cause }

// refusedError says that a server said FAILED or CONFLICT.
type refusedError struct {
	server  Server
	word    wire.Word
	state   wire.State
	failure wire.Failure
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.server.Name, e.failure.Phase, e.failure.Message)
}

// endedError says that the operation has come to another end on a server than
// the one asked for.
type endedError struct {
	server Server
	phase  string
	state  wire.State
}

func (e *endedError) Error() string {
	return fmt.Sprintf("%s: %s: the operation has ended there: %s", e.server.Name, e.phase, e.state)
}

// final tells whether it is an end, and not only some other state.
func (e *endedError) final() bool { return e.state == wire.StateKept || e.state == wire.StateUndone }

// open connects and reads the HELLO, where that has not been tried.
func (s *session) open(ctx context.Context) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.link != nil || s.closed != nil {
		return s.closed
	}
	s.closed = s.connect(ctx)
	return s.closed
}

// reopen connects once more where the link is lost.
func (s *session) reopen(ctx context.Context) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.link != nil {
		return nil
	}
	s.closed = s.connect(ctx)
	return s.closed
}

func (s *session) connect(ctx context.Context) error {
	began := time.Now()
	connect := s.c.options.Connect
	if s.brief {
		connect = briefly(connect)
	}
	opened, err := s.c.dial(ctx, connect, s.server)
	if err != nil {
		s.note(store.Phase{Phase: "connect", Outcome: "unreachable", Started: began, Message: err.Error()})
		var told *fault.Error
		if errors.As(err, &told) && told.Kind != fault.Unreachable {
			return err // a changed host key, say: that is no server out of reach
		}
		if ctx.Err() == nil {
			s.seen = hasNotAnswered
		}
		return &lostError{server: s.server, phase: "connect", sent: s.sent, cause: err}
	}
	s.seen = hasAnswered
	if s.check != nil {
		if err := s.check(ctx, opened.hello); err != nil {
			opened.close()
			s.note(store.Phase{Phase: "connect", Outcome: "refused", Started: began, Message: err.Error()})
			return err
		}
	}
	s.link = opened
	s.note(store.Phase{Phase: "connect", Outcome: "ok", Started: began})
	return nil
}

// dial reaches a server and starts its runtime.
func (c *Coordinator) dial(ctx context.Context, connect func(context.Context, Server) (remote.Transport, error), server Server) (*link, error) {
	transport, err := connect(ctx, server)
	if err != nil {
		return nil, err
	}
	opened, err := startLink(ctx, transport, func(beat wire.Heartbeat) {
		c.report(Event{Kind: EventBeat, Server: server.Name, Doing: beat.Doing, Done: beat.Done, Total: beat.Total})
	})
	var other *versionError
	if errors.As(err, &other) {
		return nil, fault.New(fault.Conflict, "the runtime on %s speaks version %d of the protocol, this panel %d",
			server.Name, other.version, runtime.ProtocolVersion).WithHint("orchestra server check %s", server.Name)
	}
	return opened, err
}

// note appends to the server's log; its turn is taken.
func (s *session) note(phase store.Phase) {
	phase.Server = s.server.ID
	if phase.Duration == 0 {
		phase.Duration = time.Since(phase.Started)
	}
	s.log = append(s.log, phase)
}

// close ends the conversation.
func (s *session) close() {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.link != nil {
		s.link.close()
		s.link = nil
	}
}

// question is a word, the answer that it wants, and what the log calls it.
type question struct {
	outgoing
	want  wire.Word
	phase string
}

// ask says words without waiting in between and returns the report that
// answers the last one. The first refusal ends it.
func (s *session) ask(ctx context.Context, patience time.Duration, questions ...question) (wire.Report, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.link == nil {
		return wire.Report{}, &lostError{server: s.server, phase: questions[0].phase, sent: s.sent, cause: errors.New("there is no connection")}
	}
	if err := ctx.Err(); err != nil {
		return wire.Report{}, err
	}
	began := time.Now()
	words := make([]outgoing, len(questions))
	for i, question := range questions {
		words[i] = question.outgoing
	}
	before := s.sent
	s.sent = true
	if err := s.link.send(ctx, words...); err != nil {
		if errors.Is(err, wire.ErrUnsent) {
			s.sent = before || len(words) > 1
			s.note(store.Phase{Phase: questions[0].phase, Outcome: "failed", Started: began, Message: err.Error()})
			return wire.Report{}, fault.New(fault.Internal, "what %s is to be told can't be sent", s.server.Name).Because(err)
		}
		return wire.Report{}, s.lose(ctx, questions[0].phase, began, err)
	}
	var report wire.Report
	for _, question := range questions {
		s.c.report(Event{Kind: EventPhase, Server: s.server.Name, Phase: question.phase})
		var err error
		if report, err = s.answer(ctx, patience, question, began); err != nil {
			return report, err
		}
		began = time.Now()
	}
	return report, nil
}

// answer reads up to the answer of a question. Answers to what was asked
// before are skipped where the question is to undo: that is said at any time.
func (s *session) answer(ctx context.Context, patience time.Duration, question question, began time.Time) (wire.Report, error) {
	for {
		frame, err := s.link.next(ctx, patience)
		if err != nil {
			return wire.Report{}, s.lose(ctx, question.phase, began, err)
		}
		var report wire.Report
		if err := frame.Decode(&report); err != nil {
			return wire.Report{}, s.lose(ctx, question.phase, began, err)
		}
		s.limit(&report)
		undoing := question.phase == "undo"
		switch frame.Word {
		case question.want:
			s.state = report.State
			s.noteReport(question.phase, "ok", began, report)
			return report, nil
		case wire.WordFailed, wire.WordConflict:
			if report.Failure == nil {
				report.Failure = &wire.Failure{Phase: question.phase, Message: "no reason was given"}
			}
			if undoing && report.Failure.Phase != "undo" {
				continue
			}
			s.state = report.State
			outcome := "failed"
			if frame.Word == wire.WordConflict {
				outcome = "conflict"
			}
			s.noteReport(question.phase, outcome, began, report)
			return report, &refusedError{server: s.server, word: frame.Word, state: report.State, failure: *report.Failure}
		case wire.WordKept, wire.WordUndone:
			// The end that it came to before is its answer for ever.
			s.state = report.State
			s.noteReport(question.phase, string(report.State), began, report)
			return report, &endedError{server: s.server, phase: question.phase, state: report.State}
		}
		if !undoing {
			return wire.Report{}, s.lose(ctx, question.phase, began, fmt.Errorf("it answered %q instead of %s", frame.Word, question.want))
		}
	}
}

// lose drops the link after a failure of the transport, or of the context.
func (s *session) lose(ctx context.Context, phase string, began time.Time, cause error) error {
	if err := ctx.Err(); err != nil {
		s.note(store.Phase{Phase: phase, Outcome: "interrupted", Started: began})
		return err // the link may still be good for undoing
	}
	s.link.close()
	s.link = nil
	s.note(store.Phase{Phase: phase, Outcome: "lost", Started: began, Message: cause.Error()})
	s.closed = &lostError{server: s.server, phase: phase, sent: s.sent, cause: cause}
	return s.closed
}

// noteReport puts a report into the log: one entry a step, or one for all.
func (s *session) noteReport(phase, outcome string, began time.Time, report wire.Report) {
	duration := time.Since(began)
	entry := func(backend string) store.Phase {
		return store.Phase{Backend: backend, Phase: phase, Outcome: outcome, Started: began, Duration: duration}
	}
	failed := false
	for _, one := range report.Steps {
		e := entry(one.Name)
		e.Changed, e.Output, e.Actions, e.Reloaded = one.Changed, one.Output, one.Actions, one.Reloaded
		if report.Failure != nil && report.Failure.Step != one.Name {
			e.Outcome = "ok"
		} else if report.Failure != nil {
			failed = true
			e.During, e.Resource, e.Message = report.Failure.Phase, report.Failure.Resource, report.Failure.Message
			e.Output += report.Failure.Output
		}
		if phase == "stage" { // the same is told with every word
			e.Kinds = one.Kinds
		}
		s.note(e)
		if phase == "stage" {
			s.changed += one.Changed
			s.pivot = s.pivot || one.Pivot
		}
		if phase == "reload" {
			s.acted[one.Name] = s.acted[one.Name] || len(one.Reloaded) > 0
		}
	}
	if len(report.Steps) == 0 || report.Failure != nil && !failed {
		e := entry("")
		if report.Failure != nil {
			e.Backend, e.During, e.Resource, e.Message, e.Output =
				report.Failure.Step, report.Failure.Phase, report.Failure.Resource, report.Failure.Message, report.Failure.Output
		}
		s.note(e)
	}
}

// told returns what the log says of this server since it was last asked, and
// whether it has answered since.
func (s *session) told() ([]store.Phase, answer) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	log, seen := s.log, s.seen
	s.log, s.seen = nil, noAnswerYet
	return log, seen
}

package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/output"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// logDocument is what `log show -o json` says.
type logDocument struct {
	shownState string // to people

	Number  int64           `json:"number"`
	ID      string          `json:"id"`
	State   string          `json:"state"`
	Kind    string          `json:"kind"`
	Actor   string          `json:"actor"`
	Command string          `json:"command"`
	Lines   int             `json:"lines,omitempty"` // of a batch
	Reason  string          `json:"reason"`
	Started time.Time       `json:"started"`
	Ended   *time.Time      `json:"ended"`
	Failure string          `json:"failure,omitempty"`
	Changes []shownChange   `json:"changes"`
	Servers []logServer     `json:"servers"`
	Phases  []phaseDocument `json:"phases"`
}

type logServer struct {
	Server  string    `json:"server"`
	Outcome string    `json:"outcome"` // open while it has given no proof
	Steps   []logStep `json:"steps"`
}

// logStep is one backend's part of the operation on a server.
type logStep struct {
	Backend string `json:"backend"`
	Objects int    `json:"objects"`
}

type phaseDocument struct {
	Server   string           `json:"server"` // "" for this panel
	Backend  string           `json:"backend,omitempty"`
	Phase    string           `json:"phase"`
	Outcome  string           `json:"outcome"`
	Started  time.Time        `json:"started"`
	Seconds  float64          `json:"seconds"`
	Changed  int              `json:"changed"`
	Kinds    []wire.KindCount `json:"kinds,omitempty"` // the same by kind, in the phase stage
	During   string           `json:"during,omitempty"`
	Resource string           `json:"resource,omitempty"`
	Message  string           `json:"message,omitempty"`
	Output   string           `json:"output,omitempty"`
	Actions  []string         `json:"actions,omitempty"`
	Reloaded []string         `json:"reloaded,omitempty"`
}

func (a *app) logShow(ctx context.Context, number int64) error {
	record, err := a.readLog(ctx, number)
	if err != nil {
		return err
	}
	shown, err := a.showChanges(ctx, record.Changes)
	if err != nil {
		return err
	}
	alive := []store.Operation{record.Operation}
	if err := a.markInterrupted(ctx, alive); err != nil {
		return err
	}
	document := logDocument{
		shownState: string(alive[0].State),
		Number:     record.Number, ID: record.ID, State: string(record.State), Kind: record.Kind, Actor: record.Actor,
		Command: record.Command, Lines: record.Lines, Reason: record.Reason, Started: record.Started.UTC(), Failure: record.Failure,
		Changes: shown, Servers: []logServer{}, Phases: []phaseDocument{},
	}
	if !record.Ended.IsZero() {
		ended := record.Ended.UTC()
		document.Ended = &ended
	}
	for _, server := range record.Servers {
		one := logServer{Server: server.Name, Outcome: outcomeWord(server.Outcome), Steps: []logStep{}}
		for _, step := range record.Steps {
			if step.Server == server.Server {
				one.Steps = append(one.Steps, logStep{step.Backend, step.Objects})
			}
		}
		document.Servers = append(document.Servers, one)
	}
	for _, phase := range record.Phases {
		document.Phases = append(document.Phases, phaseDocument{
			Server: phase.ServerName, Backend: phase.Backend, Phase: phase.Phase, Outcome: phase.Outcome,
			Started: phase.Started.UTC(), Seconds: milliseconds(phase.Duration.Seconds()), Changed: phase.Changed, Kinds: phase.Kinds,
			During: phase.During, Resource: phase.Resource, Message: phase.Message, Output: phase.Output, Actions: phase.Actions, Reloaded: phase.Reloaded,
		})
	}
	return a.printer().Document(document, changeTable(shown, a.format()), func(out io.Writer) error {
		a.writeLog(out, document)
		return nil
	})
}

// readLog reads one operation, the last one where number is 0.
func (a *app) readLog(ctx context.Context, number int64) (record *store.OperationRecord, err error) {
	err = a.view(ctx, func(tx *store.Tx) error {
		if number == 0 {
			last, err := tx.Operations(ctx, store.LogQuery{Limit: 1})
			if err != nil {
				return err
			}
			if len(last) == 0 {
				return fault.New(fault.NotFound, "there is no operation yet")
			}
			number = last[0].Number
		}
		record, err = tx.Operation(ctx, number)
		return err
	})
	return record, err
}

// writeLog writes an operation for people: what happened in a sentence for each
// server and step, then what changed, then every phase.
func (a *app) writeLog(out io.Writer, d logDocument) {
	paint, width := a.paintOut(), a.process.Streams.WidthOr(0)
	head := fmt.Sprintf("%s %d", a.say(message.New("Operation")), d.Number)
	_, _ = fmt.Fprintf(out, "%s  %s\n", paint.Bold(head), a.statePainted(paint, d.shownState))
	command := d.Command
	if d.Lines > 0 {
		command += " (" + a.say(message.New("%d lines", d.Lines)) + ")"
	}
	pairs := [][2]string{
		{a.say(message.New("command")), command}, {a.say(message.New("by")), d.Actor},
		{a.say(message.New("reason")), d.Reason}, {a.say(message.New("began")), a.moment(d.Started)},
	}
	if d.Ended != nil {
		pairs = append(pairs, [2]string{a.say(message.New("ended")), d.Ended.Format(time.RFC3339) + " (" + output.Duration(d.Ended.Sub(d.Started)) + ")"})
	}
	if d.Failure != "" {
		pairs = append(pairs, [2]string{a.say(message.New("failure")), a.say(failureText(d.Failure))})
	}
	writePairs(out, paint, pairs, width)
	if sentences := logSentences(d); len(sentences) > 0 {
		_, _ = fmt.Fprintln(out)
		for _, sentence := range sentences {
			a.writeSentence(out, sentence, width)
		}
	}
	if len(d.Changes) > 0 {
		_, _ = fmt.Fprintln(out)
		a.writeAllChanges(out, paint, d.Changes)
	}
	for _, server := range append([]logServer{{}}, d.Servers...) {
		a.writePhases(out, paint, server, d.Phases)
	}
}

// moment returns a time as it is stored, on a terminal also how long ago that is.
func (a *app) moment(t time.Time) string {
	text := t.Format(time.RFC3339)
	if a.process.Streams.OutTerminal {
		text += " (" + a.say(output.Relative(t, a.process.Now())) + ")"
	}
	return text
}

// writeSentence writes a sentence, wrapped on a terminal, with what follows its
// first line indented.
func (a *app) writeSentence(out io.Writer, sentence message.Text, width int) {
	text := output.Escape(a.say(sentence))
	if width == 0 {
		_, _ = fmt.Fprintln(out, text)
		return
	}
	for i, line := range output.Wrap(text, width-2) {
		if i > 0 {
			line = "  " + line
		}
		_, _ = fmt.Fprintln(out, line)
	}
}

func (a *app) statePainted(paint output.Painter, state string) string {
	text := a.say(stateText(state))
	switch store.OperationState(state) {
	case store.Done:
		return paint.Green(text)
	case store.Undone:
		return paint.Yellow(text)
	}
	return paint.Red(text)
}

// stateText says how far an operation is.
func stateText(state string) message.Text {
	switch store.OperationState(state) {
	case store.Running:
		return message.New("running")
	case store.Committed:
		return message.New("committed")
	case store.Done:
		return message.New("done")
	case store.Undoing:
		return message.New("undoing")
	case store.Undone:
		return message.New("undone")
	}
	return message.New("%s", state)
}

// failureText says why an operation failed, as it was written down.
func failureText(failure string) message.Text {
	if failure == "interrupted" {
		return message.New("interrupted")
	}
	return message.New("%s", failure)
}

// writePairs writes labels and values, a line each; an empty value is left out.
func writePairs(out io.Writer, paint output.Painter, pairs [][2]string, width int) {
	longest := 0
	for _, pair := range pairs {
		if pair[1] != "" {
			longest = max(longest, output.Width(pair[0]))
		}
	}
	for _, pair := range pairs {
		if pair[1] == "" {
			continue
		}
		lines := []string{output.Escape(pair[1])}
		if width > 0 {
			lines = output.Wrap(lines[0], width-longest-4)
		}
		for i, line := range lines {
			label := paint.Dim(pair[0]) + strings.Repeat(" ", longest-output.Width(pair[0]))
			if i > 0 {
				label = strings.Repeat(" ", longest)
			}
			_, _ = fmt.Fprintf(out, "  %s  %s\n", label, line)
		}
	}
}

// writePhases writes what happened on one server, or, where it has no name,
// on the panel itself.
func (a *app) writePhases(out io.Writer, paint output.Painter, server logServer, phases []phaseDocument) {
	var own []phaseDocument
	longest := 0
	for _, phase := range phases {
		if phase.Server == server.Server {
			own = append(own, phase)
			longest = max(longest, output.Width(phaseName(phase)))
		}
	}
	switch {
	case server.Server != "":
		_, _ = fmt.Fprintf(out, "\n%s  %s\n", paint.Bold(output.Escape(server.Server)), a.say(outcomeText(server.Outcome)))
	case len(own) > 0:
		_, _ = fmt.Fprintf(out, "\n%s\n", paint.Bold(a.say(message.New("here"))))
	}
	for _, phase := range own {
		name := phaseName(phase)
		line := fmt.Sprintf("  %s%s  %-11s %8s", name, strings.Repeat(" ", longest-output.Width(name)), output.Escape(phase.Outcome),
			output.Duration(time.Duration(phase.Seconds*float64(time.Second))))
		if phase.Outcome != "ok" {
			line = paint.Red(line)
		}
		_, _ = fmt.Fprintln(out, line)
		a.writePhase(out, paint, phase)
	}
}

func phaseName(phase phaseDocument) string {
	return output.Escape(strings.TrimSpace(phase.Phase + " " + phase.Backend))
}

// writePhase writes what a phase failed of, did and printed.
func (a *app) writePhase(out io.Writer, paint output.Painter, phase phaseDocument) {
	const indent = "      "
	width := a.process.Streams.WidthOr(0)
	indented := func(text string, dress func(string) string) {
		lines := []string{output.Escape(text)}
		if width > 0 {
			lines = output.Wrap(lines[0], width-len(indent)-2)
		}
		for _, line := range lines {
			_, _ = fmt.Fprintln(out, indent+dress(line))
		}
	}
	plain := func(text string) string { return text }
	if phase.Message != "" {
		what := phase.Message
		if phase.Resource != "" {
			what = phase.Resource + ": " + what
		}
		indented(what, plain)
	}
	for _, action := range phase.Actions {
		indented("* "+action, plain)
	}
	for _, unit := range phase.Reloaded {
		indented("* reload "+unit, plain)
	}
	head, left, tail := middleCut(strings.TrimSpace(phase.Output), outputLines)
	quoted := func(line string) string { return paint.Dim("| " + line) }
	for _, line := range head {
		indented(line, quoted)
	}
	if left > 0 {
		indented(a.say(message.New("… %d lines left out: see -o json", left)), quoted)
	}
	for _, line := range tail {
		indented(line, quoted)
	}
}

// outputLines is how many lines of what a phase printed are shown to people.
const outputLines = 40

// middleCut returns the lines of text, of more than most the first and the last
// ones and how many are left out.
func middleCut(text string, most int) (head []string, left int, tail []string) {
	if text == "" {
		return nil, 0, nil
	}
	lines := strings.Split(text, "\n")
	if len(lines) <= most {
		return lines, 0, nil
	}
	return lines[:most/2], len(lines) - most/2*2, lines[len(lines)-most/2:]
}

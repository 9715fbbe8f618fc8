package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/output"
	"orchestra/pkg/store"
)

// defaultLogLimit is how many operations `log list` shows by itself.
const defaultLogLimit = 50

// logCommand makes `orchestra log`.
func (a *app) logCommand() *cobra.Command {
	list := &cobra.Command{
		Use:     "list",
		Short:   a.say(message.New("List the last operations, newest first")),
		Example: "orchestra log list --limit 5",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.logList(cmd.Context()) },
	}
	list.Flags().SortFlags = false
	list.Flags().AddFlagSet(a.listFlags(false))
	list.Flags().Var(limitValue{&a.flags.limit}, "limit", a.say(message.New("Show so many at most (%d)", defaultLogLimit)))
	list.Flags().Lookup("limit").Annotations = map[string][]string{sectionKey: {sectionList}}
	show := &cobra.Command{
		Use:     "show [NUMBER]",
		Short:   a.say(message.New("Show one operation: who, why, what changed, and what each server did")),
		Example: "orchestra log show\norchestra log show 7",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.logShow(cmd.Context(), 0)
			}
			number, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || number < 1 {
				return fault.New(fault.Usage, "%q is no number of an operation", shown(args[0])).
					WithHint("%s lists them", "orchestra log list")
			}
			return a.logShow(cmd.Context(), number)
		},
	}
	return a.groupCommand("log", a.say(message.New("Show what was done, by whom and why")), list, show)
}

func (a *app) logList(ctx context.Context) error {
	limit := a.flags.limit
	if limit == 0 {
		limit = defaultLogLimit
	}
	var operations []store.Operation
	err := a.view(ctx, func(tx *store.Tx) error {
		var err error
		operations, err = tx.Operations(ctx, limit)
		return err
	})
	if err != nil {
		return err
	}
	table := output.Table{Key: "number", Columns: []output.Column{
		{Name: "number", Kind: output.Number, Listed: true}, {Name: "state", Listed: true, Fixed: true},
		{Name: "started", Kind: output.Time, Listed: true, Fixed: true}, {Name: "actor", Listed: true},
		{Name: "command", Listed: true}, {Name: "reason"}, {Name: "kind"}, {Name: "ended", Kind: output.Time}, {Name: "failure"}, {Name: "id"},
	}}
	for _, o := range operations {
		table.Rows = append(table.Rows, []any{o.Number, string(o.State), o.Started, o.Actor, o.Command, o.Reason, o.Kind, o.Ended, o.Failure, o.ID})
	}
	hidden, err := a.printer().List(table)
	if err != nil {
		return err
	}
	if len(hidden) > 0 {
		a.tell(message.New("Not shown for want of room: %s. See --columns and -o json.", strings.Join(hidden, ", ")))
	}
	return nil
}

// logDocument is what `log show -o json` says.
type logDocument struct {
	Number  int64           `json:"number"`
	ID      string          `json:"id"`
	State   string          `json:"state"`
	Kind    string          `json:"kind"`
	Actor   string          `json:"actor"`
	Command string          `json:"command"`
	Reason  string          `json:"reason"`
	Started time.Time       `json:"started"`
	Ended   *time.Time      `json:"ended"`
	Failure string          `json:"failure,omitempty"`
	Changes []shownChange   `json:"changes"`
	Servers []logServer     `json:"servers"`
	Phases  []phaseDocument `json:"phases"`
}

type logServer struct {
	Server  string `json:"server"`
	Outcome string `json:"outcome"` // "" while it has given no proof
}

type phaseDocument struct {
	Server   string    `json:"server"` // "" for this panel
	Backend  string    `json:"backend,omitempty"`
	Phase    string    `json:"phase"`
	Outcome  string    `json:"outcome"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"`
	Changed  int       `json:"changed"`
	Resource string    `json:"resource,omitempty"`
	Message  string    `json:"message,omitempty"`
	Output   string    `json:"output,omitempty"`
	Actions  []string  `json:"actions,omitempty"`
}

func (a *app) logShow(ctx context.Context, number int64) error {
	var record *store.OperationRecord
	err := a.view(ctx, func(tx *store.Tx) error {
		if number == 0 { // the last one
			last, err := tx.Operations(ctx, 1)
			if err != nil {
				return err
			}
			if len(last) == 0 {
				return fault.New(fault.NotFound, "there is no operation yet")
			}
			number = last[0].Number
		}
		var err error
		record, err = tx.Operation(ctx, number)
		return err
	})
	if err != nil {
		return err
	}
	shown, err := a.showChanges(ctx, record.Changes)
	if err != nil {
		return err
	}
	document := logDocument{
		Number: record.Number, ID: record.ID, State: string(record.State), Kind: record.Kind, Actor: record.Actor,
		Command: record.Command, Reason: record.Reason, Started: record.Started.UTC(), Failure: record.Failure,
		Changes: shown, Servers: []logServer{}, Phases: []phaseDocument{},
	}
	if !record.Ended.IsZero() {
		ended := record.Ended.UTC()
		document.Ended = &ended
	}
	for _, server := range record.Servers {
		document.Servers = append(document.Servers, logServer{server.Name, string(server.Outcome)})
	}
	for _, phase := range record.Phases {
		document.Phases = append(document.Phases, phaseDocument{
			Server: phase.ServerName, Backend: phase.Backend, Phase: phase.Phase, Outcome: phase.Outcome,
			Started: phase.Started.UTC(), Seconds: milliseconds(phase.Duration.Seconds()), Changed: phase.Changed,
			Resource: phase.Resource, Message: phase.Message, Output: phase.Output, Actions: phase.Actions,
		})
	}
	return a.printer().Document(document, changeTable(shown, a.format()), func(out io.Writer) error {
		a.writeLog(out, document)
		return nil
	})
}

// writeLog writes an operation for people.
func (a *app) writeLog(out io.Writer, d logDocument) {
	paint := a.paintOut()
	head := fmt.Sprintf("%s %d", a.say(message.New("Operation")), d.Number)
	_, _ = fmt.Fprintf(out, "%s  %s\n", paint.Bold(head), a.statePainted(paint, d.State))
	pairs := [][2]string{
		{a.say(message.New("command")), d.Command}, {a.say(message.New("by")), d.Actor},
		{a.say(message.New("reason")), d.Reason}, {a.say(message.New("began")), d.Started.Format(time.RFC3339)},
	}
	if d.Ended != nil {
		pairs = append(pairs, [2]string{a.say(message.New("ended")), d.Ended.Format(time.RFC3339) + " (" + output.Duration(d.Ended.Sub(d.Started)) + ")"})
	}
	if d.Failure != "" {
		pairs = append(pairs, [2]string{a.say(message.New("failure")), d.Failure})
	}
	writePairs(out, paint, pairs, a.process.Streams.WidthOr(0))
	if len(d.Changes) > 0 {
		_, _ = fmt.Fprintln(out)
		a.writeChanges(out, paint, d.Changes)
	}
	for _, server := range append([]logServer{{}}, d.Servers...) {
		a.writePhases(out, paint, server, d.Phases)
	}
}

func (a *app) statePainted(paint output.Painter, state string) string {
	switch store.OperationState(state) {
	case store.Done:
		return paint.Green(state)
	case store.Undone:
		return paint.Yellow(state)
	}
	return paint.Red(state)
}

// writePairs writes labels and values, a line each; an empty value is left out.
func writePairs(out io.Writer, paint output.Painter, pairs [][2]string, width int) {
	longest := 0
	for _, pair := range pairs {
		if pair[1] != "" {
			longest = max(longest, len(pair[0]))
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
			label := paint.Dim(pair[0]) + strings.Repeat(" ", longest-len(pair[0]))
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
	begun := false
	for _, phase := range phases {
		if phase.Server != server.Server {
			continue
		}
		if !begun {
			begun = true
			title, outcome := a.say(message.New("here")), ""
			if server.Server != "" {
				title, outcome = output.Escape(server.Server), "  "+a.say(outcomeText(server.Outcome))
			}
			_, _ = fmt.Fprintf(out, "\n%s%s\n", paint.Bold(title), outcome)
		}
		name := phase.Phase
		if phase.Backend != "" {
			name += " " + phase.Backend
		}
		line := fmt.Sprintf("  %-24s %-11s %8s", output.Escape(name), output.Escape(phase.Outcome), output.Duration(time.Duration(phase.Seconds*float64(time.Second))))
		if phase.Outcome != "ok" {
			line = paint.Red(line)
		}
		_, _ = fmt.Fprintln(out, line)
		if phase.Message != "" {
			what := phase.Message
			if phase.Resource != "" {
				what = phase.Resource + ": " + what
			}
			_, _ = fmt.Fprintln(out, "      "+output.Escape(what))
		}
		for _, action := range phase.Actions {
			_, _ = fmt.Fprintln(out, "      * "+output.Escape(action))
		}
		if text := strings.TrimSpace(phase.Output); text != "" {
			for _, line := range strings.Split(text, "\n") {
				_, _ = fmt.Fprintln(out, "      "+paint.Dim("| "+output.Escape(line)))
			}
		}
	}
	if !begun && server.Server != "" {
		_, _ = fmt.Fprintf(out, "\n%s  %s\n", paint.Bold(output.Escape(server.Server)), a.say(outcomeText(server.Outcome)))
	}
}

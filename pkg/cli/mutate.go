package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"syscall"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/operation"
	"orchestra/pkg/output"
	"orchestra/pkg/store"
	"orchestra/pkg/value"
)

// mutate runs mutations as one operation: all of them happen, or none.
func (a *app) mutate(ctx context.Context, mutations []*mutation, command string) error {
	a.command = command
	if err := a.gather(ctx, mutations); err != nil {
		return err
	}
	if err := seal(ctx, mutations); err != nil {
		return err
	}
	request, err := a.request(command, func(ctx context.Context, plan noun.Planner) error {
		return applyAll(ctx, plan, mutations)
	})
	if err != nil {
		return err
	}
	destructive := false
	for _, m := range mutations {
		destructive = destructive || m.destructive()
	}
	return a.operate(ctx, request, destructive, generatedSecrets(mutations))
}

// gather lets verbs fetch what they need from outside, before anything is locked.
func (a *app) gather(ctx context.Context, mutations []*mutation) error {
	for _, m := range mutations {
		if m.own == nil || m.own.Gather == nil {
			continue
		}
		values, err := m.own.Gather(ctx, m.values.Clone(), a.readInput)
		if err != nil {
			return m.located(err)
		}
		m.values = values
	}
	return nil
}

// inputLimit is the largest file that a verb takes, in bytes.
const inputLimit = 64 << 20

// readInput returns a file that was named on the command line; - is the standard input.
func (a *app) readInput(name string) ([]byte, error) {
	in := a.process.Streams.In
	if name != "-" {
		file, err := os.Open(a.process.path(name))
		if err != nil {
			return nil, fault.New(fault.Usage, "the file cannot be read").Because(err)
		}
		defer file.Close() //nolint:errcheck // it was only read
		in = file
	} else if a.stdinTaken {
		return nil, fault.New(fault.Usage, "the standard input is read already")
	} else {
		a.stdinTaken = true
	}
	text, err := io.ReadAll(io.LimitReader(in, inputLimit+1))
	if err != nil {
		return nil, fault.New(fault.Usage, "the file cannot be read").Because(err)
	}
	if len(text) > inputLimit {
		return nil, fault.New(fault.Invalid, "%s is larger than %d MiB", name, inputLimit>>20)
	}
	return text, nil
}

func applyAll(ctx context.Context, plan noun.Planner, mutations []*mutation) error {
	for _, m := range mutations {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.apply(ctx, plan); err != nil {
			return m.located(err)
		}
	}
	return nil
}

// request makes the request of an operation.
func (a *app) request(command string, mutate func(context.Context, noun.Planner) error) (operation.Request, error) {
	request := operation.Request{Command: command, Lines: a.lines, Actor: a.actor(), Reason: a.flags.reason, Mutate: mutate}
	if a.flags.reason != "" {
		if _, err := value.Line(a.flags.reason, noun.MaxText); err != nil {
			return request, aboutField(err, "--reason")
		}
	}
	if a.flags.wait != "" {
		wait, err := time.ParseDuration(a.flags.wait)
		if err != nil {
			return request, fault.New(fault.Usage, "%q is no duration such as 30s or 5m", a.flags.wait).About("--wait")
		}
		if request.Wait = wait; wait == 0 {
			request.Wait = -1 // 0 would be the setting
		}
	}
	return request, nil
}

// operate previews or runs a request, and shows what came of it.
func (a *app) operate(ctx context.Context, request operation.Request, destructive bool, secrets []madeSecret) error {
	if a.flags.exitCode && !a.flags.dryRun {
		return fault.New(fault.Usage, "--exit-code goes with --dry-run only")
	}
	if a.flags.dryRun {
		return a.preview(ctx, request)
	}
	request.Cautious = !a.flags.yes
	if destructive && !a.flags.yes {
		if err := a.agree(ctx, &request, nil); err != nil {
			return err
		}
	}
	outcome, err := a.runRequest(ctx, request)
	// What else takes objects away from servers is known once it is planned, and
	// asked only then: all that takes nothing away is planned once.
	if takes := new(operation.TakesAway); errors.As(err, &takes) {
		if err := a.agree(ctx, &request, takes); err != nil {
			return err
		}
		outcome, err = a.runRequest(ctx, request)
	}
	if err != nil {
		if outcome != nil {
			a.warnAll(outcome.Warnings)
			err = withServers(err, outcome)
		}
		return err
	}
	a.log.Info("done", "operation", outcome.Number, "command", request.Command, "actor", request.Actor, "changes", len(outcome.Changes), "duration", outcome.Duration)
	return a.showOutcome(context.WithoutCancel(ctx), outcome, secrets)
}

// runRequest runs a request, and shows how it goes on.
func (a *app) runRequest(ctx context.Context, request operation.Request) (*operation.Outcome, error) {
	progress, done := a.startProgress()
	defer done()
	coordinator, err := a.openCoordinator(ctx, progress)
	if err != nil {
		return nil, err
	}
	a.log.Info("begins", "command", request.Command, "actor", request.Actor, "reason", request.Reason)
	return coordinator.Run(ctx, request)
}

// failedOperation is an error with what became of each server.
type failedOperation struct {
	error
	outcome *operation.Outcome
}

// Unwrap returns the error itself.
func (f failedOperation) Unwrap() error { return f.error }

func withServers(err error, outcome *operation.Outcome) error {
	if outcome.Number == 0 {
		return err
	}
	return failedOperation{err, outcome}
}

func (a *app) warnAll(warnings []message.Text) {
	for _, warning := range warnings {
		a.warn(warning)
	}
}

// madeSecret is a generated secret on its way to who asked for it.
type madeSecret struct {
	Noun  string `json:"noun"`
	Name  string `json:"name"`
	Field string `json:"field"`
	Value string `json:"value"`
}

func generatedSecrets(mutations []*mutation) []madeSecret {
	var made []madeSecret
	for _, m := range mutations {
		for _, secret := range m.secrets {
			if secret.generated && len(m.names) == 1 {
				made = append(made, madeSecret{m.noun.Name, m.names[0], secret.field.Name, secret.plain})
			}
		}
	}
	return made
}

// used returns the secrets that were really stored: ensure makes none for what
// exists already.
func used(secrets []madeSecret, changes []noun.Change) []madeSecret {
	changed := map[string]bool{}
	for _, change := range changes {
		for field, value := range change.After {
			if !noun.EqualValue(value, change.Before[field]) {
				changed[change.Noun+"\x00"+change.Name+"\x00"+field] = true
			}
		}
	}
	var kept []madeSecret
	for _, secret := range secrets {
		if changed[secret.Noun+"\x00"+secret.Name+"\x00"+secret.Field] {
			kept = append(kept, secret)
		}
	}
	return kept
}

// outcomeDocument is what `-o json` says of a mutation.
type outcomeDocument struct {
	Operation *int64           `json:"operation"` // its number in the log; null where nothing was to do
	Changed   bool             `json:"changed"`
	Changes   []shownChange    `json:"changes"`
	Warnings  []string         `json:"warnings"`
	Servers   []serverDocument `json:"servers"`
	Secrets   []madeSecret     `json:"secrets,omitempty"`
}

// outcomeWord returns what programs are told of a server's outcome.
func outcomeWord(outcome store.ServerOutcome) string {
	return cmp.Or(string(outcome), "open")
}

// serverDocument is what became of a server.
type serverDocument struct {
	Server  string  `json:"server"`
	Outcome string  `json:"outcome"`
	Changed int     `json:"changed"` // resources that differ from what was there
	Dirty   bool    `json:"dirty"`
	Seconds float64 `json:"seconds"`
	// Output is what the part that failed printed: its last lines.
	Output []string `json:"output,omitempty"`
}

// lastLines is how many lines of a failing output an error repeats; the log has it all.
const lastLines = 5

// failedOutput returns the last lines of what a failed phase printed.
func failedOutput(phases []store.Phase) []string {
	for _, phase := range phases {
		text := strings.TrimSpace(phase.Output)
		if phase.Outcome == "ok" || text == "" {
			continue
		}
		lines := strings.Split(text, "\n")
		return lines[max(len(lines)-lastLines, 0):]
	}
	return nil
}

func serverDocuments(servers []operation.ServerOutcome) []serverDocument {
	documents := make([]serverDocument, 0, len(servers))
	for _, server := range servers {
		document := serverDocument{Server: server.Server, Outcome: outcomeWord(server.Outcome), Changed: server.Changed, Dirty: server.Dirty}
		for _, phase := range server.Phases {
			document.Seconds += phase.Duration.Seconds()
		}
		document.Seconds = milliseconds(document.Seconds)
		document.Output = failedOutput(server.Phases)
		documents = append(documents, document)
	}
	return documents
}

// milliseconds rounds seconds to what can be told apart.
func milliseconds(seconds float64) float64 { return math.Round(seconds*1000) / 1000 }

func (a *app) texts(texts []message.Text) []string {
	said := make([]string, 0, len(texts))
	for _, text := range texts {
		said = append(said, a.say(text))
	}
	return said
}

// showOutcome tells what an operation did. The operation is done: what cannot
// be written now changes nothing of that.
func (a *app) showOutcome(ctx context.Context, outcome *operation.Outcome, secrets []madeSecret) error {
	secrets = used(secrets, outcome.Changes)
	shown, err := a.showChanges(ctx, outcome.Changes)
	if err != nil {
		return err
	}
	format := a.format()
	if !format.Structured() {
		a.warnAll(outcome.Warnings)
		a.tellOutcome(outcome, shown)
		a.tellBrought(outcome.Brought)
	}
	document := outcomeDocument{
		Changed: len(outcome.Changes) > 0, Changes: shown, Warnings: append(a.texts(outcome.Warnings), a.texts(a.stillOwed(outcome.Brought))...),
		Servers: serverDocuments(outcome.Servers), Secrets: secrets,
	}
	if outcome.Number != 0 {
		document.Operation = &outcome.Number
	}
	err = a.printer().Document(document, changeTable(shown, a.format()), func(out io.Writer) error { return writeSecrets(out, secrets) })
	if err != nil && !errors.Is(err, syscall.EPIPE) && fault.KindOf(err) == fault.Internal && outcome.Number != 0 {
		return unwritten(outcome.Number, secrets, err)
	}
	return err
}

// unwritten says that an operation is done, but its answer was not written, and
// how the answer is had all the same: a generated secret is kept nowhere.
func unwritten(number int64, secrets []madeSecret, err error) error {
	e := fault.New(fault.Internal, "operation %d is done, but its answer could not be written", number).Because(err)
	if len(secrets) == 0 {
		return e.WithHint("orchestra log show %d", number)
	}
	commands := make([]string, len(secrets))
	for i, secret := range secrets {
		commands[i] = "orchestra passwd " + quoteWords([]string{secret.Noun, secret.Name}) + " --generate-" + strings.ReplaceAll(secret.Field, "_", "-")
	}
	return e.WithHint("nobody has seen what was generated; make another: %s", strings.Join(commands, "; "))
}

// writeSecrets writes generated secrets: one alone by itself, so that it can be
// taken by $(…); several as name, field and value, separated by tabs.
func writeSecrets(out io.Writer, secrets []madeSecret) error {
	if len(secrets) == 1 {
		_, err := fmt.Fprintln(out, secrets[0].Value)
		return err
	}
	for _, secret := range secrets {
		if _, err := fmt.Fprintf(out, "%s\t%s\t%s\n", secret.Name, secret.Field, secret.Value); err != nil {
			return err
		}
	}
	return nil
}

// tellOutcome says on standard error what was done and where.
func (a *app) tellOutcome(outcome *operation.Outcome, shown []shownChange) {
	if len(shown) == 0 && outcome.Number == 0 {
		a.tell(message.New("Nothing to change."))
		return
	}
	for _, line := range a.summary(shown) {
		a.tell(line)
	}
	var kept []string
	queued := false
	for _, server := range outcome.Servers {
		if server.Dirty {
			queued = true
		} else {
			kept = append(kept, server.Server)
		}
	}
	duration := output.Duration(outcome.Duration)
	switch {
	case len(kept) > 0:
		a.tell(message.New("Operation %d reached %s (%s).", outcome.Number, strings.Join(kept, ", "), duration))
	case queued:
		a.tell(message.New("Operation %d (%s) has reached no server yet.", outcome.Number, duration))
	default:
		a.tell(message.New("Operation %d (%s); no server was concerned.", outcome.Number, duration))
	}
}

// tellBrought says which servers were brought up to date, and warns of the others.
func (a *app) tellBrought(brought []operation.Brought) {
	for _, one := range brought {
		if one.Err == nil && one.Number != 0 {
			a.tell(message.New("%s: brought up to date, %d objects", one.Server, one.Objects))
		}
	}
	a.warnAll(a.stillOwed(brought))
}

// stillOwed returns the warnings about servers that could not be brought up to date.
func (a *app) stillOwed(brought []operation.Brought) []message.Text {
	var warnings []message.Text
	for _, one := range brought {
		if !one.Why.IsZero() {
			warnings = append(warnings, one.Why)
		}
		if one.Err != nil {
			warnings = append(warnings, message.New("%s", a.sentence(one.Err)))
		}
	}
	return warnings
}

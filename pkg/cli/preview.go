package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/operation"
	"orchestra/pkg/output"
	"orchestra/pkg/wire"
)

// previewDocument is what `--dry-run -o json` says.
type previewDocument struct {
	DryRun   bool             `json:"dry_run"`
	Changed  bool             `json:"changed"`
	Changes  []shownChange    `json:"changes"`
	Warnings []string         `json:"warnings"`
	Servers  []differencesDoc `json:"servers"`
}

type differencesDoc struct {
	Server      string          `json:"server"`
	Owed        bool            `json:"owed,omitempty"` // it would be told later
	Error       string          `json:"error,omitempty"`
	Differences []differenceDoc `json:"differences"`
	Actions     []string        `json:"actions,omitempty"`
}

type differenceDoc struct {
	Backend string `json:"backend"`
	wire.Difference
}

// preview shows what a request would do.
func (a *app) preview(ctx context.Context, request operation.Request) error {
	preview, err := a.askPreview(ctx, request)
	if err != nil {
		return err
	}
	return a.showPreview(ctx, preview)
}

// askPreview asks the servers, once, what a request would do.
func (a *app) askPreview(ctx context.Context, request operation.Request) (*operation.Preview, error) {
	progress, done := a.startProgress()
	defer done()
	coordinator, err := a.openCoordinator(ctx, progress)
	if err != nil {
		return nil, err
	}
	return coordinator.Preview(ctx, request)
}

func (a *app) showPreview(ctx context.Context, preview *operation.Preview) error {
	shown, err := a.showChanges(ctx, preview.Changes)
	if err != nil {
		return err
	}
	document := previewDocument{
		DryRun: true, Changed: len(shown) > 0 || slices.ContainsFunc(preview.Servers, operation.ServerDifferences.Differs), Changes: shown,
		Warnings: a.texts(preview.Warnings), Servers: differenceDocuments(preview.Servers),
	}
	if !a.format().Structured() {
		a.warnAll(preview.Warnings)
	}
	err = a.printer().Document(document, changeTable(shown, a.format()), func(out io.Writer) error {
		paint := a.paintOut()
		if !document.Changed && unanswered(preview.Servers) == nil {
			_, err := fmt.Fprintln(out, a.say(message.New("Nothing would change.")))
			return err
		}
		a.writeChanges(out, paint, shown)
		writeServers(out, paint, preview.Servers, func(text io.Writer, server operation.ServerDifferences) {
			a.writeDifferences(text, paint, server)
		})
		return nil
	})
	if err != nil {
		return err
	}
	if err := unanswered(preview.Servers); err != nil {
		return err
	}
	a.tell(message.New("This was a dry run: nothing was changed."))
	if a.flags.exitCode && document.Changed {
		return &exitCode{fault.Differences.ExitCode()}
	}
	return nil
}

// unanswered returns why a server could not be asked, nil where all were.
func unanswered(servers []operation.ServerDifferences) error {
	for _, server := range servers {
		if server.Err != nil {
			return server.Err
		}
	}
	return nil
}

func differenceDocuments(servers []operation.ServerDifferences) []differencesDoc {
	documents := make([]differencesDoc, 0, len(servers))
	for _, server := range servers {
		document := differencesDoc{Server: server.Server, Owed: !server.Owed.IsZero(), Differences: []differenceDoc{}}
		if server.Err != nil {
			document.Error = server.Err.Error()
		}
		for _, step := range server.Steps {
			for _, difference := range step.Differences {
				document.Differences = append(document.Differences, differenceDoc{step.Name, difference})
			}
			document.Actions = append(document.Actions, step.Actions...)
		}
		documents = append(documents, document)
	}
	return documents
}

// writeServers writes what is said of each server. Those of which the very same
// is said are written together.
func writeServers(out io.Writer, paint output.Painter, servers []operation.ServerDifferences, write func(io.Writer, operation.ServerDifferences)) {
	var order []string
	names := map[string][]string{}
	for _, server := range servers {
		var text strings.Builder
		write(&text, server)
		if names[text.String()] == nil {
			order = append(order, text.String())
		}
		names[text.String()] = append(names[text.String()], server.Server)
	}
	for _, text := range order {
		_, _ = fmt.Fprintf(out, "\n%s\n%s", paint.Bold(output.Escape(strings.Join(names[text], ", "))+":"), text)
	}
}

func (a *app) writeDifferences(out io.Writer, paint output.Painter, server operation.ServerDifferences) {
	if server.Err != nil {
		_, _ = fmt.Fprintln(out, "  "+paint.Red(output.Escape(a.sentence(server.Err))))
		return
	}
	if !server.Owed.IsZero() {
		_, _ = fmt.Fprintln(out, "  "+a.say(message.New("queued: it is owed to it")))
		return
	}
	if !server.Differs() {
		_, _ = fmt.Fprintln(out, "  "+a.say(message.New("nothing would change")))
		return
	}
	for _, step := range server.Steps {
		for _, difference := range step.Differences {
			a.writeDifference(out, paint, difference)
		}
		for _, action := range step.Actions {
			_, _ = fmt.Fprintln(out, "  "+paint.Dim("* "+output.Escape(action)))
		}
	}
}

// writeDifference writes one resource: what comes, what goes, which lines differ.
// Where they are not to be shown, it says only that something did.
func (a *app) writeDifference(out io.Writer, paint output.Painter, difference wire.Difference) {
	title := output.Escape(difference.Kind + " " + difference.Resource)
	note := ""
	switch difference.Reason {
	case wire.ReasonChanged, wire.ReasonMissing, wire.ReasonLeftOver, "":
	default:
		note = " (" + output.Escape(a.say(reasonText(difference.Reason))) + ")"
	}
	switch {
	case difference.Reason == wire.ReasonConflict:
		_, _ = fmt.Fprintln(out, "  "+paint.Red("! "+title)+note+"\n      "+output.Escape(difference.After))
		return
	case difference.Before == "":
		_, _ = fmt.Fprintln(out, "  "+paint.Green("+ "+title)+note)
	case difference.After == "":
		_, _ = fmt.Fprintln(out, "  "+paint.Red("- "+title)+note)
		return
	default:
		_, _ = fmt.Fprintln(out, "  "+paint.Yellow("~ "+title)+note)
	}
	if difference.Before == difference.After {
		_, _ = fmt.Fprintln(out, "      "+paint.Dim(a.say(message.New("changed"))))
	}
	for _, line := range output.Diff(difference.Before, difference.After, 2) {
		text := output.Escape(line.Text)
		switch line.Sign {
		case '+':
			text = paint.Green("+ " + text)
		case '-':
			text = paint.Red("- " + text)
		case '@':
			text = paint.Dim("…")
		default:
			text = "  " + text
		}
		_, _ = fmt.Fprintln(out, "      "+text)
	}
}

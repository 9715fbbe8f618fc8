package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/operation"
	"orchestra/pkg/output"
	"orchestra/pkg/wire"
)

const (
	confirmRows  = 40 // so many rows are shown before the question
	confirmNames = 4  // and so many names of what goes on a server
)

// agree shows what a request takes away, here and on each server, asks, and
// notes that it was agreed to. takes is what goes from servers where the verb
// itself does not say that anything goes.
func (a *app) agree(ctx context.Context, request *operation.Request, takes *operation.TakesAway) error {
	nobody := fault.New(fault.Usage, "this deletes, and there is nobody to ask")
	if takes != nil {
		nobody = fault.New(fault.Usage, "this takes %d objects away from %s, and there is nobody to ask", takes.Objects, strings.Join(takes.Servers, ", "))
	}
	if err := a.mayAsk(nobody.WithHint("add --yes to do it, or --dry-run to see what would go")); err != nil {
		return err
	}
	preview, err := a.askPreview(ctx, *request)
	if err != nil {
		return err
	}
	shown, err := a.showChanges(ctx, preview.Changes)
	if err != nil {
		return err
	}
	request.Cautious = false
	if len(shown) == 0 {
		return nil
	}
	out, paint := a.process.Streams.Err, a.paintErr()
	a.writeChanges(out, paint, shown[:min(len(shown), confirmRows)])
	if more := len(shown) - confirmRows; more > 0 {
		_, _ = fmt.Fprintln(out, a.say(message.New("… and %d more", more)))
	}
	writeServers(out, paint, preview.Servers, func(text io.Writer, server operation.ServerDifferences) {
		for _, line := range a.takings(server) {
			a.writeItem(text, a.say(line))
		}
	})
	if len(preview.Servers) > 0 {
		_, _ = fmt.Fprintln(out)
	}
	a.warnAll(preview.Warnings)
	agreed, err := a.asker().Confirm(ctx, a.say(message.New("Do this?")))
	if err == nil && !agreed {
		a.tell(message.New("Nothing was changed."))
		err = &exitCode{fault.Interrupted.ExitCode()}
	}
	return err
}

// writeItem writes a line below a server's name, wrapped on a terminal.
func (a *app) writeItem(out io.Writer, text string) {
	lead := "  "
	for _, line := range output.Wrap(output.Escape(text), a.process.Streams.WidthOr(output.DefaultWidth)-4) {
		_, _ = fmt.Fprintln(out, lead+line)
		lead = "    "
	}
}

// takings says in a few lines what a request would do on a server: what it
// takes away by name, the rest by number.
func (a *app) takings(server operation.ServerDifferences) []message.Text {
	switch {
	case server.Err != nil:
		why := message.New("%s", a.sentence(server.Err))
		if _, cause := a.parts(server.Err); cause != "" && fault.Is(server.Err, fault.Unreachable) {
			why = message.New("it can't be reached: %s", cause)
		}
		return []message.Text{why, message.New("this would fail, and nothing would be changed anywhere")}
	case !server.Owed.IsZero():
		return []message.Text{message.New("it is told later: what it misses is owed to it")}
	case !server.Differs():
		return []message.Text{message.New("nothing would change")}
	}
	names := map[string][]string{} // of what goes, by kind
	var made, changed, removed []wire.KindCount
	acts := 0
	for _, step := range server.Steps {
		for _, one := range step.Differences {
			switch {
			case one.Kind == "act":
				acts++
			case one.Before == "":
				made = countKind(made, one.Kind)
			case one.After != "":
				changed = countKind(changed, one.Kind)
			case one.Kind == "user" || one.Kind == "park":
				names[one.Kind] = append(names[one.Kind], one.Resource)
			default:
				removed = countKind(removed, one.Kind)
			}
		}
	}
	var lines []message.Text
	if users := names["user"]; len(users) > 0 {
		lines = append(lines, message.New("removes %s: %s", kindText("user", len(users)), someOf(users)))
	}
	if parked := names["park"]; len(parked) > 0 {
		lines = append(lines, message.New("moves %s to the trash: %s", kindText("park", len(parked)), someOf(parked)))
	}
	if len(removed) > 0 {
		lines = append(lines, message.New("removes %s", kindsText(removed)))
	}
	if len(changed) > 0 {
		lines = append(lines, message.New("changes %s", kindsText(changed)))
	}
	if len(made) > 0 {
		lines = append(lines, message.New("makes %s", kindsText(made)))
	}
	if acts > 0 {
		lines = append(lines, message.New("does %s", kindText("act", acts)))
	}
	return lines
}

// countKind counts one more of a kind.
func countKind(counts []wire.KindCount, kind string) []wire.KindCount {
	for i := range counts {
		if counts[i].Kind == kind {
			counts[i].Changed++
			return counts
		}
	}
	return append(counts, wire.KindCount{Kind: kind, Changed: 1})
}

func kindsText(counts []wire.KindCount) message.Text {
	parts := make([]message.Text, len(counts))
	for i, one := range counts {
		parts[i] = kindText(one.Kind, one.Changed)
	}
	return joinTexts(parts)
}

// someOf names a few of many.
func someOf(names []string) message.Text {
	if more := len(names) - confirmNames; more > 0 {
		return message.New("%s and %d more", strings.Join(names[:confirmNames], ", "), more)
	}
	return message.New("%s", strings.Join(names, ", "))
}

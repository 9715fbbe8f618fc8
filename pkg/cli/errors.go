package cli

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/output"
)

// errorDocument is what `-o json` says of an error, on standard error.
type errorDocument struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	Kind    string           `json:"kind"`
	Code    int              `json:"code"` // the exit code
	Field   string           `json:"field,omitempty"`
	Message string           `json:"message"`
	Hint    string           `json:"hint,omitempty"`
	Cause   string           `json:"cause,omitempty"`
	Number  int64            `json:"operation,omitempty"` // of the operation in the log
	Servers []serverDocument `json:"servers,omitempty"`
}

// sentence returns what an error says in the person's language, with its causes.
func (a *app) sentence(err error) string {
	text, cause := a.parts(err)
	if cause != "" {
		text += ": " + cause
	}
	return text
}

// parts returns what an error says and why.
func (a *app) parts(err error) (text, cause string) {
	var failed failedOperation
	if errors.As(err, &failed) {
		err = failed.error
	}
	e, is := err.(*fault.Error) //nolint:errorlint // only the outermost one has a text to translate
	if !is {
		return err.Error(), ""
	}
	text = a.say(e.Text)
	if e.Cause != nil {
		cause = a.sentence(e.Cause)
		if inner := fieldOf(e.Cause); inner != "" && e.Field == "" {
			cause = inner + ": " + cause
		}
	}
	return text, cause
}

func fieldOf(err error) string {
	if e := new(fault.Error); errors.As(err, &e) {
		return e.Field
	}
	return ""
}

// hintOf returns the first hint of an error's chain.
func hintOf(err error) message.Text {
	for err != nil {
		e := new(fault.Error)
		if !errors.As(err, &e) {
			break
		}
		if !e.Hint.IsZero() {
			return e.Hint
		}
		err = e.Cause
	}
	return message.Text{}
}

// showError writes an error to standard error: what, where, why and what to do
// next. What a server or a person sent is escaped.
func (a *app) showError(err error) {
	body := a.errorBody(err)
	out := a.process.Streams.Err
	if format := a.format(); format == output.FormatJSON || format == output.FormatYAML || a.flags.jq != "" {
		// JSON is YAML as well.
		if text, err := output.JSON(errorDocument{body}); err == nil {
			_, _ = fmt.Fprintf(out, "%s\n", text)
			return
		}
	}
	paint := a.paintErr()
	text := body.Message
	if body.Field != "" {
		text = body.Field + ": " + text
	}
	a.paragraph(paint.Red(a.say(message.New("error:"))), utf8.RuneCountInString(a.say(message.New("error:"))), text)
	if body.Cause != "" {
		a.paragraph(paint.Dim(a.say(message.New("because:"))), utf8.RuneCountInString(a.say(message.New("because:"))), body.Cause)
	}
	for _, server := range body.Servers {
		_, _ = fmt.Fprintf(out, "  %s: %s\n", output.Escape(server.Server), a.say(outcomeText(server.Outcome)))
		for _, line := range server.Output {
			_, _ = fmt.Fprintln(out, "    "+paint.Dim("| "+output.Escape(line)))
		}
	}
	if body.Hint != "" {
		a.paragraph(paint.Cyan(a.say(message.New("hint:"))), utf8.RuneCountInString(a.say(message.New("hint:"))), body.Hint)
	}
	if body.Number != 0 && !strings.Contains(body.Hint, "log show") {
		a.paragraph(paint.Cyan(a.say(message.New("log:"))), utf8.RuneCountInString(a.say(message.New("log:"))), fmt.Sprintf("orchestra log show %d", body.Number))
	}
}

// paragraph writes a text behind a label, wrapped where a person reads.
func (a *app) paragraph(label string, width int, text string) {
	text = output.EscapeLines(strings.TrimRight(text, "\n"))
	lines := strings.Split(text, "\n")
	if a.process.Streams.ErrTerminal {
		lines = output.Wrap(text, a.process.Streams.WidthOr(output.DefaultWidth)-width-1)
	}
	for i, line := range lines {
		if i > 0 {
			label = strings.Repeat(" ", width)
		}
		_, _ = fmt.Fprintln(a.process.Streams.Err, label+" "+line)
	}
}

func (a *app) errorBody(err error) errorBody {
	kind := fault.KindOf(err)
	text, cause := a.parts(err)
	body := errorBody{Kind: kind.String(), Code: kind.ExitCode(), Message: text, Cause: cause}
	if e := new(fault.Error); errors.As(err, &e) {
		body.Field = e.Field
	}
	if hint := hintOf(err); !hint.IsZero() {
		body.Hint = a.say(hint)
	} else if kind == fault.Internal {
		body.Hint = a.say(message.New("this should not happen; the log and %s tell more", "orchestra check"))
	}
	var failed failedOperation
	if errors.As(err, &failed) {
		body.Number = failed.outcome.Number
		body.Servers = serverDocuments(failed.outcome.Servers)
	}
	return body
}

// logError writes an error to the log file, without what was typed.
func (a *app) logError(err error) {
	a.log.Error("failed", "kind", fault.KindOf(err).String(), "error", err.Error(), "command", a.command, "actor", a.actor())
}

// panicked reports a defect of ours. The coordinator has undone what it could
// on the way up; what it could not is in the journal.
func (a *app) panicked(value any, stack []byte) int {
	a.log.Error("panic", "value", fmt.Sprint(value), "stack", string(stack))
	e := fault.New(fault.Internal, "a defect of Orchestra: %v", value).
		WithHint("run %s, then report this with version %s and these lines:\n%s", "orchestra recover", a.process.Version, string(stack))
	a.showError(e)
	return fault.Internal.ExitCode()
}

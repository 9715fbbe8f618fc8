package cli

import (
	"fmt"

	"orchestra/pkg/message"
	"orchestra/pkg/operation"
	"orchestra/pkg/output"
)

// progress shows the events of an operation.
type progress struct {
	app  *app
	show *output.Progress
}

// startProgress begins to show an operation; the function returned ends it.
func (a *app) startProgress() (operation.Progress, func()) {
	streams := a.process.Streams
	terminal := streams.ErrTerminal && !a.flags.quiet && a.process.getenv("TERM") != "dumb"
	show := output.NewProgress(streams.Err, terminal, a.flags.verbose && !a.flags.quiet, streams.WidthOr(output.DefaultWidth), streams.Height, a.paintErr())
	p := &progress{app: a, show: show}
	a.progress = p
	a.process.waited.begin(show.Print)
	show.Start()
	return p, func() {
		show.Stop()
		a.process.waited.clear()
		a.progress = nil
	}
}

// pauseProgress takes live lines away while somebody is asked.
func (a *app) pauseProgress() (resume func()) {
	if a.progress == nil {
		return func() {}
	}
	show := a.progress.show
	show.Stop()
	return show.Start
}

// Report implements operation.Progress.
func (p *progress) Report(event operation.Event) {
	say := p.app.say
	switch event.Kind {
	case operation.EventPlanned:
		p.show.Servers(event.Servers)
	case operation.EventPhase:
		p.app.process.waited.add(event.Server)
		p.show.Step(event.Server, say(phaseText(event.Phase)), false)
	case operation.EventBeat:
		text := event.Doing
		if event.Total > 0 {
			text = fmt.Sprintf("%s %d/%d", text, event.Done, event.Total)
		}
		if text != "" {
			p.show.Step(event.Server, text, true)
		}
	case operation.EventServer:
		p.app.process.waited.drop(event.Server)
		p.show.Step(event.Server, say(outcomeText(event.Phase)), false)
	case operation.EventWaiting:
		p.show.Note(say(event.Text))
		p.app.log.Info(event.Text.String())
	case operation.EventNotice:
		p.show.Note(say(event.Text))
		p.app.log.Info(event.Text.String())
	}
}

// phaseText says what a server is doing in a phase.
func phaseText(phase string) message.Text {
	switch phase {
	case "connect":
		return message.New("connecting")
	case "stage":
		return message.New("making everything ready")
	case "publish":
		return message.New("making it live")
	case "check":
		return message.New("checking")
	case "reload":
		return message.New("telling the daemons")
	case "login":
		return message.New("trying a new login")
	case "pivot":
		return message.New("doing what cannot be undone")
	case "commit":
		return message.New("deciding")
	case "keep":
		return message.New("keeping it")
	case "undo":
		return message.New("undoing it")
	case "observe":
		return message.New("comparing")
	}
	return message.New("%s", phase)
}

// outcomeText says what became of a server.
func outcomeText(outcome string) message.Text {
	switch outcome {
	case "kept":
		return message.New("done")
	case "undone":
		return message.New("as before")
	case "untouched":
		return message.New("not touched")
	case "queued":
		return message.New("queued: it is owed to it")
	case "owing":
		return message.New("done: it hears the end later")
	case "compared":
		return message.New("compared")
	case "unanswered":
		return message.New("could not be asked")
	case "abandoned":
		return message.New("given up")
	case "open":
		return message.New("open")
	}
	return message.New("%s", outcome)
}

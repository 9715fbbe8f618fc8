package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/output"
	"orchestra/pkg/prompt"
	"orchestra/pkg/settings"
	"orchestra/pkg/store"
)

// app is one run of the program. What costs time is opened when it is needed
// and not before: help, completion of words and --version open nothing.
type app struct {
	process  Process
	flags    globals
	registry *noun.Registry
	language string

	settings    *settings.Settings
	store       *store.Store
	connections *connections
	backends    func() (*backend.Catalogue, error)
	progress    *progress // while an operation is shown
	log         *slog.Logger
	closers     []func() error

	prompts    prompt.Asker
	stdinTaken bool   // a secret was read from standard input
	command    string // as the log has it
	lines      int    // of a batch
	who        string // the actor, once it was asked for
}

func newApp(process Process) *app {
	a := &app{process: process, log: slog.New(slog.DiscardHandler)}
	a.flags.output, a.flags.color = "", output.ColorAuto
	a.language = languageOf(process.getenv)
	return a
}

// close ends everything that was opened, the last first.
func (a *app) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		if err := a.closers[i](); err != nil {
			a.log.Warn("closing", "error", err)
		}
	}
	a.closers = nil
}

// say puts a sentence into the person's language.
func (a *app) say(text message.Text) string { return text.In(a.language) }

// tell writes a sentence to standard error, unless --quiet.
func (a *app) tell(text message.Text) {
	if !a.flags.quiet {
		_, _ = fmt.Fprintln(a.process.Streams.Err, output.EscapeLines(a.say(text)))
	}
}

// warn writes a warning to standard error, --quiet or not.
func (a *app) warn(text message.Text) {
	_, _ = fmt.Fprintln(a.process.Streams.Err, a.warning(text))
}

func (a *app) warning(text message.Text) string {
	return a.paintErr().Yellow(a.say(message.New("warning:"))) + " " + output.EscapeLines(a.say(text))
}

func (a *app) paintErr() output.Painter {
	return output.NewPainter(a.flags.color, a.process.Streams.ErrTerminal, a.process.getenv)
}

func (a *app) paintOut() output.Painter {
	return output.NewPainter(a.flags.color, a.process.Streams.OutTerminal, a.process.getenv)
}

// printer returns what writes the command's answer.
func (a *app) printer() *output.Printer {
	streams := a.process.Streams
	return &output.Printer{
		Out: streams.Out, Terminal: streams.OutTerminal, Width: streams.Width, Format: a.format(),
		Columns: a.flags.columns, JQ: a.flags.jq, Paint: a.paintOut(), Now: a.process.Now, Language: a.language,
	}
}

// format returns the format of answers and errors.
func (a *app) format() output.Format {
	if a.flags.output != "" {
		if format, err := output.ParseFormat(a.flags.output); err == nil {
			return format
		}
	}
	if a.settings != nil {
		if format, err := output.ParseFormat(a.settings.Output.Format); err == nil {
			return format
		}
	}
	return output.FormatTable
}

// loadSettings reads the settings, once.
func (a *app) loadSettings() (*settings.Settings, error) {
	if a.settings != nil {
		return a.settings, nil
	}
	file := a.flags.config
	if file != "" {
		file = a.process.path(file)
	}
	flags := map[string]string{}
	if a.flags.wait != "" {
		flags["lock.wait"] = a.flags.wait
	}
	loaded, err := settings.Load(settings.LoadOptions{File: file, Environ: a.process.Environment, Flags: flags, User: a.process.User})
	if err != nil {
		return nil, err
	}
	a.settings = loaded
	if a.language == "" {
		a.language = loaded.Language
	}
	if a.flags.color == output.ColorAuto && !a.flags.colorGiven {
		a.flags.color = loaded.Output.Color
	}
	a.openLog()
	return loaded, nil
}

// openStore opens the database, once.
func (a *app) openStore(ctx context.Context) (*store.Store, error) {
	if a.store != nil {
		return a.store, nil
	}
	loaded, err := a.loadSettings()
	if err != nil {
		return nil, err
	}
	if err := a.dropPrivileges(loaded); err != nil {
		return nil, err
	}
	opened, err := store.Open(ctx, store.Options{
		Path: a.process.path(loaded.Database), Registry: a.registry, Settings: loaded, Now: a.process.Now,
	})
	if err != nil {
		return nil, err
	}
	a.store = opened
	a.closers = append(a.closers, opened.Close)
	return opened, nil
}

// dropPrivileges makes root the owner of the database, so that all that is
// written beside it, locks above all, has one owner.
func (a *app) dropPrivileges(loaded *settings.Settings) error {
	if a.process.User != 0 || !a.process.Owns {
		return nil
	}
	a.actor() // who it was is asked first
	_, err := store.DropToOwner(a.process.path(loaded.Database))
	return err
}

// view reads the database in one transaction.
func (a *app) view(ctx context.Context, read func(*store.Tx) error) error {
	opened, err := a.openStore(ctx)
	if err != nil {
		return err
	}
	return opened.View(ctx, read)
}

// asker returns what asks a person.
func (a *app) asker() prompt.Asker {
	if a.prompts == nil {
		words := prompt.Words{
			YesNo:    a.say(message.New("[y/N]")),
			Yes:      strings.Fields(a.say(message.New("y yes"))),
			Number:   a.say(message.New("Number")),
			NotThere: a.say(message.New("Type one of the numbers.")),
		}
		a.prompts = prompt.NewTerminal(a.process.Streams.In, a.process.Streams.Err, words)
	}
	return a.prompts
}

// mayAsk returns refusal where there is nobody to ask.
func (a *app) mayAsk(refusal *fault.Error) error {
	if a.flags.noInput || !a.process.Streams.InTerminal || !a.process.Streams.ErrTerminal {
		return refusal
	}
	return nil
}

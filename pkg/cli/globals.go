package cli

import (
	"time"

	"github.com/spf13/pflag"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/output"
)

// globals are the flags that many commands share.
type globals struct {
	// of every command
	output     string
	jq         string
	color      string
	colorGiven bool
	config     string
	languageOf string
	noInput    bool
	quiet      bool
	verbose    bool

	// of commands that show many things
	columns []string
	filter  string
	sort    []string
	limit   int
	account string

	// of commands that change something
	dryRun   bool
	exitCode bool
	yes      bool
	reason   string
	wait     string
}

// Sections of flags in help.
const (
	sectionKey       = "section"
	sectionOperation = "operation"
	sectionList      = "list"
	sectionGlobal    = "global"
)

// mark puts flags into a section of the help.
func mark(flags *pflag.FlagSet, section string) {
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Annotations == nil {
			flag.Annotations = map[string][]string{}
		}
		if flag.Annotations[sectionKey] == nil {
			flag.Annotations[sectionKey] = []string{section}
		}
	})
}

// word is a flag with a value that help shows as placeholder.
type word struct {
	value       *string
	placeholder string
	check       func(string) error
}

// String implements pflag.Value.
func (w word) String() string { return "" }

// Type implements pflag.Value.
func (w word) Type() string { return w.placeholder }

// Set implements pflag.Value.
func (w word) Set(text string) error {
	if w.check != nil {
		if err := w.check(text); err != nil {
			return err
		}
	}
	*w.value = text
	return nil
}

// wordList is a flag of words separated by commas; it may be repeated.
type wordList struct {
	value       *[]string
	placeholder string
}

// String implements pflag.Value.
func (w wordList) String() string { return "" }

// Type implements pflag.Value.
func (w wordList) Type() string { return w.placeholder }

// Set implements pflag.Value.
func (w wordList) Set(text string) error {
	words, err := splitWords(text)
	*w.value = append(*w.value, words...)
	return err
}

func (a *app) globalFlags() *pflag.FlagSet {
	f, flags := &a.flags, pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.VarP(word{&f.output, "FORMAT", func(text string) error {
		_, err := output.ParseFormat(text)
		return err
	}}, "output", "o", a.say(message.New("How to show the answer: table, json, yaml, csv or name")))
	flags.Var(word{&f.jq, "EXPRESSION", output.CheckJQ}, "jq", a.say(message.New("Filter the JSON answer by a jq expression")))
	flags.Var(word{&f.color, "WHEN", func(text string) error {
		f.colorGiven = true
		return oneOf(text, output.ColorAuto, output.ColorAlways, output.ColorNever)
	}}, "color", a.say(message.New("Use colour: auto, always or never")))
	flags.Var(word{&f.config, "FILE", nil}, "config", a.say(message.New("Read this configuration file")))
	flags.Var(word{&f.languageOf, "LANGUAGE", func(text string) error {
		if err := oneOf(text, languages...); err != nil {
			return err
		}
		a.language = text
		return nil
	}}, "language", a.say(message.New("Speak this language: en, es or ca")))
	flags.BoolVar(&f.noInput, "no-input", false, a.say(message.New("Never ask anything")))
	flags.BoolVarP(&f.quiet, "quiet", "q", false, a.say(message.New("Say nothing but answers, warnings and errors")))
	flags.BoolVarP(&f.verbose, "verbose", "v", false, a.say(message.New("Say what is being done")))
	flags.BoolP("help", "h", false, a.say(message.New("Show help")))
	mark(flags, sectionGlobal)
	return flags
}

func (a *app) operationFlags() *pflag.FlagSet {
	f, flags := &a.flags, pflag.NewFlagSet("operation", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, a.say(message.New("Show what would change, here and on each server, and change nothing")))
	flags.BoolVar(&f.exitCode, "exit-code", false, a.say(message.New("With --dry-run: end with 11 where something would change")))
	flags.BoolVarP(&f.yes, "yes", "y", false, a.say(message.New("Do not ask for confirmation")))
	flags.Var(word{&f.reason, "TEXT", nil}, "reason", a.say(message.New("Why, for the log")))
	flags.Var(word{&f.wait, "DURATION", checkDuration}, "wait", a.say(message.New("How long to wait for locks that others hold, such as 30s")))
	mark(flags, sectionOperation)
	return flags
}

func (a *app) listFlags(sorting bool) *pflag.FlagSet {
	f, flags := &a.flags, pflag.NewFlagSet("list", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.Var(wordList{&f.columns, "NAMES"}, "columns", a.say(message.New("Show these columns, separated by commas; +NAME adds one")))
	if sorting {
		flags.Var(word{&f.filter, "EXPRESSION", nil}, "filter", a.say(message.New("Show only those of which this is true, such as 'active and name startsWith \"a\"'")))
		flags.Var(wordList{&f.sort, "NAMES"}, "sort", a.say(message.New("Sort by these columns; -NAME sorts downwards")))
		flags.Var(limitValue{&f.limit}, "limit", a.say(message.New("Show so many at most")))
	}
	mark(flags, sectionList)
	return flags
}

func oneOf(text string, words ...string) error {
	for _, known := range words {
		if text == known {
			return nil
		}
	}
	return fault.New(fault.Usage, "%q is none of %s", text, joinWords(words))
}

func checkDuration(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fault.New(fault.Usage, "%q is no duration such as 30s or 5m", text)
	}
	return nil
}

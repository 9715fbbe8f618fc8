package cli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/output"
	"orchestra/pkg/store"
)

// defaultLogLimit is how many operations `log list` shows by itself.
const defaultLogLimit = 50

// logSelection is what `log list` is asked for beside what any list knows.
type logSelection struct{ noun, object, account, actor, state, since, until string }

// logCommand makes `orchestra log`.
func (a *app) logCommand() *cobra.Command {
	var chosen logSelection
	list := &cobra.Command{
		Use:     "list",
		Short:   a.say(message.New("List the last operations, newest first")),
		Example: "orchestra log list --limit 5\norchestra log list --account acme --since 2026-11-01\norchestra log list --object user/acme-web --state undone",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.logList(cmd.Context(), chosen) },
	}
	list.Flags().SortFlags = false
	list.Flags().AddFlagSet(a.logFlags(&chosen))
	list.Flags().AddFlagSet(a.listFlags(true))
	list.Flags().Lookup("limit").Usage = a.say(message.New("Show so many at most (%d)", defaultLogLimit))
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
	a.completeLog(list)
	return a.groupCommand("log", a.say(message.New("Show what was done, by whom and why")), list, show)
}

func (a *app) logFlags(chosen *logSelection) *pflag.FlagSet {
	flags := pflag.NewFlagSet("log", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.Var(word{&chosen.account, "ACCOUNT", nil}, "account", a.say(message.New("Show only those that changed something of this account")))
	flags.Var(word{&chosen.object, "NOUN/NAME", nil}, "object", a.say(message.New("Show only those that changed this object, such as user/acme-web")))
	flags.Var(word{&chosen.noun, "NOUN", nil}, "noun", a.say(message.New("Show only those that changed objects of this noun")))
	flags.Var(word{&chosen.actor, "NAME", nil}, "actor", a.say(message.New("Show only those that this person began")))
	flags.Var(word{&chosen.state, "STATE", nil}, "state", a.say(message.New("Show only those in this state, such as undone")))
	flags.Var(word{&chosen.since, "TIME", nil}, "since", a.say(message.New("Show only those begun since then: a date, a time, or how long ago, such as 7d")))
	flags.Var(word{&chosen.until, "TIME", nil}, "until", a.say(message.New("Show only those begun until then")))
	mark(flags, sectionList)
	return flags
}

// completeLog adds completion to what `log list` is asked for.
func (a *app) completeLog(list *cobra.Command) {
	account := a.registry.Noun("account")
	_ = list.RegisterFlagCompletionFunc("account", a.completeNames(account, 0))
	_ = list.RegisterFlagCompletionFunc("noun", cobra.FixedCompletions(a.registry.Names(), cobra.ShellCompDirectiveNoFileComp))
	_ = list.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(logStates(), cobra.ShellCompDirectiveNoFileComp))
}

func logStates() []string {
	return []string{string(store.Running), string(store.Committed), string(store.Done), string(store.Undoing), string(store.Undone)}
}

// logQuery reads what is asked for.
func (a *app) logQuery(chosen logSelection) (store.LogQuery, error) {
	query := store.LogQuery{
		Noun: chosen.noun, Actor: chosen.actor, State: store.OperationState(chosen.state),
		Account: canonicalName(a.registry.Noun("account"), chosen.account),
		Filter:  a.flags.filter, Sort: a.flags.sort, Limit: a.flags.limit,
	}
	if query.Limit == 0 {
		query.Limit = defaultLogLimit
	}
	if chosen.state != "" {
		if err := oneOf(chosen.state, logStates()...); err != nil {
			return query, aboutField(err, "--state")
		}
	}
	flag := "--noun"
	if chosen.object != "" {
		name, object, both := strings.Cut(chosen.object, "/")
		if !both || object == "" || chosen.noun != "" && chosen.noun != name {
			return query, fault.New(fault.Usage, "%q is no object such as user/acme-web", shown(chosen.object)).About("--object")
		}
		query.Noun, query.Name, flag = name, canonicalName(a.registry.Noun(name), object), "--object"
	}
	if query.Noun != "" && a.registry.Noun(query.Noun) == nil {
		return query, a.noSuchNoun(query.Noun).About(flag)
	}
	var err error
	if chosen.since != "" {
		if query.Since, _, err = parseWhen(chosen.since, a.process.Now()); err != nil {
			return query, aboutField(err, "--since")
		}
	}
	if chosen.until != "" {
		if _, query.Before, err = parseWhen(chosen.until, a.process.Now()); err != nil {
			return query, aboutField(err, "--until")
		}
	}
	return query, nil
}

func (a *app) logList(ctx context.Context, chosen logSelection) error {
	table := output.Table{Key: "number", Columns: []output.Column{
		{Name: "number", Kind: output.Number, Listed: true}, {Name: "state", Listed: true, Fixed: true},
		{Name: "started", Kind: output.Time, Listed: true, Fixed: true}, {Name: "actor", Listed: true},
		{Name: "command", Listed: true}, {Name: "reason"}, {Name: "kind"}, {Name: "ended", Kind: output.Time}, {Name: "failure"}, {Name: "id"},
		{Name: "lines", Kind: output.Number},
	}}
	if err := a.checkList(table); err != nil {
		return err
	}
	query, err := a.logQuery(chosen)
	if err != nil {
		return err
	}
	var operations []store.Operation
	err = a.view(ctx, func(tx *store.Tx) error {
		var err error
		operations, err = tx.Operations(ctx, query)
		return aboutQuery(err)
	})
	if err != nil {
		return err
	}
	whole := a.format() != output.FormatTable || a.flags.jq != ""
	if !whole {
		if err := a.markInterrupted(ctx, operations); err != nil {
			return err
		}
	}
	for _, o := range operations {
		command, failure, state := o.Command, o.Failure, string(o.State)
		if !whole {
			command, failure, state = a.briefCommand(o), briefText(a.say(failureText(failure))), a.say(stateText(state))
		}
		table.Rows = append(table.Rows, []any{o.Number, state, o.Started, o.Actor, command, o.Reason, o.Kind, o.Ended, failure, o.ID, int64(o.Lines)})
	}
	if len(operations) == 0 {
		text := message.New("There is no operation yet.")
		if chosen != (logSelection{}) || a.flags.filter != "" {
			text = message.New("There is no such operation.")
		}
		a.tellPeople(text)
	}
	return a.printList(table)
}

const (
	briefWord = 32  // a longer word is cut in a list: a key, say
	briefLine = 120 // and so is a longer command line
)

// longWord is what no person reads in a list.
var longWord = regexp.MustCompile(fmt.Sprintf(`\S{%d,}`, briefWord+1))

// briefText returns a text as a list shows it; the whole is in `log show`.
func briefText(text string) string {
	text = longWord.ReplaceAllStringFunc(text, func(word string) string { return output.Cut(word, briefWord) })
	return output.Cut(text, briefLine)
}

// briefCommand returns an operation's command line as a list shows it.
func (a *app) briefCommand(o store.Operation) string {
	text := briefText(o.Command)
	if o.Lines == 0 {
		return text
	}
	lines := a.say(message.New("%d lines", o.Lines))
	if name, is := strings.CutPrefix(text, "batch "); is {
		return a.say(message.New("batch %s of %s", name, lines))
	}
	return a.say(message.New("batch of %s", lines))
}

// checkList refuses columns that a list does not have.
func (a *app) checkList(table output.Table) error {
	if err := checkColumns(table, a.flags.columns, "--columns"); err != nil {
		return err
	}
	sorted := slices.Clone(a.flags.sort)
	for i := range sorted {
		sorted[i] = strings.TrimPrefix(sorted[i], "-")
	}
	return checkColumns(table, sorted, "--sort")
}

// noSuchNoun says that there is no noun of a name, and which is the nearest.
func (a *app) noSuchNoun(name string) *fault.Error {
	e := fault.New(fault.Usage, "%q is no noun", shown(name))
	if near := nearest(name, a.registry.Names()); near != "" {
		return e.WithHint("did you mean %q?", near)
	}
	return e.WithHint("the nouns are: %s", joinWords(a.registry.Names()))
}

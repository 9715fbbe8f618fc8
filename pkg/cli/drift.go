package cli

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/operation"
	"orchestra/pkg/output"
	"orchestra/pkg/wire"
)

// driftCommand makes `orchestra drift`.
func (a *app) driftCommand() *cobra.Command {
	var selection operation.Selection
	var diff bool
	command := &cobra.Command{
		Use:   "drift [NOUN [NAME...]]",
		Short: a.say(message.New("Show how servers differ from the database")),
		Long: a.say(message.New("Show how servers differ from the database, and change nothing.\n\n" +
			"Each server is asked once, for all of its objects. What was last kept there tells who made a difference: " +
			"somebody changed or removed it by hand, or the server was not told since (stale). What is there and should not be is left over; " +
			"it is looked for unless an account or names narrow the comparison. What the server is still to be told is owed: see orchestra recover.\n\n" +
			"It ends with 0 where nothing differs, 11 where something does, and 7 where a server could not be reached; the others are shown all the same.")),
		Example: "orchestra drift\norchestra drift user acme-web --diff\norchestra drift --server h11 -o json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.selectObjects(&selection, args); err != nil {
				return err
			}
			return a.drift(cmd.Context(), selection, diff)
		},
		ValidArgsFunction: a.completeDrift,
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.Var(word{&selection.Account, "ACCOUNT", nil}, "account", a.say(message.New("Compare only what belongs to this account")))
	flags.Var(wordList{&selection.Servers, "SERVERS"}, "server", a.say(message.New("Ask only this server"))+" "+a.say(message.New("(repeatable)")))
	flags.Var(wordList{&selection.Backends, "BACKENDS"}, "backend", a.say(message.New("Compare only what this backend brings onto servers"))+" "+a.say(message.New("(repeatable)")))
	flags.BoolVar(&diff, "diff", false, a.say(message.New("Show what is there (-) and what should be (+), line by line")))
	flags.AddFlagSet(a.listFlags(false))
	for flag, name := range map[string]string{"account": "account", "server": "server"} {
		if n := a.registry.Noun(name); n != nil {
			_ = command.RegisterFlagCompletionFunc(flag, a.completeNames(n, 0))
		}
	}
	_ = command.RegisterFlagCompletionFunc("backend", func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return a.completeBackends(cmd, nil, prefix)
	})
	return command
}

// selectObjects reads the arguments of drift: a noun, and names of its objects.
func (a *app) selectObjects(selection *operation.Selection, args []string) error {
	selection.Account = canonicalName(a.registry.Noun("account"), selection.Account)
	for i, name := range selection.Servers {
		selection.Servers[i] = canonicalName(a.registry.Noun("server"), name)
	}
	if len(args) == 0 {
		return nil
	}
	n := a.registry.Noun(args[0])
	if n == nil {
		known, err := a.comparedNouns()
		if err != nil {
			return err
		}
		e := fault.New(fault.Usage, "%q is no noun", shown(args[0]))
		if near := nearest(args[0], known); near != "" {
			return e.WithHint("did you mean %q?", near)
		}
		return e.WithHint("for example: %s", "orchestra drift "+strings.Join(known, " | "))
	}
	selection.Noun = n.Name
	for _, name := range args[1:] {
		if strings.TrimSpace(name) == "" {
			return fault.New(fault.Usage, "a name is empty").WithHint("orchestra %s list", n.Name)
		}
		selection.Names = append(selection.Names, canonicalName(n, name))
	}
	return nil
}

// comparedNouns returns the nouns that backends bring onto servers.
func (a *app) comparedNouns() ([]string, error) {
	backends, err := a.backendNames()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, b := range backends {
		if !slices.Contains(names, b.Noun) {
			names = append(names, b.Noun)
		}
	}
	return names, nil
}

func (a *app) drift(ctx context.Context, selection operation.Selection, diff bool) error {
	table := driftTable()
	if err := checkColumns(table, a.flags.columns, "--columns"); err != nil {
		return err
	}
	progress, done := a.startProgress()
	coordinator, err := a.openCoordinator(ctx, progress)
	if err != nil {
		done()
		return err
	}
	comparison, err := coordinator.Compare(ctx, selection)
	done()
	if err != nil {
		return err
	}
	a.warnAll(comparison.Warnings)
	if err := a.showDrift(table, comparison.Servers, diff); err != nil {
		return err
	}
	left := notCompared(comparison.Servers)
	found := slices.ContainsFunc(comparison.Servers, operation.ServerDifferences.Differs)
	a.log.Info("drift", "servers", len(comparison.Servers), "objects", comparison.Objects, "differences", found, "actor", a.actor())
	switch {
	case left != nil:
		return left
	case found:
		a.tellAfterDrift(comparison.Servers, diff)
		return &exitCode{fault.Differences.ExitCode()}
	case len(comparison.Servers) == 0:
		a.tell(message.New("No server was to be asked."))
	default:
		a.tell(message.New("No differences; servers asked: %d, objects compared: %d.", len(comparison.Servers), comparison.Objects))
	}
	return nil
}

// tellAfterDrift says what to type where something differs.
func (a *app) tellAfterDrift(servers []operation.ServerDifferences, diff bool) {
	if !diff {
		a.tell(message.New("%s shows what differs, line by line.", "orchestra drift --diff"))
	}
	owed := false
	var differing []string // servers with what the database can bring back
	for _, server := range servers {
		for _, step := range server.Steps {
			for _, one := range step.Differences {
				switch one.Reason {
				case wire.ReasonOwed:
					owed = true
				case wire.ReasonLeftOver, wire.ReasonConflict: // for a person to decide about
				default:
					if !slices.Contains(differing, server.Server) {
						differing = append(differing, server.Server)
					}
				}
			}
		}
	}
	if owed {
		a.tell(message.New("What is owed is brought there by: %s", "orchestra recover"))
	}
	for _, server := range differing {
		a.tell(message.New("What the database says is brought to %s by: %s", server, "orchestra server adopt "+server+" && orchestra recover"))
	}
}

func driftTable() output.Table {
	return output.Table{Key: "resource", Columns: []output.Column{
		{Name: "server", Listed: true, Fixed: true}, {Name: "backend", Listed: true}, {Name: "object", Listed: true},
		{Name: "kind", Listed: true}, {Name: "resource", Listed: true, Wrapped: true}, {Name: "reason", Listed: true, Fixed: true},
		{Name: "before"}, {Name: "after"},
	}}
}

// showDrift shows one row a difference, or what differs line by line.
func (a *app) showDrift(table output.Table, servers []operation.ServerDifferences, diff bool) error {
	people := a.format() == output.FormatTable && a.flags.jq == ""
	if diff && people {
		differing := slices.DeleteFunc(slices.Clone(servers), func(server operation.ServerDifferences) bool { return !server.Differs() })
		return a.printer().Document(nil, nil, func(out io.Writer) error {
			paint := a.paintOut()
			writeServers(out, paint, differing, func(text io.Writer, server operation.ServerDifferences) { a.writeDifferences(text, paint, server) })
			return nil
		})
	}
	for _, server := range servers {
		for _, step := range server.Steps {
			for _, one := range step.Differences {
				reason := one.Reason
				if people {
					reason = a.say(reasonText(one.Reason))
				}
				table.Rows = append(table.Rows, []any{server.Server, step.Name, one.Object, one.Kind, one.Resource, reason, one.Before, one.After})
			}
		}
	}
	if len(table.Rows) == 0 && people {
		return nil
	}
	return a.printList(table)
}

// reasonText says how something differs.
func reasonText(reason string) message.Text {
	switch reason {
	case wire.ReasonMissing:
		return message.New("missing")
	case wire.ReasonChanged:
		return message.New("differs")
	case wire.ReasonLeftOver:
		return message.New("left over")
	case wire.ReasonStale:
		return message.New("stale")
	case wire.ReasonHandEdited:
		return message.New("changed by hand")
	case wire.ReasonRemoved:
		return message.New("removed by hand")
	case wire.ReasonConflict:
		return message.New("in conflict")
	case wire.ReasonOwed:
		return message.New("owed")
	}
	return message.New("%s", reason)
}

// notCompared is what drift ends with where servers could not be asked, nil where
// all were. Only where all of those are out of reach it is that.
func notCompared(servers []operation.ServerDifferences) error {
	var names []string
	var first error
	for _, server := range servers {
		if server.Err == nil {
			continue
		}
		names = append(names, server.Server)
		if first == nil || fault.Is(first, fault.Unreachable) && !fault.Is(server.Err, fault.Unreachable) {
			first = server.Err
		}
	}
	if first == nil {
		return nil
	}
	e := fault.New(fault.KindOf(first), "not compared: %s", strings.Join(names, ", ")).Because(first)
	if hintOf(first).IsZero() {
		return e.WithHint("%s", "orchestra server check "+strings.Join(names, " "))
	}
	return e
}

// completeDrift completes a noun that is brought onto servers, then its objects.
func (a *app) completeDrift(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		names, err := a.comparedNouns()
		if err != nil {
			names = nil
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	if n := a.registry.Noun(args[0]); n != nil {
		return a.completeNames(n, 0)(cmd, args, prefix)
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

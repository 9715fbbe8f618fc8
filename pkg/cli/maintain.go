package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/output"
)

// backupCommand makes `orchestra backup FILE`.
func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "backup FILE",
		Short:   a.say(message.New("Write a copy of the database while it is in use")),
		Long:    a.say(message.New("Write a copy of the database while it is in use.\n\nThe copy is whole and of one moment, readable by its owner alone, and on disk when the command ends. A file that exists is not overwritten.")),
		Example: "orchestra backup /var/backups/orchestra-$(date +%F).db",
		Args:    exactly(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opened, err := a.openStore(cmd.Context())
			if err != nil {
				return err
			}
			if err := opened.Backup(cmd.Context(), a.process.path(args[0])); err != nil {
				return err
			}
			a.log.Info("backup", "file", args[0], "actor", a.actor())
			a.tell(message.New("Wrote %s", args[0]))
			return nil
		},
	}
}

// checkCommand makes `orchestra check`.
func (a *app) checkCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "check",
		Short:   a.say(message.New("Look for damage and for what should not be")),
		Long:    a.say(message.New("Look for damage and for what should not be.\n\nIt checks the database's integrity, references that lead nowhere, and what each noun finds wrong, such as accounts without an emergency contact. It names servers that are owed changes, and operations that were interrupted. It changes nothing and ends with 1 where there is damage; advice alone ends with 0.")),
		Example: "orchestra check\norchestra check -o json",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.check(cmd.Context()) },
	}
	command.Flags().AddFlagSet(a.listFlags(false))
	return command
}

func (a *app) check(ctx context.Context) error {
	opened, err := a.openStore(ctx)
	if err != nil {
		return err
	}
	findings, err := opened.Check(ctx)
	if err != nil {
		return err
	}
	table := output.Table{Key: "name", Columns: []output.Column{
		{Name: "severity", Listed: true, Fixed: true}, {Name: "noun", Listed: true}, {Name: "name", Listed: true, Fixed: true},
		{Name: "finding", Listed: true, Wrapped: true},
	}}
	damage := 0
	for _, finding := range findings {
		severity := "advice"
		if finding.Severe {
			severity = "damage"
			damage++
		}
		table.Rows = append(table.Rows, []any{severity, finding.Noun, finding.Name, a.say(finding.Text)})
	}
	owed, err := a.owed(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(owed)) {
		table.Rows = append(table.Rows, []any{"advice", "server", name, a.say(owed[name])})
	}
	open, err := a.interrupted(ctx)
	if err != nil {
		return err
	}
	for _, one := range open {
		table.Rows = append(table.Rows, []any{"advice", "operation", strconv.FormatInt(one.Number, 10), a.say(unended(one))})
	}
	if len(table.Rows) > 0 || a.format() != output.FormatTable {
		if err := a.printList(table); err != nil {
			return err
		}
	}
	switch {
	case damage > 0:
		return fault.New(fault.Internal, "the database is damaged: %d findings", damage).
			WithHint("stop using it, keep a copy of its files, and restore the last good backup")
	case len(table.Rows) == 0:
		a.tell(message.New("Everything is as it should be."))
	}
	return nil
}

// configCommand makes `orchestra config`.
func (a *app) configCommand() *cobra.Command {
	var explain bool
	show := &cobra.Command{
		Use:     "show [KEY...]",
		Short:   a.say(message.New("Show the effective settings")),
		Long:    a.say(message.New("Show the effective settings: defaults, the configuration file and its conf.d, the environment, flags; the last one wins.")),
		Example: "orchestra config show --explain\norchestra config show database",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(_ *cobra.Command, args []string) error { return a.showConfig(args, explain) },
	}
	show.Flags().SortFlags = false
	show.Flags().BoolVar(&explain, "explain", false, a.say(message.New("Say where each value came from, and what it is for")))
	show.Flags().AddFlagSet(a.listFlags(false))
	return a.groupCommand("config", a.say(message.New("Show the effective settings")), show)
}

func (a *app) showConfig(keys []string, explain bool) error {
	loaded, err := a.loadSettings()
	if err != nil {
		return err
	}
	table := output.Table{Key: "key", Columns: []output.Column{
		{Name: "key", Listed: true, Fixed: true}, {Name: "value", Listed: true, Wrapped: true}, {Name: "source", Listed: explain, Fixed: true},
		{Name: "where", Listed: explain, Wrapped: true}, {Name: "help", Wrapped: true},
	}}
	var known []string
	wanted := map[string]bool{}
	for _, key := range keys {
		wanted[key] = true
	}
	for _, entry := range loaded.Explain() {
		known = append(known, entry.Key)
		if len(keys) > 0 && !wanted[entry.Key] {
			continue
		}
		delete(wanted, entry.Key)
		table.Rows = append(table.Rows, []any{entry.Key, entry.Value, entry.Source.Kind, entry.Source.Where, a.say(message.New(entry.Help))})
	}
	for _, key := range keys {
		if wanted[key] {
			e := fault.New(fault.NotFound, "there is no setting %q", shown(key))
			if near := nearest(key, known); near != "" {
				return e.WithHint("did you mean %q?", near)
			}
			return e.WithHint("%s lists them all", "orchestra config show")
		}
	}
	if len(keys) == 1 && !explain && a.format() == output.FormatTable && a.flags.jq == "" {
		// One value alone, for scripts.
		table.Columns = table.Columns[1:2]
		value := fmt.Sprint(table.Rows[0][1])
		if plain, err := strconv.Unquote(value); err == nil {
			value = plain
		}
		table.Rows = [][]any{{value}}
		table.Key = "value"
		p := a.printer()
		p.Format = output.FormatName
		_, err := p.List(table)
		return err
	}
	streams := a.process.Streams
	if explain && streams.OutTerminal && a.format() == output.FormatTable && a.flags.jq == "" && len(a.flags.columns) == 0 {
		return explainSettings(streams.Out, a.paintOut(), table.Rows, streams.Width)
	}
	return a.printList(table)
}

// explainSettings writes each setting in a few lines: a table has no room for
// where it came from and what it is for.
func explainSettings(out io.Writer, paint output.Painter, rows [][]any, width int) error {
	for _, row := range rows {
		key, value, source := fmt.Sprint(row[0]), fmt.Sprint(row[1]), strings.TrimSpace(fmt.Sprint(row[2], " ", row[3]))
		text := paint.Bold(output.Escape(key)) + " = "
		for i, line := range output.Wrap(output.Escape(value), width-4) {
			if i == 0 && output.Width(key)+3+output.Width(line) > width {
				text += "\n    "
			} else if i > 0 {
				text += "    "
			}
			text += line + "\n"
		}
		for _, line := range output.Wrap(output.Escape(source), width-4) {
			text += "    " + paint.Dim(line) + "\n"
		}
		for _, line := range output.Wrap(output.Escape(fmt.Sprint(row[4])), width-4) {
			text += "    " + line + "\n"
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
	}
	return nil
}

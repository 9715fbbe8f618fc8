package cli

import (
	"cmp"
	"context"
	"io"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/output"
	"orchestra/pkg/store"
)

// listVerb completes the command `NOUN list`.
func (a *app) listVerb(command *cobra.Command, n *noun.Noun) {
	flags := a.listFlags(true)
	if n.Owner != "" && !n.IsAccount() {
		account := pflag.NewFlagSet("account", pflag.ContinueOnError)
		account.Var(word{&a.flags.account, "ACCOUNT", nil}, "account", a.say(message.New("Show only those of this account")))
		command.Flags().AddFlagSet(account)
	}
	command.Flags().AddFlagSet(flags)
	command.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fault.New(fault.Usage, "%s takes no argument, but there is %q", n.Name+" list", shown(args[0])).
				WithHint("for example: %s", "orchestra "+n.Name+" list --filter '"+n.Key+` == "`+strings.ReplaceAll(shown(args[0]), `"`, "")+`"'`)
		}
		return a.list(cmd.Context(), n)
	}
	a.completeList(command, n)
}

// list shows the objects of a noun.
func (a *app) list(ctx context.Context, n *noun.Noun) error {
	table := nounTable(n)
	if err := a.checkList(table); err != nil {
		return err
	}
	query := store.Query{Filter: a.flags.filter, Sort: a.flags.sort, Limit: a.flags.limit, Columns: a.wanted(table)}
	if a.flags.account != "" {
		query.Account = canonicalName(a.registry.Noun("account"), a.flags.account)
	}
	var rows []noun.Row
	err := a.view(ctx, func(tx *store.Tx) error {
		var err error
		rows, err = tx.List(ctx, n.Name, query)
		return aboutQuery(err)
	})
	if err != nil {
		return err
	}
	fillTable(&table, n, rows)
	if len(rows) == 0 {
		text := message.New("There are no %s.", n.Plural)
		if a.flags.filter != "" || a.flags.account != "" {
			text = message.New("There are no such %s.", n.Plural)
		}
		a.tellPeople(text)
	}
	return a.printList(table)
}

// aboutQuery names the flag in an error about an expression.
func aboutQuery(err error) error {
	if fault.Is(err, fault.Invalid) {
		if e := new(fault.Error); asFault(err, &e) {
			e.Kind = fault.Usage
			if e.Field == "" || e.Field == "filter" {
				e.Field = "--filter"
			}
		}
	}
	return err
}

// printList writes a list and says what of it did not fit on the terminal.
func (a *app) printList(table output.Table) error {
	hidden, err := a.printer().List(table)
	if err == nil && len(hidden) > 0 {
		a.tell(message.New("Not shown for want of room: %s. See --columns and -o json.", strings.Join(hidden, ", ")))
	}
	return err
}

// tellPeople says, to people at a terminal, what a table cannot.
func (a *app) tellPeople(text message.Text) {
	if a.process.Streams.OutTerminal && a.format() == output.FormatTable && a.flags.jq == "" {
		a.tell(text)
	}
}

// wanted returns the columns that the answer needs, nil for all.
func (a *app) wanted(table output.Table) []string {
	if a.flags.jq != "" || len(a.flags.columns) == 0 && a.format() != output.FormatTable && a.format() != output.FormatName {
		if len(a.flags.columns) == 0 {
			return nil
		}
	}
	wanted := map[string]bool{table.Key: true}
	added := true
	for _, name := range a.flags.columns {
		added = added && strings.HasPrefix(name, "+")
		wanted[strings.TrimPrefix(name, "+")] = true
	}
	if added {
		for _, column := range table.Columns {
			if column.Listed {
				wanted[column.Name] = true
			}
		}
	}
	for _, name := range a.flags.sort {
		wanted[strings.TrimPrefix(name, "-")] = true
	}
	names := make([]string, 0, len(wanted))
	for name := range wanted {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func checkColumns(table output.Table, names []string, flag string) error {
	for _, name := range names {
		name = strings.TrimPrefix(name, "+")
		var known []string
		found := false
		for _, column := range table.Columns {
			known = append(known, column.Name)
			found = found || column.Name == name
		}
		if !found {
			e := fault.New(fault.Usage, "there is no column %q", shown(name)).About(flag)
			if near := nearest(name, known); near != "" {
				return e.WithHint("did you mean %q? The columns are: %s", near, joinWords(known))
			}
			return e.WithHint("the columns are: %s", joinWords(known))
		}
	}
	return nil
}

// nounTable returns the columns of a noun, without rows.
func nounTable(n *noun.Noun) output.Table {
	table := output.Table{Key: n.Key}
	for _, field := range n.AllFields() {
		if !field.Shown() {
			continue
		}
		column := output.Column{Name: field.Name, Listed: field.Listed || field.Name == n.Key || field.Name == noun.ActiveField, Fixed: field.Name == n.Key}
		switch {
		case field.Holds() == noun.HoldsInteger:
			column.Kind = output.Number
		case field.Type != nil && field.Type.Name() == (noun.Time{}).Name():
			column.Kind = output.Time
		}
		table.Columns = append(table.Columns, column)
	}
	return table
}

// fillTable fills in rows. A list without elements is one, and not nothing.
func fillTable(table *output.Table, n *noun.Noun, rows []noun.Row) {
	lists := make([]bool, len(table.Columns))
	for i, column := range table.Columns {
		field, _ := n.Field(column.Name)
		lists[i] = field.Holds() == noun.HoldsList
	}
	table.Rows = make([][]any, len(rows))
	for r, row := range rows {
		cells := make([]any, len(table.Columns))
		for i, column := range table.Columns {
			if cells[i] = row.Values[column.Name]; cells[i] == nil && lists[i] {
				cells[i] = []string{}
			}
		}
		table.Rows[r] = cells
	}
}

// showVerb completes the command `NOUN show NAME`.
func (a *app) showVerb(command *cobra.Command, n *noun.Noun) {
	command.Use = "show " + cmp.Or(n.Words, "NAME")
	command.Flags().AddFlagSet(a.listFlags(false))
	command.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := oneName(n, "show", args)
		if err != nil {
			return err
		}
		return a.show(cmd.Context(), n, name)
	}
	a.completeList(command, n)
	command.ValidArgsFunction = a.completeNames(n, 1)
}

// oneName returns the one argument of a verb that takes a name.
func oneName(n *noun.Noun, verb string, args []string) (string, error) {
	args = joinKey(n, args)
	switch {
	case len(args) == 0 || strings.TrimSpace(args[0]) == "":
		return "", fault.New(fault.Usage, "%s needs the name of the %s", n.Name+" "+verb, n.Name).
			WithHint("%s lists them", "orchestra "+n.Name+" list")
	case len(args) > 1:
		return "", fault.New(fault.Usage, "%s has one argument too many: %q", n.Name+" "+verb, shown(args[1]))
	}
	return canonicalName(n, args[0]), nil
}

// show shows one object.
func (a *app) show(ctx context.Context, n *noun.Noun, name string) error {
	table := nounTable(n)
	if err := checkColumns(table, a.flags.columns, "--columns"); err != nil {
		return err
	}
	var rows []noun.Row
	var why message.Text // it is inactive, where it is not disabled itself
	err := a.view(ctx, func(tx *store.Tx) error {
		row, err := tx.Find(ctx, n.Name, name)
		if err != nil {
			return err
		}
		if rows, err = tx.List(ctx, n.Name, store.Query{Names: []string{name}}); err != nil {
			return err
		}
		if len(row.List(noun.DisabledField)) > 0 {
			return nil
		}
		owner, disabled, err := noun.DisabledBy(ctx, tx, row)
		if disabled {
			why = message.New("%s %s is not active since %s %s is disabled: %s", n.Name, name,
				owner.Noun, owner.Text(tx.Noun(owner.Noun).Key), strings.Join(owner.List(noun.DisabledField), ", "))
		}
		return err
	})
	if err != nil {
		return err
	}
	fillTable(&table, n, rows)
	if err := a.printer().Show(table); err != nil {
		return err
	}
	if !why.IsZero() && a.format() == output.FormatTable && a.flags.jq == "" {
		a.tell(why)
	}
	return nil
}

// questionVerb completes the command of a noun's own verb that answers a question.
func (a *app) questionVerb(command *cobra.Command, n *noun.Noun, own *noun.Verb) {
	f := a.newForm(n, own.Name, false)
	command.Use = strings.TrimSpace(own.Name + " " + f.usage())
	command.Flags().AddFlagSet(f.flags)
	command.Flags().AddFlagSet(a.listFlags(false))
	command.RunE = func(cmd *cobra.Command, args []string) error {
		m, err := f.read(cmd.Context(), a, args)
		if err != nil {
			return err
		}
		return a.ask(cmd.Context(), n, own, m)
	}
	a.completeVerb(command, n, f)
}

func (a *app) ask(ctx context.Context, n *noun.Noun, own *noun.Verb, m *mutation) error {
	var answer noun.Table
	err := a.view(ctx, func(tx *store.Tx) error {
		row := noun.Row{Noun: n.Name}
		if !own.WithoutObject {
			var err error
			if row, err = tx.Find(ctx, n.Name, m.names[0]); err != nil {
				return err
			}
		}
		var err error
		answer, err = own.Show(ctx, tx, row, m.values)
		return err
	})
	if err != nil {
		return err
	}
	if answer.Text != "" && a.format() == output.FormatTable && len(a.flags.columns) == 0 {
		_, err := io.WriteString(a.process.Streams.Out, answer.Text)
		return err
	}
	table := output.Table{}
	for _, name := range answer.Columns {
		column := output.Column{Name: name, Listed: true}
		if len(answer.Rows) > 0 {
			if _, is := answer.Rows[0][name].(int64); is {
				column.Kind = output.Number
			}
		}
		table.Columns = append(table.Columns, column)
	}
	if len(answer.Columns) > 0 {
		table.Key = answer.Columns[0]
		for _, name := range answer.Columns {
			if name == "name" {
				table.Key = name
			}
		}
	}
	if err := checkColumns(table, a.flags.columns, "--columns"); err != nil {
		return err
	}
	for _, values := range answer.Rows {
		cells := make([]any, len(table.Columns))
		for i, column := range table.Columns {
			cells[i] = values[column.Name]
		}
		table.Rows = append(table.Rows, cells)
	}
	if err := a.printList(table); err != nil {
		return err
	}
	return verdict(answer)
}

// verdict is what a question ends with once its answer is printed.
func verdict(answer noun.Table) error {
	if answer.Failed != nil || !answer.Differs {
		return answer.Failed
	}
	return &exitCode{fault.Differences.ExitCode()}
}

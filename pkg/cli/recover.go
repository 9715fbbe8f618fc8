package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/operation"
	"orchestra/pkg/output"
	"orchestra/pkg/store"
)

// lockCommand makes `orchestra lock`.
func (a *app) lockCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "lock",
		Short:   a.say(message.New("Show which running commands hold locks")),
		Long:    a.say(message.New("Show which running commands hold locks.\n\nA lock ends with the process that holds it: there is nothing to remove by hand.")),
		Example: "orchestra lock",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.lock(cmd.Context()) },
	}
	command.Flags().AddFlagSet(a.listFlags(false))
	return command
}

func (a *app) lock(ctx context.Context) error {
	coordinator, err := a.openCoordinator(ctx, nil)
	if err != nil {
		return err
	}
	holders, err := coordinator.Holders()
	if err != nil {
		return err
	}
	table := output.Table{Key: "operation", Columns: []output.Column{
		{Name: "pid", Kind: output.Number, Listed: true}, {Name: "since", Kind: output.Time, Listed: true, Fixed: true},
		{Name: "command", Listed: true}, {Name: "locks", Listed: true}, {Name: "shared"}, {Name: "operation"},
	}}
	for _, holder := range holders {
		table.Rows = append(table.Rows, []any{
			holder.PID, holder.Since, holder.Command, a.lockNames(ctx, holder.Locks), a.lockNames(ctx, holder.Shared), holder.Operation,
		})
	}
	if len(holders) == 0 && a.format() == output.FormatTable && a.flags.jq == "" {
		a.tell(message.New("No locks are held."))
		return nil
	}
	return a.printList(table)
}

// lockNames says whose locks they are: account-3 is "account acme". What is not
// found, such as an account that is just being made, stays a number.
func (a *app) lockNames(ctx context.Context, locks []string) []string {
	names := make([]string, 0, len(locks))
	for _, lock := range locks {
		kind, number, _ := strings.Cut(lock, "-")
		n := a.registry.Noun(kind)
		id, err := strconv.ParseInt(number, 10, 64)
		if n == nil || err != nil {
			names = append(names, lock)
			continue
		}
		_ = a.view(ctx, func(tx *store.Tx) error {
			row, err := tx.Get(ctx, kind, id)
			if err == nil {
				lock = kind + " " + row.Text(n.Key)
			}
			return nil
		})
		names = append(names, lock)
	}
	return names
}

// recoverCommand makes `orchestra recover`.
func (a *app) recoverCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "recover",
		Short:   a.say(message.New("End the operations that a crash or a lost server left open")),
		Long:    a.say(message.New("End the operations that a crash or a lost server left open.\n\nWhat was decided is brought to its end, what was not is undone, on every server. Commands that need what such an operation holds do this by themselves; recover does it for all, and says what could not be done: then it ends with 9.\n\nThen it brings servers up to date that are owed changes, since they were out of reach or disabled. One that still is gets a warning, and that is no failure.")),
		Example: "orchestra recover",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.recover(cmd.Context()) },
	}
	command.Flags().AddFlagSet(a.listFlags(false))
	return command
}

func (a *app) recover(ctx context.Context) error {
	progress, done := a.startProgress()
	coordinator, err := a.openCoordinator(ctx, progress)
	if err != nil {
		done()
		return err
	}
	recovered, brought, left := coordinator.Recover(ctx)
	done()
	if !a.format().Structured() {
		a.tellBrought(brought)
	}
	if left != nil && len(recovered) == 0 && (len(brought) == 0 || !a.format().Structured()) {
		return left
	}
	table := output.Table{Key: "number", Columns: []output.Column{
		{Name: "number", Kind: output.Number, Listed: true}, {Name: "state", Listed: true, Fixed: true}, {Name: "result", Listed: true, Fixed: true},
		{Name: "command", Listed: true}, {Name: "servers", Listed: true}, {Name: "error"}, {Name: "id"},
	}}
	var open []string
	var first error
	for _, r := range recovered {
		var names []string
		for _, server := range r.Servers {
			names = append(names, server.Server)
		}
		result, why := "ended", ""
		switch {
		case r.Alive:
			result = "running"
		case r.Err != nil:
			result, why = "open", a.sentence(r.Err)
			open = append(open, strconv.FormatInt(r.Number, 10))
			if first == nil {
				first = r.Err
			}
		}
		table.Rows = append(table.Rows, []any{r.Number, string(r.State), result, r.Command, names, why, r.ID})
		a.log.Info("recover", "operation", r.Number, "result", result, "error", why, "actor", a.actor())
	}
	if a.format().Structured() {
		table.Rows = append(table.Rows, a.broughtRows(brought)...)
	}
	for _, one := range brought {
		a.log.Info("brought up to date", "server", one.Server, "operation", one.Number, "objects", one.Objects, "owed", one.Owed, "actor", a.actor())
	}
	if len(recovered) == 0 && a.format() == output.FormatTable && a.flags.jq == "" {
		if len(brought) == 0 {
			a.tell(message.New("There is nothing to recover."))
		}
		return nil
	}
	if err := a.printList(table); err != nil {
		return err
	}
	if first != nil {
		hint := hintOf(first)
		e := fault.New(fault.Unrecovered, "still open: %s", strings.Join(open, ", ")).Because(first)
		if hint.IsZero() {
			return e.WithHint("bring the servers back, then run %s again; %s tells more", "orchestra recover", "orchestra log show "+open[0])
		}
		return e
	}
	return left
}

// broughtRows are the rows of servers that were owed something, for programs.
func (a *app) broughtRows(brought []operation.Brought) [][]any {
	var rows [][]any
	for _, one := range brought {
		result, number, why := "brought", any(nil), ""
		if one.Number != 0 {
			number = one.Number
		}
		if one.Owed > 0 {
			result, why = "owed", strings.Join(a.texts(a.stillOwed([]operation.Brought{one})), "; ")
		}
		rows = append(rows, []any{number, "", result, "converge " + one.Server, []string{one.Server}, why, ""})
	}
	return rows
}

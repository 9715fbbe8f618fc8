package cli

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/settings"
	"orchestra/pkg/store"
)

const (
	// completeLimit is how many names a shell is offered.
	completeLimit = 100
	// completeTime is how long it may take: a person waits with a key pressed.
	completeTime = 2 * time.Second
)

type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// completionCommand makes `orchestra completion`.
func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     a.say(message.New("Print the completion script of a shell: bash, zsh or fish")),
		Example:   "orchestra completion bash > /usr/share/bash-completion/completions/orchestra",
		Args:      exactly(1, "SHELL"),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf(args[0], shells...); err != nil {
				return aboutField(err, "SHELL")
			}
			return writeCompletion(cmd.Root(), args[0], a.process.Streams.Out)
		},
	}
}

func writeCompletion(root *cobra.Command, shell string, out io.Writer) error {
	switch shell {
	case "zsh":
		return root.GenZshCompletion(out)
	case "fish":
		return root.GenFishCompletion(out, true)
	}
	return root.GenBashCompletionV2(out, true)
}

// completeVerb adds completion to a verb with a form.
func (a *app) completeVerb(command *cobra.Command, n *noun.Noun, f *form) {
	many := 1
	switch {
	case f.own != nil && f.own.WithoutObject:
		many = -1
	case f.verb == "add":
		many = -1
	case takesNames(f.verb):
		many = 0
	}
	names := a.completeNames(n, many)
	command.ValidArgsFunction = func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if at := len(args) - 1; (f.verb == "add" || f.verb == "ensure") && at >= 0 && at < len(n.Positional) {
			if field, ok := n.Field(n.Positional[at]); ok {
				return a.completeField(field)(cmd, args, prefix)
			}
		}
		return names(cmd, args, prefix)
	}
	for _, i := range f.inputs {
		_ = command.RegisterFlagCompletionFunc(i.flagName(), a.completeField(i.field))
	}
	a.completeGlobals(command)
}

// completeField completes the value of a field: its choices, or names of the
// objects that it references.
func (a *app) completeField(field noun.Field) completion {
	if field.Reference != "" {
		if n := a.registry.Noun(field.Reference); n != nil {
			return a.completeNames(n, 0)
		}
	}
	return func(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		chooser, is := field.Type.(noun.Chooser)
		if !is {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		head := ""
		if field.Holds() == noun.HoldsList {
			if at := strings.LastIndexByte(prefix, ','); at >= 0 {
				head = prefix[:at+1]
			}
		}
		var words []string
		for _, choice := range chooser.Choices() {
			words = append(words, head+choice)
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeNames completes names of objects. most is how many arguments may be
// names: 0 for any number, -1 for none. It opens the database only where there
// is one, and is silent about whatever goes wrong.
func (a *app) completeNames(n *noun.Noun, most int) completion {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if most < 0 || most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, cancel := context.WithTimeout(ctx, completeTime)
		defer cancel()
		return a.storedNames(ctx, n, prefix), cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *app) storedNames(ctx context.Context, n *noun.Noun, prefix string) []string {
	loaded, err := settings.Load(settings.LoadOptions{File: a.flags.config, Environ: a.process.Environment, User: a.process.User})
	if err != nil {
		return nil
	}
	if _, err := os.Stat(a.process.path(loaded.Database)); err != nil {
		return nil
	}
	a.settings = loaded // without the log: nothing of this is worth a line
	var names []string
	_ = a.view(ctx, func(tx *store.Tx) error {
		names, err = tx.Complete(ctx, n.Name, prefix, completeLimit)
		return err
	})
	return names
}

// completeList adds completion to the flags of list and show.
func (a *app) completeList(command *cobra.Command, n *noun.Noun) {
	command.ValidArgsFunction = cobra.NoFileCompletions
	columns := func(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		head := ""
		if at := strings.LastIndexByte(prefix, ','); at >= 0 {
			head = prefix[:at+1]
		}
		var words []string
		for _, column := range nounTable(n).Columns {
			words = append(words, head+column.Name)
		}
		return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	for _, name := range []string{"columns", "sort"} {
		if command.Flags().Lookup(name) != nil {
			_ = command.RegisterFlagCompletionFunc(name, columns)
		}
	}
	if account := a.registry.Noun("account"); account != nil && command.Flags().Lookup("account") != nil {
		_ = command.RegisterFlagCompletionFunc("account", a.completeNames(account, 0))
	}
	a.completeGlobals(command)
}

// completeGlobals adds completion to the flags of every command.
func (a *app) completeGlobals(command *cobra.Command) {
	for name, words := range map[string][]string{
		"output": {"table", "json", "yaml", "csv", "name"}, "color": {"auto", "always", "never"}, "language": languages,
	} {
		if command.Root().PersistentFlags().Lookup(name) != nil {
			_ = command.Root().RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
		}
	}
}

// completePasswd completes `passwd NOUN NAME`.
func (a *app) completePasswd() completion {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return a.passwdNouns(), cobra.ShellCompDirectiveNoFileComp
		}
		if n := a.registry.Noun(args[0]); n != nil && len(args) == 1 {
			return a.completeNames(n, 0)(cmd, args, prefix)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

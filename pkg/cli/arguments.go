package cli

import (
	"github.com/spf13/cobra"

	"orchestra/pkg/fault"
)

// noArguments refuses arguments.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fault.New(fault.Usage, "%s takes no argument, but there is %q", cmd.CommandPath(), shown(args[0])).
			WithHint("%s --help", cmd.CommandPath())
	}
	return nil
}

// exactly wants n arguments; usage says which.
func exactly(n int, usage string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return fault.New(fault.Usage, "%s needs %s", cmd.CommandPath(), usage).WithHint("for example: %s", firstLine(cmd.Example))
		case len(args) > n:
			return fault.New(fault.Usage, "%s has one argument too many: %q", cmd.CommandPath(), shown(args[n])).
				WithHint("for example: %s", firstLine(cmd.Example))
		}
		return nil
	}
}

// groupCommand makes a command that only holds others.
func (a *app) groupCommand(name, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use: name, Short: short, Args: cobra.ArbitraryArgs, Example: firstLine(commands[0].Example),
		RunE: func(cmd *cobra.Command, args []string) error { return a.unknownVerb(cmd, args) },
	}
	group.AddCommand(commands...)
	return group
}

func firstLine(text string) string {
	for i := range len(text) {
		if text[i] == '\n' {
			return text[:i]
		}
	}
	return text
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/output"
)

// The groups of the help, in their order.
var areas = []string{
	"Accounts", "Mail", "DNS", "Web", "Databases", "Billing", "Monitoring", "Servers", areaAdministration,
}

const areaAdministration = "Administration"

// run finds the command that args name and runs it.
func (a *app) run(ctx context.Context, args []string) error {
	if err := a.register(); err != nil {
		return err
	}
	a.prescan(args)
	root := a.newRoot()
	root.SetArgs(args)
	a.grow(root, args)
	return a.usage(root.ExecuteContext(ctx))
}

// register makes the registry of nouns.
func (a *app) register() error {
	if a.registry != nil {
		return nil
	}
	declared := a.process.Nouns
	if declared == nil {
		declared = a.nouns
	}
	registry, err := noun.NewRegistry(declared()...)
	if err != nil {
		return fmt.Errorf("the declarations of the nouns: %w", err)
	}
	a.registry = registry
	return nil
}

// prescan looks for the flags that decide how help and errors of the command
// line itself are shown: they must hold even where another flag is wrong.
func (a *app) prescan(args []string) {
	probe := *a
	flags := probe.globalFlags()
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	_ = flags.Parse(args) // what is wrong is told by the real parser
	if !a.shadowed(args, "language") {
		a.language = probe.language
	}
	a.flags.color, a.flags.colorGiven = probe.flags.color, probe.flags.colorGiven
	a.flags.output = probe.flags.output
	if _, err := output.ParseFormat(a.flags.output); err != nil {
		a.flags.output = ""
	}
}

// shadowed tells whether a flag of every command is, on this command line, that
// of a field: an account's language is not that of who adds it.
func (a *app) shadowed(args []string, name string) bool {
	var words []string
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			words = append(words, arg)
		}
	}
	if len(words) < 2 || a.registry.Noun(words[0]) == nil {
		return false
	}
	for _, field := range a.registry.Noun(words[0]).Fields {
		if field.Flag() == name && field.Settable() {
			return words[1] == "add" || words[1] == "set" || words[1] == "ensure"
		}
	}
	return false
}

// newRoot makes the command tree, with nouns that have no verbs yet.
func (a *app) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "orchestra",
		Short:         a.say(message.New("Administers a hosting provider over its own servers")),
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if version, err := cmd.Flags().GetBool("version"); err == nil && version {
				return a.showVersion(false)
			}
			if len(args) > 0 {
				return a.unknownCommand(args)
			}
			return cmd.Help()
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetIn(a.process.Streams.In)
	root.SetOut(a.process.Streams.Out)
	root.SetErr(a.process.Streams.Err)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { a.help(cmd) })
	root.SetUsageFunc(func(*cobra.Command) error { return nil })
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return a.flagError(cmd, err) })
	root.PersistentFlags().SortFlags = false
	root.PersistentFlags().AddFlagSet(a.globalFlags())
	root.Flags().Bool("version", false, a.say(message.New("Show the version")))
	for _, area := range areas {
		root.AddGroup(&cobra.Group{ID: area, Title: area})
	}
	for _, n := range a.registry.Nouns() {
		root.AddCommand(a.nounCommand(n))
	}
	root.AddCommand(a.administration()...)
	root.SetHelpCommand(a.helpCommand(root))
	return root
}

// administration returns the commands that belong to no noun.
func (a *app) administration() []*cobra.Command {
	commands := []*cobra.Command{
		a.initCommand(), a.batchCommand(), a.passwdCommand(), a.logCommand(), a.lockCommand(), a.recoverCommand(),
		a.driftCommand(), a.checkCommand(), a.backupCommand(), a.configCommand(), a.completionCommand(), a.versionCommand(),
	}
	for _, command := range commands {
		command.GroupID = areaAdministration
	}
	backend := a.backendCommand()
	backend.GroupID = "Servers"
	return append(commands, backend)
}

// grow adds to the tree what args need of it: the verbs of one noun and the
// flags of one verb. The others are never made.
func (a *app) grow(root *cobra.Command, args []string) {
	if len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd || args[0] == "help") {
		args = args[1:]
	}
	found, rest, err := root.Find(args)
	if err != nil || found == root {
		return
	}
	n := a.registry.Noun(found.Name())
	if n == nil || found.Parent() != root {
		return
	}
	a.addVerbs(found, n)
	// Not by Find: it would give the verb the flags of every command before its
	// own ones, and of two with one name the first one stays.
	for _, verb := range found.Commands() {
		if slices.Contains(rest, verb.Name()) {
			a.addFlags(verb)
		}
	}
}

// growAll adds everything, for generated files and tests.
func (a *app) growAll(root *cobra.Command) {
	for _, command := range root.Commands() {
		n := a.registry.Noun(command.Name())
		if n == nil {
			continue
		}
		a.addVerbs(command, n)
		for _, verb := range command.Commands() {
			a.addFlags(verb)
		}
	}
}

// unknownCommand refuses a first word that is no command.
func (a *app) unknownCommand(args []string) error {
	var names []string
	for _, n := range a.registry.Nouns() {
		names = append(names, n.Name)
	}
	for _, command := range a.administration() {
		if !command.Hidden {
			names = append(names, command.Name())
		}
	}
	e := fault.New(fault.Usage, "%q is no command", shown(args[0]))
	if len(args) > 1 && a.registry.Noun(args[1]) != nil {
		if verb := likelyVerb(args[0]); verb != "" {
			return e.WithHint("the noun comes first: %s", "orchestra "+args[1]+" "+verb)
		}
	}
	if near := nearest(args[0], names); near != "" {
		return e.WithHint("did you mean %q? %s lists all commands", near, "orchestra --help")
	}
	return e.WithHint("%s lists all commands", "orchestra --help")
}

// nearest is fault.Nearest that also knows beginnings and plurals.
func nearest(word string, known []string) string {
	if near := fault.Nearest(word, known); near != "" {
		return near
	}
	if len(word) < 3 {
		return ""
	}
	for _, candidate := range known {
		if strings.HasPrefix(candidate, word) {
			return candidate
		}
	}
	return ""
}

// likelyVerb returns the verb of ours that other programs call otherwise.
func likelyVerb(text string) string {
	switch text {
	case "add", "create", "new", "make", "insert":
		return "add"
	case "list", "ls":
		return "list"
	case "show", "get", "view", "info", "describe":
		return "show"
	case "set", "update", "edit", "modify", "change", "mod":
		return "set"
	case "delete", "del", "remove", "rm", "destroy", "drop":
		return "delete"
	case "enable", "resume", "unsuspend", "unlock":
		return "enable"
	case "disable", "suspend":
		return "disable"
	case "ensure", "apply":
		return "ensure"
	}
	return ""
}

// flagError makes a usage error of what the parser of flags says. The value is
// never repeated: it may be a secret in the wrong place.
func (a *app) flagError(cmd *cobra.Command, err error) error {
	var (
		unknown  *pflag.NotExistError
		valued   *pflag.ValueRequiredError
		invalid  *pflag.InvalidValueError
		syntax   *pflag.InvalidSyntaxError
		ours     *fault.Error
		helpHint = cmd.CommandPath() + " --help"
	)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &invalid):
		if errors.As(err, &ours) {
			if ours.Field == "" {
				ours.Field = "--" + invalid.GetFlag().Name
			} else if !strings.HasPrefix(ours.Field, "-") && !strings.Contains(ours.Field, ".") {
				ours.Field = "--" + ours.Field
			}
			return ours
		}
		return fault.New(fault.Usage, "this flag takes no such value").About("--"+invalid.GetFlag().Name).WithHint("%s", helpHint)
	case errors.As(err, &valued):
		return fault.New(fault.Usage, "this flag needs a value").About("--"+valued.GetFlag().Name).WithHint("%s", helpHint)
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			return fault.New(fault.Usage, "there is no flag %s", "-"+name).WithHint("%s", helpHint)
		}
		e := fault.New(fault.Usage, "%s has no flag %s", cmd.CommandPath(), "--"+shown(name))
		var names []string
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			if !flag.Hidden {
				names = append(names, flag.Name)
			}
		})
		if near := nearest(name, names); near != "" {
			return e.WithHint("did you mean %q? %s lists them all", "--"+near, helpHint)
		}
		if others := a.siblingsWithFlag(cmd, name); len(others) > 0 {
			return e.WithHint("these have it: %s", strings.Join(others, ", "))
		}
		return e.WithHint("%s", helpHint)
	case errors.As(err, &syntax):
		return fault.New(fault.Usage, "this is no flag: it begins with a dash").WithHint("a value that begins with a dash comes after -- or as --flag=value; %s", helpHint)
	}
	return fault.New(fault.Usage, "the command line cannot be read").Because(err)
}

// siblingsWithFlag returns the commands beside cmd that have a flag.
func (a *app) siblingsWithFlag(cmd *cobra.Command, flag string) []string {
	if !cmd.HasParent() {
		return nil
	}
	var found []string
	for _, sibling := range cmd.Parent().Commands() {
		a.addFlags(sibling)
		if sibling != cmd && sibling.LocalFlags().Lookup(flag) != nil {
			found = append(found, sibling.CommandPath())
		}
	}
	return found
}

// usage makes a usage error of what cobra itself says.
func (a *app) usage(err error) error {
	var (
		ours   *fault.Error
		silent *exitCode
	)
	if err == nil || errors.As(err, &ours) || errors.As(err, &silent) {
		return err
	}
	if strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag") {
		return fault.New(fault.Usage, "the command line cannot be read").Because(err)
	}
	return err
}

func asFault(err error, target **fault.Error) bool { return errors.As(err, target) }

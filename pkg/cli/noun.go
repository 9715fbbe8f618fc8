package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
)

// nounCommand makes the command of a noun, without its verbs.
func (a *app) nounCommand(n *noun.Noun) *cobra.Command {
	return &cobra.Command{
		Use:     n.Name,
		Short:   a.say(message.New(n.Help)),
		Long:    a.long(n.Help, n.Long),
		Example: verbExample(n, n.DerivedVerbs()[0]),
		GroupID: n.Area,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.unknownVerb(cmd, args)
		},
	}
}

// long returns the paragraphs of a help, "" where there are none.
func (a *app) long(short, long string) string {
	if long == "" {
		return ""
	}
	return a.say(message.New(short)) + ".\n\n" + a.say(message.New(long))
}

// unknownVerb refuses what is no verb of the noun.
func (a *app) unknownVerb(cmd *cobra.Command, args []string) error {
	var names []string
	for _, verb := range cmd.Commands() {
		if !verb.Hidden {
			names = append(names, verb.Name())
		}
	}
	if len(args) == 0 {
		return fault.New(fault.Usage, "%s needs a verb: %s", cmd.Name(), strings.Join(names, ", ")).
			WithHint("for example: %s", cmd.Example)
	}
	e := fault.New(fault.Usage, "%s has no verb %q", cmd.Name(), shown(args[0]))
	if verb := likelyVerb(args[0]); verb != "" && verb != args[0] {
		return e.WithHint("did you mean %q? The verbs are: %s", verb, strings.Join(names, ", "))
	}
	if near := nearest(args[0], names); near != "" {
		return e.WithHint("did you mean %q? The verbs are: %s", near, strings.Join(names, ", "))
	}
	return e.WithHint("the verbs are: %s", strings.Join(names, ", "))
}

// nounKey is the annotation of a verb's command that names its noun.
const nounKey = "noun"

// addVerbs adds the verbs of a noun to its command, without their flags.
func (a *app) addVerbs(command *cobra.Command, n *noun.Noun) {
	if command.HasSubCommands() {
		return
	}
	for _, verb := range n.DerivedVerbs() {
		command.AddCommand(a.verbCommand(n, verb, a.say(derivedHelp(n, verb)), "", verbExample(n, verb)))
	}
	for i := range n.Verbs {
		own := &n.Verbs[i]
		command.AddCommand(a.verbCommand(n, own.Name, a.say(message.New(own.Help)), a.long(own.Help, own.Long), own.Example))
	}
	if n.Name == "server" {
		command.AddCommand(a.serverCommands()...)
	}
}

// derivedHelp returns the line of help of a derived verb.
func derivedHelp(n *noun.Noun, verb string) message.Text {
	switch verb {
	case "add":
		return message.New("Add %s", article(n.Name))
	case "ensure":
		return message.New("Add %s, or set what differs; says whether anything changed", article(n.Name))
	case "list":
		return message.New("List %s", n.Plural)
	case "show":
		return message.New("Show %s", article(n.Name))
	case "set":
		return message.New("Change %s", article(n.Name))
	case "delete":
		return message.New("Delete %s with what depends on them", n.Plural)
	case "enable":
		return message.New("Take back one reason for which %s are disabled", n.Plural)
	case "disable":
		return message.New("Disable %s for a reason", n.Plural)
	case "move":
		return message.New("Move %s to another server", n.Plural)
	}
	return message.Text{}
}

// article puts "a" or "an" before a noun, as its first letter asks for; other
// languages know no gender of our words and put nothing.
func article(name string) message.Text {
	if name != "" && strings.ContainsRune("aeio", rune(name[0])) {
		return message.New("an %s", name)
	}
	return message.New("a %s", name)
}

func (a *app) verbCommand(n *noun.Noun, verb, short, long, example string) *cobra.Command {
	command := &cobra.Command{
		Use: verb, Short: short, Long: long, Example: example, Args: cobra.ArbitraryArgs,
		Annotations: map[string]string{nounKey: n.Name},
		// Replaced when the verb is completed; without it, help would not list it.
		RunE: func(cmd *cobra.Command, _ []string) error {
			return fmt.Errorf("the command %q was not completed", cmd.CommandPath())
		},
	}
	command.Flags().SortFlags = false
	return command
}

// addFlags completes the command of a noun's verb.
func (a *app) addFlags(command *cobra.Command) {
	n := a.registry.Noun(command.Annotations[nounKey])
	if n == nil {
		return
	}
	delete(command.Annotations, nounKey) // once
	switch verb := command.Name(); verb {
	case "list":
		a.listVerb(command, n)
	case "show":
		a.showVerb(command, n)
	default:
		for i := range n.Verbs {
			if n.Verbs[i].Name == verb && n.Verbs[i].Show != nil {
				a.questionVerb(command, n, &n.Verbs[i])
				return
			}
		}
		a.mutatingVerb(command, n, verb)
	}
}

// mutatingVerb completes the command of a verb that changes something.
func (a *app) mutatingVerb(command *cobra.Command, n *noun.Noun, verb string) {
	f := a.newForm(n, verb, false)
	command.Use = strings.TrimSpace(verb + " " + f.usage())
	command.Flags().AddFlagSet(f.flags)
	command.Flags().AddFlagSet(a.operationFlags())
	if verb == "enable" || verb == "disable" {
		reason := command.Flags().Lookup("reason")
		reason.Usage = a.say(message.New("Which reason to take back (the last one), and why, for the log"))
		if verb == "disable" {
			reason.Usage = a.say(message.New("The reason that is stacked (%s), and why, for the log", noun.DefaultReason))
		}
	}
	command.RunE = func(cmd *cobra.Command, args []string) error {
		m, err := f.read(cmd.Context(), a, args)
		if err != nil {
			return err
		}
		if verb == "enable" || verb == "disable" {
			m.reason = a.flags.reason
		}
		if err := a.fetchHostKey(cmd.Context(), m); err != nil {
			return err
		}
		return a.mutate(cmd.Context(), []*mutation{m}, m.command())
	}
	a.completeVerb(command, n, f)
}

package cli

import (
	"context"

	"github.com/spf13/cobra"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// passwdCommand makes `orchestra passwd NOUN NAME`.
func (a *app) passwdCommand() *cobra.Command {
	var read, generate bool
	command := &cobra.Command{
		Use:     "passwd NOUN NAME",
		Short:   a.say(message.New("Change a password")),
		Long:    a.say(message.New("Change a password.\n\nAt a terminal it is asked for, twice; in a script it is read from standard input with --password-stdin, or made up with --generate-password. It is never an argument.")),
		Example: "orchestra passwd user ana\norchestra passwd user ana --generate-password",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.passwd(cmd.Context(), args, read, generate)
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.BoolVar(&read, "password-stdin", false, a.say(message.New("Read the %s from standard input", "password")))
	flags.BoolVar(&generate, "generate-password", false, a.say(message.New("Make up a %s and print it once, on standard output", "password")))
	flags.Var(refused{noun.Field{Name: "password"}}, "password", "")
	_ = flags.MarkHidden("password")
	flags.AddFlagSet(a.operationFlags())
	command.ValidArgsFunction = a.completePasswd()
	return command
}

// secretField returns the field of a noun that passwd changes.
func secretField(n *noun.Noun) (noun.Field, bool) {
	for _, field := range n.Fields {
		if field.Secret != nil && field.Settable() && !field.Immutable {
			return field, true
		}
	}
	return noun.Field{}, false
}

// passwdNouns returns the nouns that have a password.
func (a *app) passwdNouns() []string {
	var names []string
	for _, n := range a.registry.Nouns() {
		if _, has := secretField(n); has {
			names = append(names, n.Name)
		}
	}
	return names
}

func (a *app) passwd(ctx context.Context, args []string, read, generate bool) error {
	if len(args) != 2 {
		return fault.New(fault.Usage, "passwd needs a noun and a name").WithHint("for example: %s", "orchestra passwd user ana")
	}
	n := a.registry.Noun(args[0])
	if n == nil {
		return fault.New(fault.Usage, "%q is no noun", shown(args[0])).
			WithHint("nouns with a password: %s", joinWords(a.passwdNouns()))
	}
	field, has := secretField(n)
	if !has {
		return fault.New(fault.Usage, "%s has no password", n.Name).
			WithHint("nouns with a password: %s", joinWords(a.passwdNouns()))
	}
	name, err := oneName(n, "passwd", args[1:])
	if err != nil {
		return err
	}
	// Who does not exist is told before a password is typed.
	if err := a.view(ctx, func(tx *store.Tx) error {
		_, err := tx.Find(ctx, n.Name, name)
		return err
	}); err != nil {
		return err
	}
	input := &secretInput{field: field, stdin: read, generate: generate}
	secret, err := input.take(ctx, a)
	if err != nil {
		return err
	}
	if secret == nil {
		plain, err := a.askNewSecret(ctx, field)
		if err != nil {
			return err
		}
		secret = &secretValue{field: field, plain: plain}
	}
	m := &mutation{noun: n, verb: "set", nouns: a.registry, names: []string{name}, secrets: []*secretValue{secret}}
	return a.mutate(ctx, []*mutation{m}, quoteWords([]string{"passwd", n.Name, name}))
}

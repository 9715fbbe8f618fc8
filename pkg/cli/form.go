package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// form is the command line of one mutating verb of one noun: its arguments and
// flags. It is used by a command, or again and again by the lines of a batch.
type form struct {
	noun    *noun.Noun
	verb    string
	own     *noun.Verb // nil for derived verbs
	inputs  []*input
	secrets []*secretInput
	// reason is the stacked reason of enable and disable in a batch; elsewhere
	// it is the flag --reason of the operation.
	reason *string
	flags  *pflag.FlagSet
}

// newForm makes the form of a verb. A batch's lines have flags of their own
// for what the batch itself cannot give each line.
func (a *app) newForm(n *noun.Noun, verb string, batch bool) *form {
	f := &form{noun: n, verb: verb, flags: pflag.NewFlagSet(n.Name+" "+verb, pflag.ContinueOnError)}
	f.flags.SortFlags = false
	f.flags.Usage = func() {}
	switch verb {
	case "add", "ensure", "set":
		f.addFields(a, batch)
	case "enable", "disable":
		if batch {
			f.reason = f.flags.String("reason", "", "")
		}
	case "delete":
	case "move":
		placement, _ := n.Placement()
		f.addInput(a, newInput(placement, replaces), true)
	default:
		f.addOptions(a, batch)
	}
	return f
}

func (f *form) addFields(a *app, batch bool) {
	for _, field := range f.noun.Fields {
		if !field.Settable() || field.Name == f.noun.Key && f.verb != "set" || f.positional(field.Name) {
			continue
		}
		if f.verb == "set" && (field.Immutable || field.Placement) {
			continue
		}
		if field.Secret != nil {
			secret := &secretInput{field: field}
			f.secrets = append(f.secrets, secret)
			secret.add(a, f.flags, batch)
			continue
		}
		required := field.Required && f.verb != "set" && field.Default == nil
		f.addInput(a, newInput(field, replaces), required)
		if f.verb == "set" && field.Holds() == noun.HoldsList {
			f.addInput(a, newInput(field, extends), false)
			f.addInput(a, newInput(field, reduces), false)
		}
	}
}

func (f *form) addOptions(a *app, batch bool) {
	for i := range f.noun.Verbs {
		if f.noun.Verbs[i].Name == f.verb {
			f.own = &f.noun.Verbs[i]
		}
	}
	for _, field := range f.own.Options {
		if slices.Contains(f.own.Positional, field.Name) {
			continue
		}
		if field.Secret != nil {
			secret := &secretInput{field: field}
			f.secrets = append(f.secrets, secret)
			secret.add(a, f.flags, batch)
			continue
		}
		f.addInput(a, newInput(field, replaces), field.Required)
	}
}

func (f *form) addInput(a *app, i *input, required bool) {
	f.inputs = append(f.inputs, i)
	i.add(f.flags, a.inputHelp(i, required))
}

// positional tells whether add takes the field as an argument.
func (f *form) positional(field string) bool {
	if f.verb != "add" && f.verb != "ensure" {
		return false
	}
	for _, name := range f.noun.Positional {
		if name == field {
			return true
		}
	}
	return false
}

// reset forgets the line that was read.
func (f *form) reset() {
	for _, i := range f.inputs {
		i.reset()
	}
	for _, s := range f.secrets {
		s.reset()
	}
	if f.reason != nil {
		*f.reason = ""
	}
	f.flags.Visit(func(flag *pflag.Flag) { flag.Changed = false })
}

// takesNames tells whether a derived verb takes any number of names.
func takesNames(verb string) bool {
	return verb == "delete" || verb == "enable" || verb == "disable" || verb == "move"
}

// usage returns the arguments as help shows them: "NAME", "NAME TYPE VALUE".
func (f *form) usage() string {
	switch {
	case f.own != nil && f.own.WithoutObject:
		return strings.ToUpper(strings.Join(f.own.Positional, " "))
	case f.noun.Words != "":
		return f.noun.Words
	case takesNames(f.verb):
		return "NAME..."
	case f.verb == "add" || f.verb == "ensure":
		words := []string{"NAME"}
		for _, name := range f.noun.Positional {
			words = append(words, strings.ToUpper(strings.ReplaceAll(name, "_", "-")))
		}
		return strings.Join(words, " ")
	}
	return "NAME"
}

// read makes a mutation of the flags, which were parsed, and the arguments. It
// checks every value; secrets are read or made, not hashed yet.
func (f *form) read(ctx context.Context, a *app, args []string) (*mutation, error) {
	m := &mutation{noun: f.noun, verb: f.verb, own: f.own, nouns: a.registry}
	if err := f.readArguments(a, m, args); err != nil {
		return nil, err
	}
	if f.reason != nil {
		m.reason = *f.reason
	}
	if err := f.readInputs(a, m); err != nil {
		return nil, err
	}
	for _, s := range f.secrets {
		secret, err := s.take(ctx, a)
		if err != nil {
			return nil, err
		}
		if secret != nil {
			m.secrets = append(m.secrets, secret)
		}
	}
	return m, f.complete(m)
}

func (f *form) readArguments(a *app, m *mutation, args []string) error {
	for _, arg := range args {
		if strings.TrimSpace(arg) == "" {
			return fault.New(fault.Usage, "an argument is empty").About(f.noun.Name + "." + f.noun.Key)
		}
	}
	usage := "orchestra " + f.noun.Name + " " + f.verb + " " + f.usage()
	if f.own != nil && f.own.WithoutObject {
		return f.readPositional(a, m, args)
	}
	args = joinKey(f.noun, args)
	if len(args) == 0 {
		return fault.New(fault.Usage, "%s needs the name of the %s", f.noun.Name+" "+f.verb, f.noun.Name).WithHint("%s", usage)
	}
	m.names = args[:1]
	rest := args[1:]
	switch {
	case takesNames(f.verb):
		m.names, rest = args, nil
	case f.verb == "add" || f.verb == "ensure":
		for _, name := range f.noun.Positional {
			if len(rest) == 0 {
				break
			}
			field, _ := f.noun.Field(name)
			value, err := parseField(a.registry, field, rest[:1])
			if err != nil {
				return aboutField(err, f.noun.Name+"."+name)
			}
			m.set(name, value)
			m.arguments = append(m.arguments, rest[0])
			rest = rest[1:]
		}
	}
	if len(rest) > 0 {
		return fault.New(fault.Usage, "%s has one argument too many: %q", f.noun.Name+" "+f.verb, shown(rest[0])).WithHint("%s", usage)
	}
	return f.readName(m)
}

// readPositional reads the arguments of a verb that takes no object.
func (f *form) readPositional(a *app, m *mutation, args []string) error {
	for _, name := range f.own.Positional {
		if len(args) == 0 {
			return fault.New(fault.Usage, "%s needs also: %s", f.noun.Name+" "+f.verb, strings.ToUpper(name)).WithHint("for example: %s", f.own.Example)
		}
		at := slices.IndexFunc(f.own.Options, func(option noun.Field) bool { return option.Name == name })
		value, err := parseField(a.registry, f.own.Options[at], args[:1])
		if err != nil {
			return aboutField(err, f.noun.Name+"."+name)
		}
		m.set(name, value)
		m.arguments, args = append(m.arguments, args[0]), args[1:]
	}
	if len(args) > 0 && len(f.own.Positional) == 0 {
		return fault.New(fault.Usage, "%s takes no argument, but there is %q", f.noun.Name+" "+f.verb, shown(args[0]))
	}
	if len(args) > 0 {
		return fault.New(fault.Usage, "%s has one argument too many: %q", f.noun.Name+" "+f.verb, shown(args[0])).WithHint("for example: %s", f.own.Example)
	}
	return nil
}

// joinKey makes one argument of several where they are the key of one object.
func joinKey(n *noun.Noun, args []string) []string {
	if n.Words == "" || len(args) < 2 {
		return args
	}
	return []string{strings.Join(args, " ")}
}

// readName checks the name of a new object and puts those of others into the
// form in which they are stored.
func (f *form) readName(m *mutation) error {
	names := make([]string, len(m.names))
	for i, name := range m.names {
		names[i] = canonicalName(f.noun, name)
	}
	m.names = names
	if f.verb != "add" && f.verb != "ensure" {
		return nil
	}
	key, _ := f.noun.Field(f.noun.Key)
	value, err := key.Parse(m.names[0])
	if err != nil {
		return aboutField(err, f.noun.Name+"."+f.noun.Key)
	}
	m.names[0] = key.Format(value)
	m.set(f.noun.Key, value)
	return nil
}

func (f *form) readInputs(a *app, m *mutation) error {
	for _, i := range f.inputs {
		if !i.given {
			continue
		}
		value, err := i.value(a.registry, f.noun.Name)
		if err != nil {
			return err
		}
		m.words = append(m.words, i.words()...)
		switch i.mode {
		case replaces:
			if value == nil && i.field.Required {
				return fault.New(fault.Invalid, "this may not be empty").About(f.noun.Name + "." + i.field.Name)
			}
			m.set(i.field.Name, value)
		default:
			list, _ := value.([]string)
			m.extend = append(m.extend, extension{field: i.field.Name, mode: i.mode, list: list})
		}
	}
	for _, e := range m.extend {
		if _, given := m.values[e.field]; given {
			return fault.New(fault.Usage, "%s is given together with what would add to it or take away from it", "--"+strings.ReplaceAll(e.field, "_", "-"))
		}
	}
	return nil
}

// words returns the flag as it was typed, for the log.
func (i *input) words() []string {
	words := make([]string, len(i.texts))
	for n, text := range i.texts {
		words[n] = "--" + i.flagName() + "=" + text
	}
	return words
}

// complete refuses a line that lacks something, all of it at once.
func (f *form) complete(m *mutation) error {
	var missing []string
	switch f.verb {
	case "add":
		missing = m.missing()
	case "set":
		if len(m.values) == 0 && len(m.extend) == 0 && len(m.secrets) == 0 {
			return fault.New(fault.Usage, "%s %s: nothing to set", f.noun.Name+" set", m.names[0]).
				WithHint("orchestra %s set --help lists the flags", f.noun.Name)
		}
	case "move":
		if len(m.values) == 0 {
			missing = append(missing, "--on")
		}
	default:
		if f.own != nil {
			for _, field := range f.own.Options {
				if field.Required && !m.has(field.Name) {
					missing = append(missing, "--"+field.Flag())
				}
			}
		}
	}
	return m.lacks(missing)
}

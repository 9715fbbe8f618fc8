package cli

import (
	"strings"

	"github.com/spf13/pflag"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
)

// inputMode says what a flag does to its field.
type inputMode int

const (
	replaces inputMode = iota // --group: the value itself
	extends                   // --add-group
	reduces                   // --remove-group
)

// input is the flag of one field. It implements pflag.Value and keeps what was
// typed until the whole line has been read.
type input struct {
	field noun.Field
	mode  inputMode
	// many allows the flag to be repeated.
	many  bool
	given bool
	texts []string
}

func newInput(field noun.Field, mode inputMode) *input {
	return &input{field: field, mode: mode, many: field.Holds() == noun.HoldsList}
}

// String implements pflag.Value.
func (i *input) String() string { return "" }

// Type implements pflag.Value: what help shows for the value.
func (i *input) Type() string { return placeholder(i.field) }

// Set implements pflag.Value.
func (i *input) Set(text string) error {
	if i.given && !i.many {
		return fault.New(fault.Usage, "it was given twice")
	}
	i.given = true
	i.texts = append(i.texts, text)
	return nil
}

func (i *input) reset() { i.given, i.texts = false, nil }

// flagName returns the name of the flag without its dashes.
func (i *input) flagName() string {
	switch i.mode {
	case extends:
		return "add-" + i.field.Flag()
	case reduces:
		return "remove-" + i.field.Flag()
	}
	return i.field.Flag()
}

// add defines the flag.
func (i *input) add(flags *pflag.FlagSet, help string) *pflag.Flag {
	flag := flags.VarPF(i, i.flagName(), "", help)
	if i.field.Holds() == noun.HoldsBoolean {
		flag.NoOptDefVal = "yes"
	}
	return flag
}

// value returns the canonical value of what was typed; nil for "".
func (i *input) value(nouns *noun.Registry, about string) (any, error) {
	value, err := parseField(nouns, i.field, i.texts)
	if err != nil {
		return nil, aboutField(err, about+"."+i.field.Name)
	}
	return value, nil
}

// separated is a list type that tells what stands between its elements.
type separated interface{ Separator() string }

// parseField reads what was typed for a field: once, or for a list repeatedly.
func parseField(nouns *noun.Registry, field noun.Field, texts []string) (any, error) {
	if field.Holds() == noun.HoldsList {
		separator := ","
		if type_, is := field.Type.(separated); is {
			separator = type_.Separator()
		}
		var elements []string
		for _, text := range texts {
			if strings.Count(text, separator) > noun.MaxElements {
				return nil, fault.New(fault.Invalid, "a list has at most %d elements", noun.MaxElements)
			}
			elements = append(elements, strings.Split(text, separator)...)
		}
		return field.Check(elements)
	}
	text := texts[len(texts)-1]
	if field.Reference != "" {
		return canonicalName(nouns.Noun(field.Reference), text), nil
	}
	return field.Parse(text)
}

// canonicalName returns the name of an object as it is stored, where it can be
// one at all: EXAMPLE.org is example.org.
func canonicalName(n *noun.Noun, text string) string {
	if n == nil || text == "" {
		return text
	}
	key, ok := n.Field(n.Key)
	if !ok {
		return text
	}
	value, err := key.Parse(text)
	if err != nil || value == nil {
		return text
	}
	return key.Format(value)
}

// aboutField names the field in an error that does not name one yet.
func aboutField(err error, field string) error {
	if e := new(fault.Error); asFault(err, &e) && e.Field == "" {
		return e.About(field)
	}
	return err
}

// placeholder returns the word that stands for a value in help: TEXT, ACCOUNT.
func placeholder(field noun.Field) string {
	if field.Holds() == noun.HoldsBoolean {
		return "yes|no"
	}
	name := strings.TrimSuffix(field.TypeName(), " list")
	if name == "choice" {
		name = field.Name
	}
	return strings.ToUpper(strings.NewReplacer(" ", "-", "_", "-").Replace(name))
}

// inputHelp returns the help of a field's flag, in the person's language.
func (a *app) inputHelp(i *input, required bool) string {
	help := a.say(message.New(i.field.Help))
	switch i.mode {
	case extends:
		return a.say(message.New("Add to %s", "--"+i.field.Flag()))
	case reduces:
		return a.say(message.New("Take away from %s", "--"+i.field.Flag()))
	}
	if chooser, is := i.field.Type.(noun.Chooser); is && i.field.Holds() != noun.HoldsBoolean && len(chooser.Choices()) > 0 {
		help += ": " + strings.Join(chooser.Choices(), ", ")
	}
	if i.many {
		help += " " + a.say(message.New("(repeatable)"))
	}
	if required {
		help += " " + a.say(message.New("(required)"))
	}
	return help
}

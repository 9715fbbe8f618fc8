package cli

import (
	"context"
	"slices"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// mutation is one command line that changes something, read and checked.
type mutation struct {
	noun      *noun.Noun
	verb      string
	own       *noun.Verb // nil for derived verbs
	nouns     *noun.Registry
	names     []string
	values    noun.Values // of fields, or of the own verb's options
	extend    []extension
	secrets   []*secretValue
	reason    string
	arguments []string // after NAME, as typed
	words     []string // flags as typed; never a secret
	line      int      // of the batch; 0 where it is no line of one
}

// extension adds elements to a list field or takes them away.
type extension struct {
	field string
	mode  inputMode
	list  []string
}

func (m *mutation) set(field string, value any) {
	if m.values == nil {
		m.values = noun.Values{}
	}
	m.values[field] = value
}

func (m *mutation) has(field string) bool {
	if _, given := m.values[field]; given {
		return true
	}
	for _, secret := range m.secrets {
		if secret.field.Name == field {
			return true
		}
	}
	return false
}

// missing returns the arguments and flags without which no object is added.
func (m *mutation) missing() []string {
	var missing []string
	for _, field := range m.noun.Fields {
		if m.has(field.Name) || !field.Settable() || !field.Required || field.Default != nil || field.Counter != "" {
			continue
		}
		switch {
		case slices.Contains(m.noun.Positional, field.Name):
			missing = append(missing, strings.ToUpper(field.Name))
		case field.Secret != nil:
			missing = append(missing, "--"+field.Flag()+"-stdin")
		default:
			missing = append(missing, "--"+field.Flag())
		}
	}
	return missing
}

// lacks refuses a line that lacks something, all of it at once.
func (m *mutation) lacks(missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	example := verbExample(m.noun, m.verb)
	if m.own != nil {
		example = m.own.Example
	}
	return fault.New(fault.Usage, "%s needs also: %s", m.noun.Name+" "+m.verb, strings.Join(missing, ", ")).
		WithHint("for example: %s", example)
}

// commandLimit is the longest command line that is kept in the log, in bytes.
const commandLimit = 2000

// command returns the command line for the log: what was typed, without secrets.
func (m *mutation) command() string {
	words := append([]string{m.noun.Name, m.verb}, m.names...)
	words = append(words, m.arguments...)
	words = append(words, m.words...)
	for _, secret := range m.secrets {
		switch {
		case secret.generated:
			words = append(words, "--generate-"+secret.field.Flag())
		case secret.plain == "":
			words = append(words, "--"+secret.field.Flag()+"-hash=…")
		default:
			words = append(words, "--"+secret.field.Flag()+"-stdin")
		}
	}
	line := quoteWords(words)
	if len(line) > commandLimit {
		line = strings.ToValidUTF8(line[:commandLimit], "") + "…"
	}
	return line
}

// destructive tells whether it takes things away that have to be shown first.
func (m *mutation) destructive() bool {
	return m.verb == "delete" || m.verb == "move" || m.own != nil && m.own.Destructive
}

// apply adds the changes of the line to a plan. It may be called several times
// and changes nothing of the mutation.
func (m *mutation) apply(ctx context.Context, plan noun.Planner) error {
	switch m.verb {
	case "add":
		return m.applyAdd(ctx, plan, m.values.Clone())
	case "ensure":
		return m.applyEnsure(ctx, plan)
	}
	if m.own != nil && m.own.WithoutObject {
		return m.applyOwn(ctx, plan, noun.Row{Noun: m.noun.Name})
	}
	for _, name := range m.names {
		row, err := plan.Find(ctx, m.noun.Name, name)
		if err != nil {
			return err
		}
		if err := m.applyTo(ctx, plan, row); err != nil {
			return err
		}
	}
	return nil
}

func (m *mutation) applyTo(ctx context.Context, plan noun.Planner, row noun.Row) error {
	var err error
	switch m.verb {
	case "set", "move":
		return m.applySet(ctx, plan, row, m.values.Clone())
	case "delete":
		if m.noun.Guard != nil {
			if err := m.noun.Guard(ctx, plan, row); err != nil {
				return err
			}
		}
		return plan.Delete(ctx, row)
	case "enable":
		_, err = noun.Enable(ctx, plan, row, m.reason)
	case "disable":
		_, err = noun.Disable(ctx, plan, row, m.reason)
	default:
		return m.applyOwn(ctx, plan, row)
	}
	return err
}

func (m *mutation) applyAdd(ctx context.Context, plan noun.Planner, values noun.Values) error {
	if values == nil {
		values = noun.Values{}
	}
	row := noun.Row{Noun: m.noun.Name, Values: values}
	if err := m.checkSecrets(ctx, plan, row); err != nil {
		return err
	}
	for _, secret := range m.secrets {
		values[secret.field.Name] = secret.stored
	}
	_, err := plan.Add(ctx, m.noun.Name, values)
	return err
}

func (m *mutation) applySet(ctx context.Context, plan noun.Planner, row noun.Row, values noun.Values) error {
	if values == nil {
		values = noun.Values{}
	}
	if err := m.checkSecrets(ctx, plan, row); err != nil {
		return err
	}
	for _, secret := range m.secrets {
		values[secret.field.Name] = secret.stored
	}
	for _, e := range m.extend {
		list, had := values[e.field].([]string)
		if !had {
			list = slices.Clone(row.List(e.field))
		}
		if e.mode == extends {
			for _, element := range e.list {
				if !slices.Contains(list, element) {
					list = append(list, element)
				}
			}
		} else {
			list = slices.DeleteFunc(list, func(element string) bool { return slices.Contains(e.list, element) })
		}
		values[e.field] = list
	}
	_, err := plan.Set(ctx, row, values)
	return err
}

// applyEnsure adds the object, or sets what differs. A generated secret is for
// a new object only: ensuring twice must change nothing.
func (m *mutation) applyEnsure(ctx context.Context, plan noun.Planner) error {
	row, err := plan.Find(ctx, m.noun.Name, m.names[0])
	if fault.Is(err, fault.NotFound) {
		if err := m.lacks(m.missing()); err != nil {
			return err
		}
		return m.applyAdd(ctx, plan, m.values.Clone())
	} else if err != nil {
		return err
	}
	values := m.values.Clone()
	delete(values, m.noun.Key)
	for _, field := range m.noun.Fields {
		value, given := values[field.Name]
		if !given || !field.Immutable && !field.Placement {
			continue
		}
		if field.Reference != "" && value != nil {
			referenced, err := plan.Find(ctx, field.Reference, value.(string))
			if err != nil {
				return err
			}
			value = referenced.ID
		}
		if !noun.EqualValue(value, row.Values[field.Name]) {
			conflict := fault.New(fault.Conflict, "%s %s exists with another %s, which cannot be changed", m.noun.Name, m.names[0], field.Flag())
			if field.Placement {
				conflict = fault.New(fault.Conflict, "%s %s exists, and is placed elsewhere", m.noun.Name, m.names[0]).
					WithHint("orchestra %s move %s --on %s", m.noun.Name, m.names[0], m.values[field.Name])
			}
			return conflict.About(m.noun.Name + "." + field.Name)
		}
		delete(values, field.Name)
	}
	kept := *m
	kept.secrets = nil
	for _, secret := range m.secrets {
		if !secret.generated && !secret.holds(row) {
			kept.secrets = append(kept.secrets, secret)
		}
	}
	return kept.applySet(ctx, plan, row, values)
}

// holds tells whether the row's secret is this one already.
func (s *secretValue) holds(row noun.Row) bool {
	stored := row.Text(s.field.Name)
	if s.plain != "" && s.field.Secret.Matches != nil {
		return s.field.Secret.Matches(stored, s.plain)
	}
	return s.stored == stored
}

func (m *mutation) applyOwn(ctx context.Context, plan noun.Planner, row noun.Row) error {
	options := m.values.Clone()
	if options == nil {
		options = noun.Values{}
	}
	if err := m.checkSecrets(ctx, plan, row); err != nil {
		return err
	}
	for _, secret := range m.secrets {
		options[secret.field.Name] = secret.stored
	}
	return m.own.Plan(ctx, plan, row, options)
}

// checkSecrets runs the policy on clear texts.
func (m *mutation) checkSecrets(ctx context.Context, plan noun.Planner, row noun.Row) error {
	for _, secret := range m.secrets {
		if secret.plain == "" || secret.field.Secret.Check == nil {
			continue
		}
		if err := secret.field.Secret.Check(ctx, plan, row, secret.plain); err != nil {
			return aboutField(err, m.noun.Name+"."+secret.field.Name)
		}
	}
	return nil
}

// located says which line of a batch an error is about.
func (m *mutation) located(err error) error {
	if m.line == 0 {
		return err
	}
	return atLine(m.line, m.noun.Name+" "+m.verb, err)
}

// atLine says which line an error is about: in the sentence itself, for those
// who read nothing but that.
func atLine(line int, command string, err error) error {
	located := fault.New(fault.KindOf(err), "line %d (%s)", line, command).Because(err)
	if e, is := err.(*fault.Error); is { //nolint:errorlint // only the outermost one has a text to translate
		located = fault.New(e.Kind, "line %d (%s): %s", line, command, e.Text).Because(e.Cause)
		located.Hint = e.Hint
	}
	located.Field = fieldOf(err)
	return located
}

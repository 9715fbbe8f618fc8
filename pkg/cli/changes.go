package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/output"
	"orchestra/pkg/store"
)

// shownChange is a change as people and programs are shown it: references by
// name, secrets as words, only what differs.
type shownChange struct {
	Noun   string        `json:"noun"`
	Name   string        `json:"name"`
	Action string        `json:"action"` // add, set or delete
	Before output.Record `json:"before,omitempty"`
	After  output.Record `json:"after,omitempty"`
}

// What is shown for a secret.
const (
	secretShown   = "(secret)"
	secretChanged = "(secret, changed)"
)

// nameOf finds the names of referenced objects.
type nameOf map[string]map[int64]string

// showChanges prepares changes for showing. Names are looked up in as many
// statements as there are nouns.
func (a *app) showChanges(ctx context.Context, changes []noun.Change) ([]shownChange, error) {
	names := nameOf{}
	missing := map[string]map[int64]bool{}
	for _, change := range changes {
		names.put(change.Noun, change.ID, change.Name)
	}
	for _, change := range changes {
		for _, values := range []noun.Values{change.Before, change.After} {
			a.references(change.Noun, values, func(referenced string, id int64) {
				if names[referenced][id] == "" {
					if missing[referenced] == nil {
						missing[referenced] = map[int64]bool{}
					}
					missing[referenced][id] = true
				}
			})
		}
	}
	if len(missing) > 0 {
		if err := a.view(ctx, func(tx *store.Tx) error { return a.findNames(ctx, tx, missing, names) }); err != nil {
			return nil, err
		}
	}
	shown := make([]shownChange, 0, len(changes))
	for _, change := range changes {
		shown = append(shown, a.showChange(change, names))
	}
	return shown, nil
}

func (n nameOf) put(noun string, id int64, name string) {
	if n[noun] == nil {
		n[noun] = map[int64]string{}
	}
	n[noun][id] = name
}

func (a *app) references(name string, values noun.Values, found func(string, int64)) {
	n := a.registry.Noun(name)
	if n == nil {
		return
	}
	for _, field := range n.Fields {
		if id, is := values[field.Name].(int64); is && field.Reference != "" && id != 0 {
			found(field.Reference, id)
		}
	}
}

func (a *app) findNames(ctx context.Context, view noun.View, missing map[string]map[int64]bool, names nameOf) error {
	for referenced, ids := range missing {
		n := a.registry.Noun(referenced)
		values := make([]any, 0, len(ids))
		for id := range ids {
			values = append(values, id)
		}
		rows, err := view.Select(ctx, referenced, noun.Where("id", values...))
		if err != nil {
			return err
		}
		for _, row := range rows {
			names.put(referenced, row.ID, row.Text(n.Key))
		}
	}
	return nil
}

func (a *app) showChange(change noun.Change, names nameOf) shownChange {
	shown := shownChange{Noun: change.Noun, Name: change.Name, Action: "set"}
	switch {
	case change.Before == nil:
		shown.Action = "add"
	case change.After == nil:
		shown.Action = "delete"
	}
	n := a.registry.Noun(change.Noun)
	if n == nil {
		return shown
	}
	for _, field := range n.AllFields() {
		if !field.Stored() {
			continue
		}
		before, after := change.Before[field.Name], change.After[field.Name]
		if noun.EqualValue(before, after) {
			continue
		}
		if change.Before != nil && !isEmpty(before) || shown.Action == "set" {
			shown.Before = append(shown.Before, output.Member{Name: field.Name, Value: shownValue(field, before, names, false)})
		}
		if change.After != nil && !isEmpty(after) || shown.Action == "set" {
			shown.After = append(shown.After, output.Member{Name: field.Name, Value: shownValue(field, after, names, shown.Action == "set")})
		}
	}
	return shown
}

func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []string:
		return len(v) == 0
	}
	return false
}

func shownValue(field noun.Field, value any, names nameOf, changed bool) any {
	switch {
	case isEmpty(value) && field.Holds() == noun.HoldsList:
		return []string{}
	case isEmpty(value):
		return nil
	case field.Secret != nil && changed:
		return secretChanged
	case field.Secret != nil:
		return secretShown
	case field.Reference != "":
		id, _ := value.(int64)
		if name := names[field.Reference][id]; name != "" {
			return name
		}
		return fmt.Sprintf("#%d", id)
	}
	return value
}

// writeChanges writes changes for people who decide about them: what comes, what
// goes, what differs, with long values cut.
func (a *app) writeChanges(out io.Writer, paint output.Painter, changes []shownChange) {
	for _, change := range changes {
		a.writeChange(out, paint, change, func(value any) string { return output.Cut(lineValue(value), longestValue) })
	}
}

// writeAllChanges writes changes for people who look at what happened: with what
// went, and nothing cut.
func (a *app) writeAllChanges(out io.Writer, paint output.Painter, changes []shownChange) {
	for _, change := range changes {
		a.writeChange(out, paint, change, lineValue)
		if change.Action == "delete" {
			a.writeMembers(out, change.Before, func(i int) string { return lineValue(change.Before[i].Value) })
		}
	}
}

// longestValue is where a value is cut that one need not see whole.
const longestValue = 200

func (a *app) writeChange(out io.Writer, paint output.Painter, change shownChange, text func(any) string) {
	title := output.Escape(change.Noun + " " + change.Name)
	switch change.Action {
	case "add":
		_, _ = fmt.Fprintln(out, paint.Green("+ "+title))
	case "delete":
		_, _ = fmt.Fprintln(out, paint.Red("- "+title))
		return
	default:
		_, _ = fmt.Fprintln(out, paint.Yellow("~ "+title))
	}
	a.writeMembers(out, change.After, func(i int) string {
		value := text(change.After[i].Value)
		if change.Action == "set" {
			value = text(change.Before[i].Value) + " → " + value
		}
		return value
	})
}

// writeMembers writes the fields of a change, a line each, wrapped on a terminal.
func (a *app) writeMembers(out io.Writer, members output.Record, value func(int) string) {
	longest := 0
	for _, member := range members {
		longest = max(longest, output.Width(member.Name))
	}
	for i, member := range members {
		lines := []string{value(i)}
		if width := a.process.Streams.WidthOr(0); width > 0 {
			lines = output.Wrap(lines[0], width-longest-6)
		}
		name := member.Name
		for _, line := range lines {
			_, _ = fmt.Fprintf(out, "    %-*s  %s\n", longest, name, line)
			name = ""
		}
	}
}

// lineValue returns a value on one line.
func lineValue(value any) string {
	if isEmpty(value) {
		return "-"
	}
	text := fmt.Sprint(value)
	switch v := value.(type) {
	case []string:
		text = strings.Join(v, ", ")
	case bool:
		text = "no"
		if v {
			text = "yes"
		}
	}
	return output.Escape(text)
}

// changeTable is the tabular form of changes: for csv a line a field, for name
// a line an object.
func changeTable(changes []shownChange, format output.Format) *output.Table {
	if format == output.FormatName {
		table := &output.Table{Key: "name", Columns: []output.Column{{Name: "name"}}}
		for _, change := range changes {
			table.Rows = append(table.Rows, []any{change.Name})
		}
		return table
	}
	table := &output.Table{Key: "name", Columns: []output.Column{
		{Name: "noun", Listed: true}, {Name: "name", Listed: true}, {Name: "action", Listed: true},
		{Name: "field", Listed: true}, {Name: "before", Listed: true}, {Name: "after", Listed: true},
	}}
	for _, change := range changes {
		fields := map[string][2]any{}
		var order []string
		for side, record := range []output.Record{change.Before, change.After} {
			for _, member := range record {
				values, known := fields[member.Name]
				if !known {
					order = append(order, member.Name)
				}
				values[side] = member.Value
				fields[member.Name] = values
			}
		}
		for _, field := range order {
			table.Rows = append(table.Rows, []any{change.Noun, change.Name, change.Action, field, fields[field][0], fields[field][1]})
		}
	}
	return table
}

// summary says in a few words what changed: "added user ana", "added 12 users".
func (a *app) summary(changes []shownChange) []message.Text {
	const most = 4
	type kind struct{ action, noun string }
	var order []kind
	names := map[kind][]string{}
	for _, change := range changes {
		k := kind{change.Action, change.Noun}
		if names[k] == nil {
			order = append(order, k)
		}
		names[k] = append(names[k], change.Name)
	}
	var lines []message.Text
	for _, k := range order {
		found := names[k]
		n := a.registry.Noun(k.noun)
		what := k.noun + " " + strings.Join(found, ", ")
		if len(found) > most && n != nil {
			what = fmt.Sprintf("%d %s", len(found), n.Plural)
		}
		switch k.action {
		case "add":
			lines = append(lines, message.New("Added %s", what))
		case "delete":
			lines = append(lines, message.New("Deleted %s", what))
		default:
			lines = append(lines, message.New("Changed %s", what))
		}
	}
	return lines
}

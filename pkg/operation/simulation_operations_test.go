package operation

import (
	"context"
	"fmt"
	"strings"

	"orchestra/pkg/noun"
)

// simOperation is one command: what it does to the database, and to the model.
type simOperation struct {
	text   string
	mutate func(context.Context, noun.Planner) error
	// apply does it to the model, and tells whether it can be done there.
	apply func(*simModel) bool
	// alone says that nothing runs beside it.
	alone bool
	// run, where set, is what is done instead of running mutate.
	run func(context.Context, *simWorld, *simPanel) (*Outcome, error)
	// around says that it is about servers and routes, or converges them.
	around bool
}

// simVerb is how a command is made of the words that follow its first.
type simVerb struct {
	words int
	make  func(a []string) simOperation
}

// simVerbs are the commands of stories, by their first word.
func simVerbs() map[string]simVerb {
	return map[string]simVerb{
		"account":       {1, func(a []string) simOperation { return simAccount(a[0]) }},
		"add":           {3, func(a []string) simOperation { return simAdd(a[0], a[1], a[2]) }},
		"set":           {2, func(a []string) simOperation { return simSet(a[0], "value", a[1]) }},
		"password":      {2, func(a []string) simOperation { return simSet(a[0], "password", a[1]) }},
		"delete":        {1, func(a []string) simOperation { return simDelete(a[0]) }},
		"label":         {2, func(a []string) simOperation { return simLabel(a[0], a[1]) }},
		"enable":        {1, func(a []string) simOperation { return simEnable(a[0], true) }},
		"disable":       {1, func(a []string) simOperation { return simEnable(a[0], false) }},
		"server-add":    {1, func(a []string) simOperation { return simServerAdd(a[0]) }},
		"server-delete": {1, func(a []string) simOperation { return simServerDelete(a[0]) }},
		"route-add":     {3, func(a []string) simOperation { return simRouteAdd(a[0], simRoute{server: a[1], match: star(a[2])}) }},
		"route-queue": {3, func(a []string) simOperation {
			return simRouteAdd(a[0], simRoute{server: a[1], match: star(a[2]), queue: true})
		}},
		"route-after":  {3, func(a []string) simOperation { return simRouteAdd(a[0], simRoute{server: a[1], after: a[2]}) }},
		"route-match":  {2, func(a []string) simOperation { return simRouteMatch(a[0], star(a[1])) }},
		"route-delete": {1, func(a []string) simOperation { return simRouteDelete(a[0]) }},
		"adopt":        {1, func(a []string) simOperation { return simAdopt(a[0]) }},
		"stranger":     {0, func([]string) simOperation { return simStranger() }},
		"backup":       {0, func([]string) simOperation { return simBackup() }},
		"restore":      {0, func([]string) simOperation { return simRestore() }},
	}
}

// star returns the match of a route: * is everything.
func star(text string) string { return strings.Trim(text, "*") }

// parseOperation reads a command; & does two as one operation.
func parseOperation(text string) (simOperation, error) {
	var whole simOperation
	for i, part := range strings.Split(text, " & ") {
		words := strings.Fields(part)
		if len(words) == 0 {
			return whole, fmt.Errorf("an empty command")
		}
		verb, known := simVerbs()[words[0]]
		if !known || len(words)-1 != verb.words {
			return whole, fmt.Errorf("no command is %q", part)
		}
		one := verb.make(words[1:])
		if i == 0 {
			whole = one
		} else {
			whole = both(whole, one)
		}
	}
	whole.text = text
	return whole, nil
}

// both does two operations as one.
func both(a, b simOperation) simOperation {
	return simOperation{
		mutate: func(ctx context.Context, plan noun.Planner) error {
			if err := a.mutate(ctx, plan); err != nil {
				return err
			}
			return b.mutate(ctx, plan)
		},
		apply:  func(m *simModel) bool { return a.apply(m) && b.apply(m) },
		around: a.around || b.around,
	}
}

func simAccount(name string) simOperation {
	return simOperation{mutate: addAccount(name), apply: func(m *simModel) bool {
		_, is := m.labels[name]
		m.labels[name] = ""
		return !is
	}}
}

func simAdd(name, account, value string) simOperation {
	return simOperation{mutate: addItem(name, account, value), apply: func(m *simModel) bool {
		_, is := m.items[name]
		_, has := m.labels[account]
		m.items[name] = simItem{account: account, value: value}
		return !is && has
	}}
}

func simSet(name, field, value string) simOperation {
	return simOperation{mutate: setItem(name, field, value), apply: func(m *simModel) bool {
		item, is := m.items[name]
		if field == "value" {
			item.value = value
		} else {
			item.password = value
		}
		if is {
			m.items[name] = item
		}
		return is
	}}
}

func simDelete(name string) simOperation {
	return simOperation{mutate: deleteItem(name), apply: func(m *simModel) bool {
		_, is := m.items[name]
		delete(m.items, name)
		return is
	}}
}

func simLabel(account, label string) simOperation {
	return simOperation{mutate: setRow("account", account, noun.Values{"label": label}), apply: func(m *simModel) bool {
		_, is := m.labels[account]
		m.labels[account] = label
		return is
	}}
}

// setRow sets fields of an object.
func setRow(name, key string, values noun.Values) func(context.Context, noun.Planner) error {
	return func(ctx context.Context, plan noun.Planner) error {
		row, err := plan.Find(ctx, name, key)
		if err != nil {
			return err
		}
		_, err = plan.Set(ctx, row, values)
		return err
	}
}

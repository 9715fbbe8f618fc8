package accounts

import (
	"context"
	"slices"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

func servicesVerb() noun.Verb {
	return noun.Verb{
		Name:    "services",
		Help:    "List all that an account has",
		Long:    "Lists the objects of every noun that is a service, whatever they are, with whether they are active.",
		Example: "orchestra account services acme",
		Show:    showServices,
	}
}

func showServices(ctx context.Context, view noun.View, account noun.Row, _ noun.Values) (noun.Table, error) {
	table := noun.Table{Columns: []string{"noun", "name", "active"}}
	all, err := servicesOf(ctx, view, account)
	if err != nil {
		return noun.Table{}, err
	}
	for _, one := range all {
		for _, row := range one.rows {
			table.Rows = append(table.Rows, noun.Values{
				"noun": one.noun.Name, "name": row.Text(one.noun.Key), "active": noun.Active(row, &account),
			})
		}
	}
	return table, nil
}

// service is what an account has of one noun.
type service struct {
	noun *noun.Noun
	rows []noun.Row
}

// servicesOf returns the objects of all nouns that are services and lead to the
// account by their owners, in the order of registration: one question a noun.
func servicesOf(ctx context.Context, view noun.View, account noun.Row) ([]service, error) {
	byNoun := map[string][]noun.Row{accountName: {account}}
	var all []service
	for _, n := range view.Nouns() {
		if n.Kind != noun.Service || n.Owner == "" {
			continue
		}
		rows, err := owned(ctx, view, n, byNoun)
		if err != nil {
			return nil, err
		}
		all = append(all, service{noun: n, rows: rows})
	}
	return all, nil
}

// owned returns the objects of n that lead to the objects found so far. An
// owner is registered before what it owns, or found here first.
func owned(ctx context.Context, view noun.View, n *noun.Noun, found map[string][]noun.Row) ([]noun.Row, error) {
	if rows, done := found[n.Name]; done {
		return rows, nil
	}
	field, _ := n.Field(n.Owner)
	owner := view.Noun(field.Reference)
	owners, err := owned(ctx, view, owner, found)
	if err != nil {
		return nil, err
	}
	ids := make([]any, len(owners))
	for i, row := range owners {
		ids[i] = row.ID
	}
	var rows []noun.Row
	if len(ids) > 0 {
		if rows, err = view.Select(ctx, n.Name, noun.Where(n.Owner, ids...)); err != nil {
			return nil, err
		}
	}
	found[n.Name] = rows
	return rows, nil
}

func closeVerb() noun.Verb {
	return noun.Verb{
		Name: "close",
		Help: "End an account: delete its services, keep its name and history",
		Long: "Deletes all services of the account and disables it with the reason closed. Its contacts, its name and its " +
			"history stay. What the services held on servers goes to their trash. Taking the reason off opens it again, without services.",
		Example:     "orchestra account close acme --yes",
		Destructive: true,
		Plan:        planClose,
	}
}

func planClose(ctx context.Context, plan noun.Planner, account noun.Row, _ noun.Values) error {
	if isClosed(account) {
		return fault.New(fault.Conflict, "account %s is closed already", account.Text("name"))
	}
	all, err := servicesOf(ctx, plan, account)
	if err != nil {
		return err
	}
	// Those that refer to others go first.
	for _, one := range referrersFirst(all) {
		// The main user goes first: that tells the others that all do.
		slices.SortStableFunc(one.rows, func(a, b noun.Row) int { return compare(b.Bool("main"), a.Bool("main")) })
		for _, row := range one.rows {
			if _, err := plan.Get(ctx, row.Noun, row.ID); fault.Is(err, fault.NotFound) {
				continue // went with another one
			} else if err != nil {
				return err
			}
			if err := plan.Delete(ctx, row); err != nil {
				return err
			}
		}
	}
	_, err = noun.Disable(ctx, plan, account, closedReason)
	return err
}

// compare orders false before true.
func compare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// referrersFirst orders services so that a noun comes before those it refers to.
// Nouns that refer to each other in a circle stay as they were registered.
func referrersFirst(all []service) []service {
	ordered := make([]service, 0, len(all))
	state := map[string]int{} // 1: on the way, 2: done
	byName := map[string]service{}
	for _, one := range all {
		byName[one.noun.Name] = one
	}
	var visit func(one service)
	visit = func(one service) {
		if state[one.noun.Name] != 0 {
			return
		}
		state[one.noun.Name] = 1
		for _, other := range all {
			for _, field := range other.noun.Fields {
				if field.Reference == one.noun.Name && other.noun.Name != one.noun.Name {
					visit(byName[other.noun.Name])
				}
			}
		}
		state[one.noun.Name] = 2
		ordered = append(ordered, one)
	}
	for _, one := range all {
		visit(one)
	}
	return ordered
}

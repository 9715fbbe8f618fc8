package accounts

import (
	"context"
	"slices"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/value"
)

// settlePlacements refuses a plan that leaves a user on a server where somebody
// is missing whom it needs. It judges the end, so that users who need each
// other are moved together in any order.
func settlePlacements(ctx context.Context, plan noun.Planner, changed []noun.Row) error {
	var accounts []any
	for _, user := range changed {
		if id := any(user.Int("account")); !slices.Contains(accounts, id) {
			accounts = append(accounts, id)
		}
	}
	if placed, err := anyPlaced(ctx, plan, accounts); err != nil || !placed {
		return err
	}
	users, err := plan.Select(ctx, userName, noun.Where("account", accounts...))
	if err != nil {
		return err
	}
	mains, named := map[int64]noun.Row{}, map[string]noun.Row{}
	for _, user := range users {
		named[user.Text("name")] = user
		if user.Bool("main") {
			mains[user.Int("account")] = user
		}
	}
	for _, user := range users {
		for _, other := range needed(user, mains[user.Int("account")], named) {
			if server := other.Int("server"); server != 0 && server != user.Int("server") {
				return needsThere(ctx, plan, user, other)
			}
		}
	}
	return nil
}

// anyPlaced tells whether a user of the accounts is placed anywhere.
func anyPlaced(ctx context.Context, view noun.View, accounts []any) (bool, error) {
	servers, err := view.Select(ctx, serverName)
	if err != nil || len(servers) == 0 || len(accounts) == 0 {
		return false, err
	}
	ids := make([]any, len(servers))
	for i, server := range servers {
		ids[i] = server.ID
	}
	placed, err := view.Select(ctx, userName, noun.Where("account", accounts...), noun.Where("server", ids...))
	return len(placed) > 0, err
}

// needed returns the users without whom user can't be on a server: those in
// whose groups it is, and the main user where its home is inside of that one's.
func needed(user, main noun.Row, named map[string]noun.Row) []noun.Row {
	var all []noun.Row
	for _, group := range user.List("group") {
		if other, is := named[group]; is {
			all = append(all, other)
		}
	}
	home, theirs := user.Text("home"), main.Text("home")
	if main.ID != user.ID && main.ID != 0 && (home == theirs || value.Within(home, theirs)) {
		all = append(all, main)
	}
	return all
}

func needsThere(ctx context.Context, view noun.View, user, other noun.Row) error {
	server, err := view.Get(ctx, serverName, other.Int("server"))
	if err != nil {
		return err
	}
	return fault.New(fault.Conflict, "user %s needs user %s, which would be on server %s alone", user.Text("name"), other.Text("name"), server.Text("name")).
		About("user.server").WithHint("place both there: orchestra user move %s %s --on %s", user.Text("name"), other.Text("name"), server.Text("name"))
}

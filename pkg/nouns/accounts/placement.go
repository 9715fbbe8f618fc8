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
	of := map[int64][]noun.Row{}
	for _, user := range users {
		of[user.Int("account")] = append(of[user.Int("account")], user)
	}
	for _, family := range of {
		for _, other := range family {
			if other.Int("server") == 0 {
				continue
			}
			for _, user := range family {
				if user.ID != other.ID && user.Int("server") != other.Int("server") && needs(user, other) {
					return needsThere(ctx, plan, user, other)
				}
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

// needs tells whether user can't be on a server without other: it is in the
// group of that one, or has its home inside of the main user's.
func needs(user, other noun.Row) bool {
	home, theirs := user.Text("home"), other.Text("home")
	return slices.Contains(user.List("group"), other.Text("name")) ||
		other.Bool("main") && (home == theirs || value.Within(home, theirs))
}

func needsThere(ctx context.Context, view noun.View, user, other noun.Row) error {
	server, err := view.Get(ctx, serverName, other.Int("server"))
	if err != nil {
		return err
	}
	return fault.New(fault.Conflict, "user %s needs user %s, which would be on server %s alone", user.Text("name"), other.Text("name"), server.Text("name")).
		About("user.server").WithHint("place both there: orchestra user move %s %s --on %s", user.Text("name"), other.Text("name"), server.Text("name"))
}

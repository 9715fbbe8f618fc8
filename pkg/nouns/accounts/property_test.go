package accounts_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"orchestra/pkg/noun"
	"orchestra/pkg/nouns/nountest"
)

// Whatever is done, in whatever order, and whatever of it is refused: the
// promises about accounts and users hold.
func TestAnyHistoryKeepsThePromises(t *testing.T) {
	p := newPanel(t, nil)
	given := map[int64]string{} // numbers ever seen, and whose they are
	rapid.Check(t, func(r *rapid.T) {
		for _, account := range selected(p, "account") { // a clean panel, with its counters as they are
			p.Run(nountest.Delete("account", account.Text("name")))
		}
		names := rapid.SampledFrom([]string{"ana", "bob", "carl", "dora", "eve"})
		accountOf := rapid.SampledFrom([]string{"ana", "bob", "carl"})
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			name, account := names.Draw(r, "name"), accountOf.Draw(r, "account")
			var mutate func(context.Context, noun.Planner) error
			switch rapid.IntRange(0, 8).Draw(r, "what") {
			case 0, 1:
				mutate = nountest.Add("account", noun.Values{"name": account})
			case 2:
				mutate = nountest.Add("user", noun.Values{"name": name, "account": account})
			case 3:
				mutate = nountest.Add("user", noun.Values{"name": name, "account": account, "group": []string{names.Draw(r, "group")},
					"home": "/home/" + account + rapid.SampledFrom([]string{"", "/x", "/" + name}).Draw(r, "home")})
			case 4:
				mutate = nountest.Delete("user", name)
			case 5:
				mutate = nountest.Set("user", name, noun.Values{"account": account})
			case 6:
				mutate = nountest.Set("user", name, noun.Values{"group": []string{names.Draw(r, "group")}})
			case 7:
				mutate = nountest.Verb("account", "close", account, nil)
			case 8:
				mutate = nountest.Delete("account", account)
			}
			p.Try(mutate) //nolint:errcheck // many are refused: what counts is what holds afterwards
			holdPromises(r, p, given)
		}
	})
}

func selected(p *nountest.Panel, name string) (rows []noun.Row) {
	p.View(func(ctx context.Context, view noun.View) (err error) {
		rows, err = view.Select(ctx, name)
		return err
	})
	return rows
}

func holdPromises(t *rapid.T, p *nountest.Panel, given map[int64]string) {
	accounts := map[int64]noun.Row{}
	for _, account := range selected(p, "account") {
		accounts[account.ID] = account
	}
	users := selected(p, "user")
	byName, mains := map[string]noun.Row{}, map[int64]int{}
	for _, user := range users {
		byName[user.Text("name")] = user
	}
	for _, user := range users {
		name, account := user.Text("name"), accounts[user.Int("account")]
		if whose := fmt.Sprint(user.ID, name); given[user.Int("uid")] != "" && given[user.Int("uid")] != whose {
			t.Fatalf("number %d was %s's and is %s's", user.Int("uid"), given[user.Int("uid")], whose)
		} else {
			given[user.Int("uid")] = whose
		}
		if account.ID == 0 {
			t.Fatalf("user %s belongs to no account", name)
		}
		if user.Bool("main") {
			mains[account.ID]++
		}
		if user.Bool("main") != (name == account.Text("name")) {
			t.Fatalf("user %s of account %s: main is %v", name, account.Text("name"), user.Bool("main"))
		}
		for _, group := range user.List("group") {
			if group == name || byName[group].Int("account") != account.ID {
				t.Fatalf("user %s of account %s is in the group %s", name, account.Text("name"), group)
			}
		}
		main := "/home/" + account.Text("name")
		if home := user.Text("home"); home != "/home/"+name && home != main && home != main+"/x" && home != main+"/"+name {
			t.Fatalf("user %s of account %s lives at %s", name, account.Text("name"), home)
		}
	}
	for id, account := range accounts {
		closed := slices.Contains(account.List("disabled"), "closed")
		if wanted := map[bool]int{true: 0, false: 1}[closed]; mains[id] != wanted {
			t.Fatalf("account %s, closed %v, has %d main users", account.Text("name"), closed, mains[id])
		}
	}
}

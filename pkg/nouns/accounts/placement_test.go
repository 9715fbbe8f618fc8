package accounts_test

import (
	"context"
	"strings"
	"testing"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/nouns/nountest"
)

func TestWhoNeedsAnotherIsNotPlacedWithoutIt(t *testing.T) {
	p := newPanel(t, nil)
	for _, name := range []string{"h11", "h12"} {
		p.Run(nountest.Add("server", noun.Values{"name": name, "address": name + ".example", "host_key": []string{aKey}}))
	}
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("user", noun.Values{"name": "team", "account": "acme", "server": "h11"}))
	err := p.Refused(fault.Conflict, nountest.Add("user", noun.Values{"name": "ana", "account": "acme", "group": []string{"team"}}))
	if !strings.Contains(err.Error(), "user.server") || !strings.Contains(err.Error(), "h11") {
		t.Errorf("the refusal names neither the field nor the server: %v", err)
	}
	p.Run(nountest.Add("user", noun.Values{"name": "ana", "account": "acme", "server": "h11", "group": []string{"team"}}))
	p.Refused(fault.Conflict, nountest.Set("user", "team", noun.Values{"server": "h12"}))
	// In one operation, whichever comes first.
	p.Run(func(ctx context.Context, plan noun.Planner) error {
		if err := nountest.Set("user", "team", noun.Values{"server": "h12"})(ctx, plan); err != nil {
			return err
		}
		return nountest.Set("user", "ana", noun.Values{"server": "h12"})(ctx, plan)
	})
	// A home inside of the main user's is where that one is.
	p.Run(nountest.Add("user", noun.Values{"name": "site", "account": "acme", "home": "/home/acme/site"}))
	p.Refused(fault.Conflict, nountest.Set("user", "acme", noun.Values{"server": "h12"}))
	p.Refused(fault.Conflict, nountest.Delete("server", "h12"))
}

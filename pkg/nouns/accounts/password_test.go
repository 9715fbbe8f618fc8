package accounts_test

import (
	"context"
	"strings"
	"testing"

	"orchestra/pkg/noun"
	"orchestra/pkg/nouns/nountest"
)

func TestPasswordPolicyKnowsTheOwner(t *testing.T) {
	p := newPanel(t, nil)
	p.Run(nountest.Add("account", noun.Values{"name": "acme", "full_name": "Acme Industries", "email": "office@acme.example"}))
	p.Run(nountest.Add("user", noun.Values{"name": "acme-web-1", "account": "acme"}))
	p.View(func(ctx context.Context, view noun.View) error {
		row, err := view.Find(ctx, "user", "acme-web-1")
		if err != nil {
			return err
		}
		field, _ := view.Noun("user").Field("password")
		for plain, accepted := range map[string]bool{
			"correct horse battery staple": true, "acme-web-1": false, "ACME-WEB-1": false, "acme industries": false,
			"office@acme.example": false, "acme-web-12026!": false, "short": false, "password123": false,
		} {
			err := field.Secret.Check(ctx, view, row, plain)
			if (err == nil) != accepted {
				t.Errorf("%q: %v", plain, err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "user.password: ") {
				t.Errorf("the refusal does not name the field: %v", err)
			}
		}
		return nil
	})
	hash := "$6$saltsalt$" + strings.Repeat("a", 86)
	p.Run(nountest.Set("user", "acme", noun.Values{"password": hash}))
	if got := facts(p, "acme")["password"]; got != noun.Confidential(hash) {
		t.Errorf("the hash in the facts is %v", got)
	}
}

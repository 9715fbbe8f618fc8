package accounts_test

import (
	"context"
	"strings"
	"testing"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/nouns/nountest"
	"orchestra/pkg/settings"
)

func emergency(name, email string) noun.Values {
	return noun.Values{"name": name, "account": "acme", "email": email, "email_usage": []string{"emergency"}}
}

func TestAnEmergencyEmailIsElsewhere(t *testing.T) {
	p := newPanel(t, nil)
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("server", noun.Values{"name": "mx1", "address": "mx1.hosting.example", "host_key": []string{aKey}}))
	for _, email := range []string{"ana@mx1.hosting.example", "ana@sub.mx1.hosting.example"} {
		if err := p.Refused(fault.Invalid, nountest.Add("contact", emergency("ana", email))); !strings.Contains(err.Error(), "contact.email") {
			t.Errorf("the refusal does not name the field: %v", err)
		}
	}
	p.Refused(fault.Invalid, nountest.Add("contact", noun.Values{"name": "ana", "account": "acme", "email_usage": []string{"emergency"}}))
	p.Run(nountest.Add("contact", emergency("ana", "ana@elsewhere.example")))
	p.Run(nountest.Add("contact", noun.Values{"name": "office", "account": "acme", "email": "x@mx1.hosting.example", "email_usage": []string{"billing"}}))
	p.Refused(fault.Invalid, nountest.Set("contact", "office", noun.Values{"email_usage": []string{"billing", "emergency"}}))
}

func TestTheEmergencyContactIsWarnedAboutOrRequired(t *testing.T) {
	p := newPanel(t, func(s *settings.Settings) { s.EmergencyContact = "warn" })
	if outcome := p.Run(nountest.Add("account", noun.Values{"name": "acme"})); len(outcome.Warnings) != 1 {
		t.Errorf("warnings: %v", outcome.Warnings)
	}
	if outcome := p.Run(nountest.Add("contact", emergency("ana", "ana@elsewhere.example"))); len(outcome.Warnings) != 0 {
		t.Errorf("warnings: %v", outcome.Warnings)
	}
	if outcome := p.Run(nountest.Set("contact", "ana", noun.Values{"email_usage": []string{"billing"}})); len(outcome.Warnings) != 1 {
		t.Errorf("warnings: %v", outcome.Warnings)
	}

	p.Settings.EmergencyContact = "require"
	p.Refused(fault.Conflict, nountest.Add("account", noun.Values{"name": "second"}))
	p.Run(nountest.Set("account", "acme", noun.Values{"notes": "was there before"}))
	p.Run(nountest.Set("contact", "ana", noun.Values{"email_usage": []string{"emergency"}}))
	p.Refused(fault.Conflict, nountest.Delete("contact", "ana"))
	p.Run(func(ctx context.Context, plan noun.Planner) error { // a batch
		if err := nountest.Add("account", noun.Values{"name": "second"})(ctx, plan); err != nil {
			return err
		}
		second := emergency("second-ops", "ops@elsewhere.example")
		second["account"] = "second"
		return nountest.Add("contact", second)(ctx, plan)
	})
	p.Run(nountest.Delete("account", "second"))
	p.Run(nountest.Delete("account", "acme"))
}

func TestCheckFindsAccountsWithoutEmergencyContact(t *testing.T) {
	p := newPanel(t, nil)
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("account", noun.Values{"name": "closed"}))
	p.Run(nountest.Verb("account", "close", "closed", nil))
	p.Run(nountest.Add("contact", emergency("ana", "ana@web.example")))
	p.Run(nountest.Add("account", noun.Values{"name": "lonely"}))
	p.Run(nountest.Add("server", noun.Values{"name": "h1", "address": "web.example", "host_key": []string{aKey}}))
	p.Settings.EmergencyContact = "warn"
	findings := map[string]string{}
	p.View(func(ctx context.Context, view noun.View) error {
		for _, n := range view.Nouns() {
			if n.Check == nil {
				continue
			}
			found, err := n.Check(ctx, view)
			if err != nil {
				return err
			}
			for _, one := range found {
				findings[one.Noun+" "+one.Name] = one.Text.String()
			}
		}
		return nil
	})
	if len(findings) != 2 || findings["account lonely"] == "" || findings["contact ana"] == "" {
		t.Errorf("findings are %v", findings)
	}
}

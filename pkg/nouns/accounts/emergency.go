package accounts

import (
	"context"
	"slices"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/value"
)

// Values of the setting emergency_contact.
const (
	emergencyWarn    = "warn"
	emergencyRequire = "require"
)

// hostedBy returns the domain or the server, of those administered here, that
// mail for domain depends on; "" where there is none.
func hostedBy(ctx context.Context, view noun.View, domain string) (string, error) {
	candidates := parents(domain)
	for _, place := range []struct{ noun, field string }{
		{"domain", "name"}, {"server", "address"}, {"server", "name"},
	} {
		if view.Noun(place.noun) == nil {
			continue
		}
		rows, err := view.Select(ctx, place.noun, noun.Where(place.field, candidates...))
		if err != nil {
			return "", err
		}
		if len(rows) > 0 {
			return rows[0].Text(place.field), nil
		}
	}
	return "", nil
}

// parents returns domain and the domains above it that have at least two labels.
func parents(domain string) []any {
	var all []any
	for strings.Contains(domain, ".") {
		all = append(all, domain)
		_, domain, _ = strings.Cut(domain, ".")
	}
	return all
}

// withoutEmergency returns those of accounts that nobody could be told about an
// emergency of, leaving out closed ones. It asks one question.
func withoutEmergency(ctx context.Context, view noun.View, accounts []noun.Row) ([]noun.Row, error) {
	ids := make([]any, len(accounts))
	for i, account := range accounts {
		ids[i] = account.ID
	}
	contacts, err := view.Select(ctx, contactName, noun.Where("account", ids...))
	if err != nil {
		return nil, err
	}
	reachable := map[int64]bool{}
	for _, contact := range contacts {
		if isEmergency(contact) {
			reachable[contact.Int("account")] = true
		}
	}
	var without []noun.Row
	for _, account := range accounts {
		if !reachable[account.ID] && !isClosed(account) {
			without = append(without, account)
		}
	}
	return without, nil
}

// settleAccounts judges, at the end of an operation, the accounts that it made:
// their contacts may have been added in the same batch.
func settleAccounts(ctx context.Context, plan noun.Planner, accounts []noun.Row) error {
	var made []noun.Row
	for _, account := range accounts {
		if account.Text(noun.CreatedField) == noun.FormatTime(plan.Now()) {
			made = append(made, account)
		}
	}
	return demandEmergency(ctx, plan, made)
}

// cascadeContact judges accounts that lose an emergency contact.
func cascadeContact(ctx context.Context, plan noun.Planner, change noun.Change) error {
	if change.Before == nil {
		return nil
	}
	was, is := noun.Row{Values: change.Before}, noun.Row{Values: change.After}
	id := was.Int("account")
	if !isEmergency(was) || isEmergency(is) && is.Int("account") == id || plan.Deleting(accountName, id) {
		return nil
	}
	account, err := plan.Get(ctx, accountName, id)
	if err != nil {
		return err
	}
	return demandEmergency(ctx, plan, []noun.Row{account})
}

// demandEmergency warns about accounts that have no emergency contact, or
// refuses that, as the settings say.
func demandEmergency(ctx context.Context, plan noun.Planner, accounts []noun.Row) error {
	policy := plan.Settings().EmergencyContact
	if len(accounts) == 0 || policy != emergencyWarn && policy != emergencyRequire {
		return nil
	}
	without, err := withoutEmergency(ctx, plan, accounts)
	if err != nil {
		return err
	}
	for _, account := range without {
		name := account.Text("name")
		if policy == emergencyRequire {
			return fault.New(fault.Conflict, "account %s would have no contact with the usage emergency, and the setting emergency_contact requires one", name).
				WithHint("in the same batch: contact add %s-emergency --account %s --email … --email-usage emergency", name, name)
		}
		plan.Warn(message.New("account %s has no contact with the usage emergency: orchestra contact add %s-emergency --account %s --email … --email-usage emergency",
			name, name, name))
	}
	return nil
}

// checkAccounts finds accounts without an emergency contact.
func checkAccounts(ctx context.Context, view noun.View) ([]noun.Finding, error) {
	policy := view.Settings().EmergencyContact
	if policy != emergencyWarn && policy != emergencyRequire {
		return nil, nil
	}
	accounts, err := view.Select(ctx, accountName)
	if err != nil {
		return nil, err
	}
	without, err := withoutEmergency(ctx, view, accounts)
	if err != nil {
		return nil, err
	}
	var findings []noun.Finding
	for _, account := range without {
		findings = append(findings, noun.Finding{
			Noun: accountName, Name: account.Text("name"),
			Text: message.New("account %s has no contact with the usage emergency", account.Text("name")),
		})
	}
	return findings, nil
}

// checkContacts finds emergency e-mails on domains that have come to be hosted
// here since they were given. It asks for all domains and servers at once.
func checkContacts(ctx context.Context, view noun.View) ([]noun.Finding, error) {
	contacts, err := view.Select(ctx, contactName)
	if err != nil {
		return nil, err
	}
	hosted := map[string]bool{}
	for _, place := range []struct{ noun, field string }{
		{"domain", "name"}, {"server", "address"}, {"server", "name"},
	} {
		if view.Noun(place.noun) == nil {
			continue
		}
		rows, err := view.Select(ctx, place.noun)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			hosted[row.Text(place.field)] = true
		}
	}
	var findings []noun.Finding
	for _, contact := range contacts {
		if !isEmergency(contact) {
			continue
		}
		if above := parents(value.EmailDomain(contact.Text("email"))); slices.ContainsFunc(above, func(domain any) bool {
			name, _ := domain.(string)
			return hosted[name]
		}) {
			findings = append(findings, noun.Finding{
				Noun: contactName, Name: contact.Text("name"),
				Text: message.New("the emergency e-mail %s is on a domain that is hosted here", contact.Text("email")),
			})
		}
	}
	return findings, nil
}

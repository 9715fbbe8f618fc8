package accounts

import (
	"context"
	"slices"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/value"
)

func accountNoun() *noun.Noun {
	return &noun.Noun{
		Name:   accountName,
		Plural: "accounts",
		Area:   "Accounts",
		Kind:   noun.Management,
		Help:   "A customer, or another owner of services",
		Long: "An account owns services and contacts. Making one makes its main user on the servers, of the same name, " +
			"in the same operation; the main user goes only with its account. Disabling stacks reasons: everything of " +
			"an account is inactive while it has one, and as it was before once the last is taken off.",
		Key:         "name",
		Owner:       "id",
		Disableable: true,
		Fields: []noun.Field{
			{Name: "name", Type: noun.Parsed{Label: "name", Canonical: value.UnixName}, Required: true, Immutable: true, Listed: true,
				Help: "What the account is called, and its main user", Example: "acme"},
			{Name: "type", Type: noun.Choice{"individual", "association", "company", "public-body", "customer", "staff", "friend"},
				Required: true, Listed: true, Default: noun.Always("individual"),
				Help: "What kind of person or body it is", Example: "company"},
			{Name: "short_name", Type: noun.Text{Max: 64},
				Help: "A short name for lists", Example: "Acme"},
			{Name: "full_name", Type: noun.Text{}, Listed: true,
				Help: "The full, legal name", Example: "Acme and Sons, S.L."},
			{Name: "email", Type: noun.Parsed{Label: "e-mail", Canonical: value.Email}, Listed: true,
				Help: "Where the owner is written to", Example: "office@example.net"},
			{Name: "language", Type: noun.Parsed{Label: "language", Canonical: value.Language}, Required: true, Default: defaultLanguage,
				Help: "The language that the owner is written to in", Example: "ca"},
			{Name: "notes", Type: noun.LongText{},
				Help: "Notes of the administrators", Example: "Pays by transfer"},
		},
		Verbs:   []noun.Verb{closeVerb(), servicesVerb()},
		Prepare: prepareAccount,
		Cascade: cascadeAccount,
		Settle:  settleAccounts,
		Check:   checkAccounts,
	}
}

func defaultLanguage(_ context.Context, view noun.View, _ noun.Row) (any, error) {
	return view.Settings().Language, nil
}

// isClosed tells whether the account was closed: nothing may be added to it.
func isClosed(account noun.Row) bool {
	return slices.Contains(account.List(noun.DisabledField), closedReason)
}

func prepareAccount(ctx context.Context, plan noun.Planner, before, after *noun.Row) error {
	if before != nil {
		return nil
	}
	name := after.Text("name")
	if err := checkFree(plan, "account.name", name); err != nil {
		return err
	}
	switch _, err := plan.Find(ctx, userName, name); {
	case err == nil:
		return fault.New(fault.Conflict, "there is a user %s already, so no account can have that name: its main user would be the same", name).
			About("account.name")
	case !fault.Is(err, fault.NotFound):
		return err
	}
	return nil
}

// checkFree refuses a name that belongs to the system.
func checkFree(view noun.View, field, name string) error {
	current := view.Settings()
	if value.Reserved(name, slices.Concat(current.Names.Reserved, current.Unix.Groups)) {
		return fault.New(fault.Invalid, "%s is a name of the system, or reserved by the settings", name).
			About(field).WithHint("choose another name, such as %s-web", name)
	}
	return nil
}

// cascadeAccount mirrors the main user when an account is made, and again when
// a closed one is opened.
func cascadeAccount(ctx context.Context, plan noun.Planner, change noun.Change) error {
	if change.After == nil {
		return nil
	}
	account := noun.Row{Noun: accountName, ID: change.ID, Values: change.After}
	made := change.Before == nil
	opened := !made && isClosed(noun.Row{Values: change.Before}) && !isClosed(account)
	if !made && !opened {
		return nil
	}
	_, err := plan.Add(ctx, userName, noun.Values{
		"name": account.Text("name"), "account": account.ID, "main": true,
	})
	return err
}

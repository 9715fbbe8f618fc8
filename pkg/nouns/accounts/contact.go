package accounts

import (
	"context"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/value"
)

// The usages of a contact's e-mail: which messages it gets.
const (
	usageSupport       = "support"
	usageAdmin         = "admin"
	usageBilling       = "billing"
	usageTech          = "tech"
	usageAnnouncements = "announcements"
	usageEmergency     = "emergency"
)

// contactNoun is the file that a newcomer copies. Table, flags, form, filters,
// output and completion follow from Fields; what a field cannot say alone is
// checked in Prepare.
func contactNoun() *noun.Noun {
	return &noun.Noun{
		Name:   contactName,
		Plural: "contacts",
		Area:   "Accounts",
		Kind:   noun.Management, // kept to administer, not sold: an account that is closed keeps its contacts
		Help:   "A person or department behind an account, and what they are told",
		Long: "A contact gets the messages of its usages at its e-mail. The usage emergency is for the day on which " +
			"the mail servers here are down: such an e-mail may not be on a domain that is hosted here.",
		Key:   "name",
		Owner: accountName,
		Fields: []noun.Field{
			{Name: "name", Type: noun.Parsed{Label: "handle", Canonical: value.Handle}, Required: true, Immutable: true, Listed: true,
				Help: "What the contact is called here", Example: "acme-office"},
			{Name: "account", Reference: accountName, OnDelete: noun.Cascade, Required: true, Listed: true,
				Help: "The account that it is a contact of", Example: "acme"},
			{Name: "short_name", Type: noun.Text{Max: 64},
				Help: "How the person is addressed", Example: "Ana"},
			{Name: "full_name", Type: noun.Text{}, Listed: true,
				Help: "The person's or department's full name", Example: "Ana Muñoz"},
			{Name: "email", Type: noun.Parsed{Label: "e-mail", Canonical: value.Email}, Listed: true,
				Help: "Where messages are sent", Example: "ana@example.net"},
			{Name: "email_usage", Type: noun.List{Of: noun.Choice{
				usageSupport, usageAdmin, usageBilling, usageTech, usageAnnouncements, usageEmergency}}, Listed: true,
				Help: "Which messages are sent there", Example: "admin,emergency"},
			{Name: "phone", Type: noun.List{Of: noun.Parsed{Label: "phone", Canonical: value.Phone}},
				Help: "Telephone numbers", Example: "+34 933 00 00 00"},
			{Name: "address", Type: noun.LongText{Max: 1024},
				Help: "The postal address, without what has a field of its own", Example: "Carrer Major, 1"},
			{Name: "postal_code", Type: noun.Parsed{Label: "postal code", Canonical: value.PostalCode},
				Help: "The postal code", Example: "08001"},
			{Name: "city", Type: noun.Text{Max: 128},
				Help: "The city", Example: "Barcelona"},
			{Name: "country", Type: noun.Parsed{Label: "country", Canonical: value.Country},
				Help: "The country's code of two letters", Example: "ES"},
		},
		Prepare: prepareContact,
		Cascade: cascadeContact,
		Check:   checkContacts,
	}
}

// prepareContact checks what depends on more than one field, or on other objects.
func prepareContact(ctx context.Context, plan noun.Planner, _, after *noun.Row) error {
	usages := after.List("email_usage")
	email := after.Text("email")
	if len(usages) > 0 && email == "" {
		return fault.New(fault.Invalid, "contact %s has no e-mail, so nothing can be sent to it", after.Text("name")).
			About("contact.email_usage").WithHint("add --email, or leave --email-usage out")
	}
	if !isEmergency(*after) {
		return nil
	}
	host, err := hostedBy(ctx, plan, value.EmailDomain(email))
	if err != nil {
		return err
	}
	if host != "" {
		return fault.New(fault.Invalid, "%s is on %s, which is hosted here: when the servers are down nobody could read it", email, host).
			About("contact.email").WithHint("give an e-mail elsewhere, or leave the usage emergency out")
	}
	return nil
}

func isEmergency(contact noun.Row) bool {
	for _, usage := range contact.List("email_usage") {
		if usage == usageEmergency {
			return contact.Text("email") != ""
		}
	}
	return false
}

package dns

import (
	"context"
	"slices"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/value"
)

const contactName = "contact"

// checkEmergency judges a new domain that mail to its account's emergency contact
// depends on: it is hosted here from now on, and can't be read when the servers are
// down. The setting emergency_contact says whether that is refused.
func checkEmergency(ctx context.Context, plan noun.Planner, domain noun.Row) error {
	policy := plan.Settings().EmergencyContact
	if plan.Noun(contactName) == nil || policy != "warn" && policy != "require" {
		return nil
	}
	contacts, err := plan.Select(ctx, contactName, noun.Where("account", domain.Int("account")))
	if err != nil {
		return err
	}
	name := domain.Text("name")
	for _, contact := range contacts {
		email := contact.Text("email")
		on := value.EmailDomain(email)
		if !slices.Contains(contact.List("email_usage"), "emergency") || on != name && !strings.HasSuffix(on, "."+name) {
			continue
		}
		if policy == "require" {
			return fault.New(fault.Conflict, "the emergency e-mail %s is on %s, which would be hosted here: when the servers are down nobody could read it", email, name).
				About("domain.name").WithHint("orchestra contact set %s --email …", contact.Text("name"))
		}
		plan.Warn(message.New("the emergency e-mail %s is on %s, which is hosted here: when the servers are down nobody can read it: orchestra contact set %s --email …",
			email, name, contact.Text("name")))
	}
	return nil
}

// Package accounts declares what customers are: accounts, the people behind
// them, and their users on servers. contact.go is the worked example of a noun.
package accounts

import (
	"orchestra/pkg/noun"
	"orchestra/pkg/settings"
)

// Nouns returns the nouns of this area. current returns the effective settings;
// it is called only where something outside a transaction depends on them.
func Nouns(current func() *settings.Settings) []*noun.Noun {
	return []*noun.Noun{accountNoun(), contactNoun(), userNoun(current)}
}

// Names of nouns, fields and reasons that this area's files share.
const (
	accountName = "account"
	contactName = "contact"
	userName    = "user"
	serverName  = "server"

	// closedReason disables an account for good: its services are gone, its
	// name and its history stay.
	closedReason = "closed"
)

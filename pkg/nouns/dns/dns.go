// Package dns declares domains and their records, and makes zones of them.
package dns

import "orchestra/pkg/noun"

// Nouns returns the nouns of this area.
func Nouns() []*noun.Noun { return []*noun.Noun{domainNoun(), recordNoun(), transferKeyNoun()} }

// Names of nouns that this area's files share.
const (
	domainName  = "domain"
	recordName  = "record"
	accountName = "account"
	serverName  = "server"

	transferKeyName = "transfer-key"
)

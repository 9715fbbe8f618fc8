// Package servers declares where things run: servers, and the routes that tie
// backends to them.
package servers

import "orchestra/pkg/noun"

// Backend is what this area knows of a backend.
type Backend struct {
	Name string
	Noun string // the noun that it brings onto servers
	// OnPanel says that it runs on the panel itself, not on the servers of others.
	OnPanel bool
}

// Backends returns the backends that there are. It is asked only where a route
// is written or matched.
type Backends func() ([]Backend, error)

// Nouns returns the nouns of this area.
func Nouns(backends Backends) []*noun.Noun {
	return []*noun.Noun{serverNoun(backends), routeNoun(backends)}
}

// Names of nouns and words that this area's files share.
const (
	serverName  = "server"
	routeName   = "route"
	accountName = "account"

	transportSSH   = "ssh"
	transportLocal = "local"

	unreachableFail  = "fail"
	unreachableQueue = "queue"
)

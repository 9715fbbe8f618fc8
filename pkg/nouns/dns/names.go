package dns

import (
	"golang.org/x/net/publicsuffix"
)

// registered returns the domain of a name that somebody registered, or the name.
func registered(name string) string {
	if domain, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return domain
	}
	return name
}

package dns

import (
	"errors"

	"golang.org/x/net/publicsuffix"

	"orchestra/pkg/fault"
)

// registered returns the domain of a name that somebody registered, or the name.
func registered(name string) string {
	if domain, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return domain
	}
	return name
}

// about adds the field to an error of pkg/value; nil stays nil.
func about(err error, field string) error {
	var e *fault.Error
	if errors.As(err, &e) && e.Field == "" {
		return e.About(field)
	}
	return err
}

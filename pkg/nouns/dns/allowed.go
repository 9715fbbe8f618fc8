package dns

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// checkAllowed refuses names that nobody may have as a domain: public suffixes,
// the servers' own names, and what the settings reserve.
func checkAllowed(ctx context.Context, plan noun.Planner, name string) error {
	if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name && strings.Contains(name, ".") && !isReverse(name) {
		return fault.New(fault.Invalid, "%s is a public suffix, below which anybody registers domains", name).About("domain.name")
	}
	for _, reserved := range plan.Settings().DNS.Reserved {
		if within(name, reserved) {
			return fault.New(fault.Invalid, "%s is reserved by the settings", name).About("domain.name").
				WithHint("the setting dns.reserved")
		}
	}
	servers, err := plan.Select(ctx, serverName, noun.Where("address", append(above(name), name)...))
	if err != nil {
		return err
	}
	if at := slices.IndexFunc(servers, func(server noun.Row) bool { return within(name, server.Text("address")) }); at >= 0 {
		return fault.New(fault.Invalid, "%s is the name of server %s", servers[at].Text("address"), servers[at].Text("name")).About("domain.name")
	}
	return nil
}

// within tells whether name is zone or below it.
func within(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }

// isReverse tells whether a name stands for addresses.
func isReverse(name string) bool { return within(name, "in-addr.arpa") || within(name, "ip6.arpa") }

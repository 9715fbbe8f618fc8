package dns

import (
	"context"
	"strings"

	"golang.org/x/net/publicsuffix"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
)

// checkAllowed refuses names that nobody may have as a domain: public suffixes,
// the servers' own names, and what the settings reserve.
func checkAllowed(ctx context.Context, plan noun.Planner, name string) error {
	if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name && strings.Contains(name, ".") && !isReverse(name) {
		return fault.New(fault.Invalid, "%s is a public suffix, below which anybody registers domains", name).About("domain.name")
	}
	if err := checkReserved(plan, name); err != nil {
		return fault.AboutField(err, "domain.name")
	}
	server, err := serverCalled(ctx, plan, name)
	if err != nil || server.ID == 0 {
		return err
	}
	return fault.New(fault.Invalid, "%s is the name of server %s", server.Text("address"), server.Text("name")).About("domain.name")
}

// checkOwner refuses records of names that the settings reserve, and warns of
// those at servers' names: the provider's own zone has these.
func checkOwner(ctx context.Context, plan noun.Planner, owner string) error {
	name := strings.TrimPrefix(owner, "*.")
	if err := checkReserved(plan, name); err != nil {
		return fault.AboutField(err, "record.name")
	}
	server, err := serverCalled(ctx, plan, name)
	if err == nil && server.ID != 0 {
		plan.Warn(message.New("%s is the name of server %s", server.Text("address"), server.Text("name")))
	}
	return err
}

// checkReserved refuses what the settings reserve.
func checkReserved(view noun.View, name string) error {
	for _, reserved := range view.Settings().DNS.Reserved {
		if within(name, reserved) {
			return fault.New(fault.Invalid, "%s is reserved by the settings", name).WithHint("the setting dns.reserved")
		}
	}
	return nil
}

// serverCalled returns the server whose host name is a name or above it; without
// id where there is none.
func serverCalled(ctx context.Context, view noun.View, name string) (noun.Row, error) {
	servers, err := view.Select(ctx, serverName, noun.Where("address", append(above(name), name)...))
	if err != nil || len(servers) == 0 {
		return noun.Row{}, err
	}
	return servers[0], nil
}

// within tells whether name is zone or below it.
func within(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }

// isReverse tells whether a name stands for addresses.
func isReverse(name string) bool { return within(name, "in-addr.arpa") || within(name, "ip6.arpa") }

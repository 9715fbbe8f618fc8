package adversarial

import "strings"

// dnsCommand is commandFor for domains and their records. Names in records are
// absolute here: what the collection gives relative to example.org is completed.
func dnsCommand(c Case, value string) (Command, bool) {
	aDomain := []string{"domain", "add", "example.org", "--account", "acme"}
	setup := [][]string{anAccount, aDomain}
	list := []string{"record", "list", "--output", "json"}
	record := func(name, rtype, text string, flags ...string) []string {
		return append(append([]string{"record", "add"}, flags...), "--", name, rtype, text)
	}
	switch {
	case c.Field == "domain.name":
		setup := [][]string{anAccount}
		if c.Kind == "ownership" {
			setup = append(setup, []string{"account", "add", "victim"}, []string{"domain", "add", "victim.example", "--account", "victim"},
				[]string{"server", "add", "web1", "--address", "panel.internal.example", "--host-key", hostKey})
		}
		return Command{Setup: setup, Arguments: []string{"domain", "add", "--account", "acme", "--", value},
			Show: []string{"domain", "show", "--output", "json", "--", value}, Key: "name", Field: "domain.name"}, true
	case c.Field == "record.name":
		name, show := value, list
		if !strings.Contains(value, "example.") {
			name, show = value+".example.org", nil
		}
		return Command{Setup: setup, Arguments: record(name, "A", "192.0.2.10"), Show: show, Key: "owner", Field: "record."}, true
	case c.Field == "record.type":
		return Command{Setup: setup, Arguments: record("www.example.org", value, "192.0.2.10"), Field: "record."}, true
	case c.Field == "record.ttl":
		command := Command{Setup: setup, Arguments: record("www.example.org", "A", "192.0.2.10", "--ttl="+value), Show: list, Key: "ttl", Field: "record.ttl"}
		if value == "1h" { // kept in seconds
			command.Show = nil
		}
		return command, true
	case c.Field == "soa.rname":
		return Command{Setup: [][]string{anAccount}, Arguments: append(aDomain, "--rname="+value),
			Show: []string{"domain", "show", "example.org", "--output", "json"}, Key: "rname", Field: "domain.rname"}, true
	}
	rtype, found := strings.CutPrefix(c.Field, "record.")
	rtype, isValue := strings.CutSuffix(rtype, ".value")
	if !found || !isValue {
		return Command{}, false
	}
	command := Command{Setup: setup, Arguments: record("www.example.org", rtype, value), Show: list, Key: "value", Field: "record."}
	switch c.ID {
	case "dns-056":
		command.Setup = append(command.Setup, record("www.example.org", "A", "192.0.2.10"))
	case "dns-058":
		command.Setup = append(command.Setup, record("www.example.org", "CNAME", "target.example.net."))
	}
	if rtype == "DS" { // only where something is delegated
		command.Setup = append(command.Setup, record("www.example.org", "NS", "ns.example.net."))
		command.Show = nil
	}
	if rtype == "MX" && c.Expect == Accept && strings.Contains(value, "example.org.") {
		command.Setup = append(command.Setup, record("mail.example.org", "A", "192.0.2.10"))
		command.Show = append(list, "--filter", `type == "MX"`)
	}
	return command, true
}

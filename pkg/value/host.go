package value

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"

	"orchestra/pkg/fault"
)

// HostAddress returns the canonical form of what a server is reached by: an IP
// address without brackets, port or zone, or a host name (RFC 1123, ASCII, in
// lower case). Addresses that no single server can have are refused, and so is
// any other way to write a number, which resolvers would take for an address.
func HostAddress(text string) (string, error) {
	if strings.Contains(text, ":") {
		return ipAddress(text)
	}
	if text != "" && strings.Trim(text, "0123456789.") == "" {
		return ipAddress(text)
	}
	return hostName(text)
}

func ipAddress(text string) (string, error) {
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return "", fault.New(fault.Invalid, "%q is not an IP address or a host name", cut(text)).
			WithHint("write it without brackets, port or user, as 192.0.2.11, 2001:db8::11 or web1.example.org")
	}
	address = address.Unmap()
	switch {
	case address.IsUnspecified():
		return "", fault.New(fault.Invalid, "%s is no address of a server: it connects to the panel itself", address.String())
	case address.IsMulticast(), address == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "", fault.New(fault.Invalid, "%s is no address of one server: it reaches many", address.String())
	case address.Is6() && address.IsLinkLocalUnicast():
		return "", fault.New(fault.Invalid, "%s is link-local: it means another host on each network", address.String())
	case address.Is4() && address.As4()[0] == 0:
		return "", fault.New(fault.Invalid, "%s is no address of a server", address.String())
	}
	return address.String(), nil
}

func hostName(text string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	if err := checkLabels(name); err != nil {
		return "", err
	}
	return name, nil
}

// checkLabels checks a host name in lower case: RFC 1123 labels, 253 bytes, and
// a last label that cannot be read as a number.
func checkLabels(name string) error {
	if name == "" {
		return fault.New(fault.Invalid, "a host name or IP address is needed")
	}
	if err := checkLength(name); err != nil {
		return err
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label, name); err != nil {
			return err
		}
		if strings.HasPrefix(label, "xn--") {
			if _, err := idna.Registration.ToUnicode(label); err != nil {
				return fault.New(fault.Invalid, "%q has a label that is not valid Punycode", cut(name))
			}
		}
		last = label
	}
	if isNumber(last) {
		return fault.New(fault.Invalid, "%q ends with a number, which is neither an IP address nor a host name", cut(name))
	}
	return nil
}

// isNumber tells whether inet_aton(3) would read label as a number.
func isNumber(label string) bool {
	if strings.Trim(label, "0123456789") == "" {
		return true
	}
	rest, found := strings.CutPrefix(label, "0x")
	return found && strings.Trim(rest, "0123456789abcdef") == ""
}

// DomainName returns the canonical form of a domain name of at least two
// labels: lower case, A-labels (Punycode), without the final dot. Letters of
// other scripts are accepted as they are written, not what merely folds to
// something else, nor Latin mixed with letters that look like it.
func DomainName(text string) (string, error) {
	name, err := aLabels(strings.ToLower(strings.TrimSuffix(text, ".")))
	if err != nil {
		return "", err
	}
	if err := checkLabels(name); err != nil {
		return "", err
	}
	if !strings.Contains(name, ".") {
		return "", fault.New(fault.Invalid, "%q is one label; a domain name has at least two", name)
	}
	return name, nil
}

// Login returns the name of the user that the panel logs in as. Users of the
// system are accepted; it is root on most servers.
func Login(text string) (string, error) { return UnixName(text) }

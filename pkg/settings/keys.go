package settings

import (
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/value"
)

// key is one setting: its name in the file, where it is kept, and its limits.
type key struct {
	name   string
	help   string
	bind   func(*Settings) any // *string, *[]string, *int, *int64, *bool or *time.Duration
	check  func(value any) error
	secret bool // never shown
}

// keys returns all settings, in the order of the documentation.
func keys() []key {
	return []key{
		{name: "database", help: "The SQLite database", check: path,
			bind: func(s *Settings) any { return &s.Database }},
		{name: "language", help: "Language of messages and of new accounts", check: oneOf("en", "es", "ca"),
			bind: func(s *Settings) any { return &s.Language }},
		{name: "emergency_contact", help: "What becomes of an account without an emergency contact",
			check: oneOf("off", "warn", "require"), bind: func(s *Settings) any { return &s.EmergencyContact }},
		{name: "log.file", help: "The log file; none where it is empty", check: pathOrNone,
			bind: func(s *Settings) any { return &s.Log.File }},
		{name: "log.level", help: "The least severe messages that are logged",
			check: oneOf("debug", "info", "warn", "error"), bind: func(s *Settings) any { return &s.Log.Level }},
		{name: "ssh.identity", help: "The private key by which servers are reached", check: pathOrNone,
			bind: func(s *Settings) any { return &s.SSH.Identity }},
		{name: "ssh.known_hosts", help: "A further file of known host keys", check: pathOrNone,
			bind: func(s *Settings) any { return &s.SSH.KnownHosts }},
		{name: "ssh.connect_timeout", help: "How long a connection may take to be made",
			check: between(time.Second, 10*time.Minute), bind: func(s *Settings) any { return &s.SSH.ConnectTimeout }},
		{name: "ssh.retry_after", help: "How long a server out of reach is left alone by operations that can leave it for later; up to five times as long as it stays so",
			check: between(0, time.Hour), bind: func(s *Settings) any { return &s.SSH.RetryAfter }},
		{name: "ssh.slots", help: "Handshakes with one server at a time", check: from(1, 100),
			bind: func(s *Settings) any { return &s.SSH.Slots }},
		{name: "ssh.agent", help: "Ask the agent for keys", bind: func(s *Settings) any { return &s.SSH.Agent }},
		{name: "runtime.directory", help: "Our directory on servers", check: path,
			bind: func(s *Settings) any { return &s.Runtime.Directory }},
		{name: "runtime.directories", help: "Our directory on single servers, as SERVER=/PATH", check: directories,
			bind: func(s *Settings) any { return &s.Runtime.Directories }},
		{name: "runtime.package_directory", help: "Where binaries for other architectures are", check: pathOrNone,
			bind: func(s *Settings) any { return &s.Runtime.PackageDirectory }},
		{name: "lock.directory", help: "Where lock files are; beside the database where it is empty",
			check: pathOrNone, bind: func(s *Settings) any { return &s.Lock.Directory }},
		{name: "lock.wait", help: "How long to wait for a lock", check: between(0, 24*time.Hour),
			bind: func(s *Settings) any { return &s.Lock.Wait }},
		{name: "operation.timeout", help: "How long one operation may take", check: between(time.Second, 24*time.Hour),
			bind: func(s *Settings) any { return &s.Operation.Timeout }},
		{name: "unix.first_id", help: "The first uid and gid that is given", check: from(1000, 2_000_000_000),
			bind: func(s *Settings) any { return &s.Unix.FirstID }},
		{name: "unix.last_id", help: "The last uid and gid that is given", check: from(1000, 2_000_000_000),
			bind: func(s *Settings) any { return &s.Unix.LastID }},
		{name: "unix.groups", help: "Groups that users may be in beside those of their account", check: names,
			bind: func(s *Settings) any { return &s.Unix.Groups }},
		{name: "unix.home_roots", help: "Directories below which homes may be", check: paths,
			bind: func(s *Settings) any { return &s.Unix.HomeRoots }},
		{name: "unix.shells", help: "Shells that users may have", check: paths,
			bind: func(s *Settings) any { return &s.Unix.Shells }},
		{name: "names.reserved", help: "Names that no account and no user may have", check: names,
			bind: func(s *Settings) any { return &s.Names.Reserved }},
		{name: "password.minimum_length", help: "The least characters of a password", check: from(6, 64),
			bind: func(s *Settings) any { return &s.Password.MinimumLength }},
		{name: "password.scheme", help: "How passwords are hashed", check: oneOf("yescrypt", "sha512"),
			bind: func(s *Settings) any { return &s.Password.Scheme }},
		{name: "password.cost", help: "Cost of the hash; the scheme's own where it is 0", check: from(0, 1_000_000),
			bind: func(s *Settings) any { return &s.Password.Cost }},
		{name: "dns.nameservers", help: "Host names of the name servers that zones have", check: hosts,
			bind: func(s *Settings) any { return &s.DNS.Nameservers }},
		{name: "dns.hostmaster", help: "The e-mail of who is responsible for zones; hostmaster of each where it is empty", check: emailOrNone,
			bind: func(s *Settings) any { return &s.DNS.Hostmaster }},
		{name: "dns.mx", help: "Mail exchanges, as PREFERENCE HOST, of names that declare none", check: exchanges,
			bind: func(s *Settings) any { return &s.DNS.MX }},
		{name: "dns.a", help: "IPv4 addresses of names that declare none", check: addresses,
			bind: func(s *Settings) any { return &s.DNS.A }},
		{name: "dns.aaaa", help: "IPv6 addresses of names that declare none", check: addresses,
			bind: func(s *Settings) any { return &s.DNS.AAAA }},
		{name: "dns.refresh", help: "After how many seconds slaves look for a newer zone", check: from(60, 1<<31-1),
			bind: func(s *Settings) any { return &s.DNS.Refresh }},
		{name: "dns.retry", help: "After how many seconds slaves look again when the master does not answer", check: from(60, 1<<31-1),
			bind: func(s *Settings) any { return &s.DNS.Retry }},
		{name: "dns.expire", help: "After how many seconds slaves give a zone up", check: from(60, 1<<31-1),
			bind: func(s *Settings) any { return &s.DNS.Expire }},
		{name: "dns.minimum", help: "For how many seconds it is remembered that a name does not exist", check: from(0, 1<<31-1),
			bind: func(s *Settings) any { return &s.DNS.Minimum }},
		{name: "dns.ttl", help: "The time to live of records that have none of their own, in seconds", check: from(0, 1<<31-1),
			bind: func(s *Settings) any { return &s.DNS.TTL }},
		{name: "dns.reserved", help: "Domains that nobody may have here, with all that is below them", check: hosts,
			bind: func(s *Settings) any { return &s.DNS.Reserved }},
		{name: "dns.transfer", help: "Addresses that may transfer zones, beside the servers of the routes", check: addresses,
			bind: func(s *Settings) any { return &s.DNS.Transfer }},
		{name: "output.format", help: "How answers are shown", check: oneOf("table", "json", "yaml", "csv", "name"),
			bind: func(s *Settings) any { return &s.Output.Format }},
		{name: "output.color", help: "When colors are used", check: oneOf("auto", "always", "never"),
			bind: func(s *Settings) any { return &s.Output.Color }},
		{name: "backends.directory", help: "Where further backends are", check: pathOrNone,
			bind: func(s *Settings) any { return &s.Backends.Directory }},
	}
}

func names(value any) error {
	for _, name := range value.([]string) {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
			return fault.New(fault.Invalid, "%q is no name", name)
		}
	}
	return nil
}

func hosts(given any) error {
	for _, name := range given.([]string) {
		if _, err := value.DomainName(name); err != nil {
			return err
		}
	}
	return nil
}

func emailOrNone(given any) error {
	if given == "" {
		return nil
	}
	_, err := value.Email(given.(string))
	return err
}

// exchanges checks a list of PREFERENCE HOST.
func exchanges(given any) error {
	for _, text := range given.([]string) {
		preference, host, _ := strings.Cut(text, " ")
		if number, err := strconv.ParseUint(preference, 10, 16); err != nil || strconv.FormatUint(number, 10) != preference {
			return fault.New(fault.Invalid, "%q is not PREFERENCE HOST, such as %q", text, "10 mail.example.net")
		}
		if _, err := value.DomainName(host); err != nil {
			return err
		}
	}
	return nil
}

func addresses(given any) error {
	for _, text := range given.([]string) {
		if _, err := netip.ParseAddr(text); err != nil {
			return fault.New(fault.Invalid, "%q is no IP address", text)
		}
	}
	return nil
}

func path(value any) error {
	if text := value.(string); !filepath.IsAbs(text) || filepath.Clean(text) != text {
		return fault.New(fault.Invalid, "%q is not an absolute path in its shortest form", text)
	}
	return nil
}

func pathOrNone(value any) error {
	if value == "" {
		return nil
	}
	return path(value)
}

func paths(value any) error {
	for _, text := range value.([]string) {
		if err := path(text); err != nil {
			return err
		}
	}
	return nil
}

// directories checks a list of SERVER=/PATH.
func directories(value any) error {
	for _, text := range value.([]string) {
		server, directory, found := strings.Cut(text, "=")
		if !found || server == "" {
			return fault.New(fault.Invalid, "%q is not SERVER=/PATH", text)
		}
		if err := path(directory); err != nil {
			return err
		}
	}
	return nil
}

func oneOf(words ...string) func(any) error {
	return func(value any) error {
		text := value.(string)
		for _, word := range words {
			if text == word {
				return nil
			}
		}
		err := fault.New(fault.Invalid, "%q is none of %s", text, strings.Join(words, ", "))
		if near := fault.Nearest(text, words); near != "" {
			return err.WithHint("did you mean %q?", near)
		}
		return err
	}
}

func from(lowest, highest int64) func(any) error {
	return func(value any) error {
		number, ok := value.(int64)
		if n, isInt := value.(int); isInt {
			number, ok = int64(n), true
		}
		if !ok || number < lowest || number > highest {
			return fault.New(fault.Invalid, "%d is not from %d to %d", number, lowest, highest)
		}
		return nil
	}
}

func between(shortest, longest time.Duration) func(any) error {
	return func(value any) error {
		if span := value.(time.Duration); span < shortest || span > longest {
			return fault.New(fault.Invalid, "%s is not from %s to %s", span.String(), shortest.String(), longest.String())
		}
		return nil
	}
}

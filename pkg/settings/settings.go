// Package settings holds the effective settings of one run: defaults, the
// configuration file and its conf.d, the environment and flags, in this order.
package settings

import (
	"strings"
	"time"
)

// Settings are the effective settings. Every field has a key in keys.go, which
// says its default and its limits.
type Settings struct {
	// Database is the path of the SQLite database.
	Database string
	// Language of messages and of new accounts: "en", "es" or "ca".
	Language string
	// EmergencyContact says what becomes of an account without an emergency
	// contact: "off", "warn" or "require".
	EmergencyContact string

	Log       Log
	SSH       SSH
	Runtime   Runtime
	Lock      Lock
	Operation Operation
	Unix      Unix
	Names     Names
	Password  Password
	DNS       DNS
	Output    Output
	Backends  Backends

	sources map[string]Source // by key; a default has none
	file    string
}

// Log is the log file, rotated by logrotate.
type Log struct {
	File  string // "" writes none
	Level string // debug, info, warn or error
}

// SSH is how servers are reached.
type SSH struct {
	Identity       string        // the private key's file, "" for the agent only
	KnownHosts     string        // a further known_hosts file, "" for none
	ConnectTimeout time.Duration // of connection and handshake together
	RetryAfter     time.Duration // how long a server out of reach is left alone at first; 0: not at all
	Slots          int           // handshakes with one server at a time
	Agent          bool          // ask the agent at SSH_AUTH_SOCK
}

// Runtime is the copy of this binary on servers.
type Runtime struct {
	Directory        string   // on the servers
	Directories      []string // on some of them: SERVER=/PATH
	PackageDirectory string   // here: binaries of other architectures
}

// DirectoryOn returns our directory on a server.
func (r Runtime) DirectoryOn(server string) string {
	for _, each := range r.Directories {
		if name, directory, _ := strings.Cut(each, "="); name == server {
			return directory
		}
	}
	return r.Directory
}

// Lock is where the panel's lock files lie and how long one waits for them.
type Lock struct {
	Directory string // "" is beside the database
	Wait      time.Duration
}

// Operation bounds one operation.
type Operation struct {
	Timeout time.Duration
}

// Unix is the policy for system users.
type Unix struct {
	FirstID   int64    // the first uid (and gid) that is assigned
	LastID    int64    // the last one
	Groups    []string // system groups that may be given to users
	HomeRoots []string // homes lie below one of these
	Shells    []string // shells that may be given
}

// Names is the policy for names.
type Names struct {
	Reserved []string // never the name of an account or user
}

// Password is the policy for passwords.
type Password struct {
	MinimumLength int
	Scheme        string // of the hash: yescrypt or sha512
	Cost          int    // of the scheme; 0 is the scheme's own default
}

// DNS is what zones have where nobody says otherwise.
type DNS struct {
	Nameservers []string // host names of the zone's NS records; the first one is the primary (MNAME)
	Hostmaster  string   // the e-mail of who is responsible (RNAME); "" is hostmaster@ the zone
	MX          []string // "PREFERENCE HOST", of names that declare none
	A, AAAA     []string // addresses of names that declare none
	// Spans of the SOA record, and the time to live of records, in seconds.
	Refresh, Retry, Expire, Minimum, TTL int64
	Reserved                             []string // domains that nobody may have here, with all below them
	Transfer                             []string // addresses, beside the routes' servers, that may transfer zones
}

// Output is how answers are shown where no flag says otherwise.
type Output struct {
	Format string // table, json, yaml, csv or name
	Color  string // auto, always or never
}

// Backends are further backends.
type Backends struct {
	Directory string
}

// Range returns the first and the last number that a counter may give. The serial of
// a zone has 32 bits: the last million stays free, so that one raised to the last can go on.
func (s *Settings) Range(counter string) (first, last int64) {
	switch {
	case counter == "unix_id":
		return s.Unix.FirstID, s.Unix.LastID
	case strings.HasPrefix(counter, "serial."):
		return 1, 1<<32 - 1_000_000
	}
	return 1, 1<<63 - 1
}

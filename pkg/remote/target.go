package remote

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// What a Target uses where it says nothing.
const (
	DefaultPort           = 22
	DefaultLogin          = "root"
	DefaultSlots          = 4
	DefaultConnectTimeout = 10 * time.Second
	// DefaultKeepalive is how long a connection may be idle before the server
	// is asked whether it lives; it has as long again to answer.
	DefaultKeepalive = 15 * time.Second
)

// Target is a server to be reached over SSH. The zero value of a field that
// has a default stands for it.
type Target struct {
	Name    string // the server's name: what messages call it
	Address string // host name or IP address, without port
	Port    int
	// Login other than root runs everything through "sudo -n".
	Login string
	// HostKeys are the keys that the server may show, each "type base64" as in
	// a .pub file.
	HostKeys []string
	// KnownHosts is a file in the format of sshd(8) whose keys for this address
	// are accepted as well, and whose revoked ones never are; or "".
	KnownHosts string
	// Jump is the server through which this one is reached, verified in the
	// same way; or nil.
	Jump *Target
	// Identity is what we log in with; nil for the agent and the standard files.
	Identity *Identity
	// ConnectTimeout bounds all attempts until the login is done, those through
	// a jump host included.
	ConnectTimeout time.Duration
	Keepalive      time.Duration
	// Slots is how many processes may run at once over one connection; sshd
	// refuses the eleventh unless its MaxSessions says otherwise.
	Slots int
}

// withDefaults returns t with nothing left unsaid.
func (t Target) withDefaults() Target {
	if t.Port == 0 {
		t.Port = DefaultPort
	}
	if t.Login == "" {
		t.Login = DefaultLogin
	}
	if t.Slots <= 0 {
		t.Slots = DefaultSlots
	}
	if t.ConnectTimeout <= 0 {
		t.ConnectTimeout = DefaultConnectTimeout
	}
	if t.Keepalive <= 0 {
		t.Keepalive = DefaultKeepalive
	}
	if t.Identity == nil {
		t.Identity = &Identity{Agent: true}
	}
	if t.Name == "" {
		t.Name = t.Address
	}
	return t
}

// where returns address:port.
func (t Target) where() string {
	return net.JoinHostPort(t.Address, strconv.Itoa(t.Port))
}

// key returns what two targets have in common exactly when one connection can
// serve both.
func (t Target) key() string {
	t = t.withDefaults()
	parts := []string{t.Address, strconv.Itoa(t.Port), t.Login, t.KnownHosts, strings.Join(t.HostKeys, "\n")}
	if t.Jump != nil {
		parts = append(parts, t.Jump.key())
	}
	return strings.Join(parts, "\x00")
}

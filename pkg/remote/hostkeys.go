package remote

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"orchestra/pkg/fault"
)

// hostKeys decides which keys a server may show.
type hostKeys struct {
	pinned []ssh.PublicKey
	file   *knownhosts.HostKeyDB // or nil
	where  string
	// fetch, where set, takes any key of these algorithms and stops there.
	fetch []string
	// only says that nobody is to log in after it.
	only bool
	// seen is the key that the server showed, once it did.
	seen ssh.PublicKey
	// refusal tells why it was refused, or is nil.
	refusal error
}

// ParseHostKey reads "type base64", with or without a comment behind. It takes
// nothing else that an authorized_keys or known_hosts file may hold: no
// options, markers, patterns or certificates.
func ParseHostKey(line string) (ssh.PublicKey, error) {
	fields := strings.Fields(line)
	if strings.ContainsAny(line, "\r\n\x00") || len(fields) < 2 {
		return nil, badHostKey(nil)
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return nil, badHostKey(err)
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, badHostKey(err)
	}
	if key.Type() != fields[0] || len(signatureAlgorithms(key.Type())) == 0 {
		return nil, badHostKey(nil)
	}
	return key, nil
}

func badHostKey(cause error) error {
	return fault.New(fault.Invalid, "not a host key: it reads \"ssh-ed25519 AAAA…\", as in /etc/ssh/ssh_host_ed25519_key.pub on the server").
		About("server.host_key").Because(cause)
}

// newHostKeys reads what target pins. Having nothing pinned is a refusal, made
// before anything is sent.
func newHostKeys(target Target) (*hostKeys, error) {
	keys := &hostKeys{where: target.where()}
	for _, line := range target.HostKeys {
		key, err := ParseHostKey(line)
		if err != nil {
			return nil, err
		}
		keys.pinned = append(keys.pinned, key)
	}
	if target.KnownHosts != "" {
		file, err := knownhosts.NewDB(target.KnownHosts)
		switch {
		case errors.Is(err, os.ErrNotExist) && len(keys.pinned) > 0: // it only ever adds
		case err != nil:
			return nil, fault.New(fault.Invalid, "the file %s cannot be read", target.KnownHosts).
				About("ssh.known_hosts").Because(err)
		default:
			keys.file = file
		}
	}
	if len(keys.algorithms()) == 0 {
		return nil, fault.New(fault.Unreachable, "no host key of server %s is known, so nothing is sent to it", target.Name).
			WithHint("orchestra server set %s --host-key \"ssh-ed25519 AAAA…\"", target.Name)
	}
	return keys, nil
}

// unseen returns k before any key was shown.
func (k *hostKeys) unseen() *hostKeys {
	fresh := *k
	fresh.seen, fresh.refusal = nil, nil
	return &fresh
}

// algorithms returns the host key algorithms that can lead to a known key: a
// server with keys of several types must show the one that is known.
func (k *hostKeys) algorithms() []string {
	if k.fetch != nil {
		return k.fetch
	}
	var algorithms []string
	for _, key := range k.pinned {
		algorithms = append(algorithms, signatureAlgorithms(key.Type())...)
	}
	if k.file != nil {
		algorithms = append(algorithms, k.file.HostKeyAlgorithms(k.where)...)
	}
	// SHA-1 signatures are never accepted, whatever a file names.
	algorithms = slices.DeleteFunc(algorithms, func(name string) bool {
		return name == ssh.KeyAlgoRSA || name == ssh.CertAlgoRSAv01
	})
	return unique(algorithms)
}

// signatureAlgorithms returns how a key of that type may sign; none for a type
// that is not accepted.
func signatureAlgorithms(keyType string) []string {
	switch keyType {
	case ssh.KeyAlgoRSA:
		return []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512}
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return []string{keyType}
	}
	return nil
}

// verify is the ssh.HostKeyCallback. The library has checked already that the
// server holds the private key; authentication has not begun.
func (k *hostKeys) verify(host string, remote net.Addr, key ssh.PublicKey) error {
	k.seen = key
	k.refusal = k.check(host, remote, key)
	if k.refusal == nil && k.only {
		return errFetched
	}
	return k.refusal
}

func (k *hostKeys) check(host string, remote net.Addr, key ssh.PublicKey) error {
	if k.fetch != nil {
		return errFetched
	}
	var fromFile error = errUnknownHostKey
	if k.file != nil {
		fromFile = k.file.HostKeyCallback()(host, remote, key)
		var revoked *xknownhosts.RevokedError
		if errors.As(fromFile, &revoked) {
			return errRevokedHostKey
		}
	}
	for _, pinned := range k.pinned {
		if bytes.Equal(pinned.Marshal(), key.Marshal()) {
			return nil
		}
	}
	if fromFile == nil {
		return nil
	}
	return errUnknownHostKey
}

var (
	errUnknownHostKey = errors.New("not a host key on record")
	errRevokedHostKey = errors.New("a revoked host key")
)

// fingerprints names the keys that would have been accepted.
func (k *hostKeys) fingerprints() string {
	var names []string
	for _, key := range k.pinned {
		names = append(names, ssh.FingerprintSHA256(key))
	}
	if k.file != nil {
		for _, key := range k.file.HostKeys(k.where) {
			names = append(names, ssh.FingerprintSHA256(key.PublicKey))
		}
	}
	return strings.Join(unique(names), ", ")
}

// line returns key as ParseHostKey reads it.
func line(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// unique returns list without repetitions, in the same order.
func unique(list []string) []string {
	var out []string
	for _, item := range list {
		if !slices.Contains(out, item) {
			out = append(out, item)
		}
	}
	return out
}

package remote

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// HostKey is a key that a server showed. Whether it is the right one only its
// administrator can tell.
type HostKey struct {
	Type        string // "ssh-ed25519"
	Line        string // "ssh-ed25519 AAAA…": what Target.HostKeys takes
	Fingerprint string // "SHA256:…"
}

var errFetched = errors.New("that is all we wanted to know")

// FetchHostKeys asks the server which keys it has, best first, without logging
// in. Jump hosts before it are verified and logged in to. Errors are as those
// of DialSSH.
func FetchHostKeys(ctx context.Context, target Target) ([]HostKey, error) {
	target = target.withDefaults()
	if err := unlockJump(ctx, target); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, target.ConnectTimeout, errConnectTimeout)
	defer cancel()
	via, err := dialJump(ctx, target)
	if err != nil {
		return nil, err
	}
	if via != nil {
		defer via.Close()
	}

	// A server shows one key a connection; one of each type is asked for.
	families := [][]string{
		{ssh.KeyAlgoED25519},
		{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
		{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512},
	}
	found := make([]*HostKey, len(families))
	failed := make([]error, len(families))
	var group sync.WaitGroup
	for i, family := range families {
		group.Go(func() { found[i], failed[i] = fetchHostKey(ctx, target, via, family) })
	}
	group.Wait()
	var keys []HostKey
	for _, key := range found {
		if key != nil {
			keys = append(keys, *key)
		}
	}
	if len(keys) == 0 {
		return nil, failed[0] // the others say the same of the same server
	}
	return keys, nil
}

// fetchHostKey returns the server's key of one family, nil where it has none.
func fetchHostKey(ctx context.Context, target Target, via *connection, family []string) (*HostKey, error) {
	login := &login{
		target: target, via: via, began: time.Now(),
		keys: &hostKeys{where: target.where(), fetch: family},
	}
	_, err := login.persist(ctx)
	if login.keys.seen == nil {
		return nil, login.explain(ctx, err)
	}
	return &HostKey{
		Type: login.keys.seen.Type(), Line: line(login.keys.seen),
		Fingerprint: ssh.FingerprintSHA256(login.keys.seen),
	}, nil
}

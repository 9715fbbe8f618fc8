package remote

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
)

// DialSSH connects to target and logs in. Its host key is verified before
// anything is sent that a stranger may not read. The errors are faults:
// Unreachable says that the server was not reached and that nothing was done
// there, Conflict that it showed another host key than the one on record, Invalid that our own key or known_hosts file is of no
// use. Closing the Transport ends the connection to a jump host as well.
func DialSSH(ctx context.Context, target Target) (Transport, error) {
	if err := unlock(ctx, target); err != nil {
		return nil, err
	}
	conn, err := dialAll(ctx, target.withDefaults())
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// dialAll connects to target over its chain of jump hosts, for it alone.
func dialAll(ctx context.Context, target Target) (*connection, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, target.ConnectTimeout, errConnectTimeout)
	defer cancel()
	if target.Jump == nil {
		return dial(ctx, target, nil)
	}
	via, err := dialAll(ctx, target.Jump.withDefaults())
	if err != nil {
		return nil, err
	}
	conn, err := dial(ctx, target, via)
	if err != nil {
		via.Close()
		return nil, err
	}
	conn.owns = via
	return conn, nil
}

var errConnectTimeout = errors.New("connect timeout")

// dial connects to target, directly or over via, until ctx ends at the latest.
// A connection that is dropped before the login was decided is tried again: a
// busy sshd refuses at random (MaxStartups), and so does one that is starting.
func dial(ctx context.Context, target Target, via *connection) (*connection, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, target.ConnectTimeout, errConnectTimeout)
	defer cancel()
	keys, err := newHostKeys(target)
	if err != nil {
		return nil, err
	}
	identities, done, err := target.Identity.keys(ctx)
	if err != nil {
		return nil, err
	}
	defer done()

	login := &login{target: target, via: via, keys: keys, identities: identities, began: time.Now()}
	client, err := login.persist(ctx)
	if err != nil {
		return nil, login.explain(ctx, err)
	}
	return newConnection(target, client), nil
}

// login is one endeavour to log in, of one or more attempts.
type login struct {
	target     Target
	via        *connection // or nil
	keys       *hostKeys
	identities []identityKey

	// Of the last attempt:
	stage stage
	said  string // what the server sent in clear text instead of a handshake

	began        time.Time
	dropped      error // why the last attempt that may be repeated failed
	droppedLogin bool  // whether one was dropped while logging in
}

// persist makes attempts until one is decided or ctx ends.
func (l *login) persist(ctx context.Context) (*ssh.Client, error) {
	for wait := backoff(50 * time.Millisecond); ; {
		client, err := l.attempt(ctx)
		if err == nil || !l.mayRetry(err) || !pause(ctx, wait()) {
			return client, err
		}
	}
}

// stage is how far an attempt to log in has come.
type stage int

const (
	stageConnect   stage = iota // no connection yet
	stageHandshake              // connected, the server not yet verified
	stageLogin                  // the server is the right one; who are we?
)

// attempt connects and logs in once.
func (l *login) attempt(ctx context.Context) (*ssh.Client, error) {
	l.stage, l.said = stageConnect, ""
	l.keys = l.keys.unseen()
	conn, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	l.stage = stageHandshake

	// The library knows no context: where ours ends first, the connection is
	// closed under it, nobody waits for what it says, and what it uses is its own.
	type result struct {
		client *ssh.Client
		err    error
	}
	results := make(chan result, 1)
	keys, first := l.keys.unseen(), &opening{Conn: conn}
	config := l.config(keys)
	go func() {
		client, chans, reqs, err := ssh.NewClientConn(first, l.target.where(), config)
		if err != nil {
			results <- result{err: err}
			return
		}
		results <- result{client: ssh.NewClient(client, chans, reqs)}
	}()
	select {
	case r := <-results:
		l.keys, l.said = keys, first.text()
		if keys.seen != nil && keys.refusal == nil {
			l.stage = stageLogin
		}
		return r.client, r.err
	case <-ctx.Done():
		conn.Close()
		go func() {
			if r := <-results; r.client != nil {
				r.client.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// connect opens the byte stream that the handshake runs over.
func (l *login) connect(ctx context.Context) (net.Conn, error) {
	if l.via != nil {
		return l.via.forward(ctx, l.target.where())
	}
	dialer := net.Dialer{Control: setUserTimeout(2 * l.target.Keepalive)}
	return dialer.DialContext(ctx, "tcp", l.target.where())
}

// config returns what we offer. Key exchange: the post-quantum one costs half a
// millisecond more and keeps what is recorded today secret. Ciphers: those with the least
// work per byte, all of them authenticated.
func (l *login) config(keys *hostKeys) *ssh.ClientConfig {
	config := &ssh.ClientConfig{
		User:              l.target.Login,
		HostKeyCallback:   keys.verify,
		HostKeyAlgorithms: keys.algorithms(),
		ClientVersion:     "SSH-2.0-Orchestra",
	}
	config.KeyExchanges = []string{
		ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519,
		ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeDH16SHA512,
	}
	config.Ciphers = []string{
		ssh.CipherAES128GCM, ssh.CipherChaCha20Poly1305, ssh.CipherAES256GCM, ssh.CipherAES256CTR,
	}
	var signers []ssh.Signer
	for _, key := range l.identities {
		signers = append(signers, key.signer)
	}
	config.Auth = []ssh.AuthMethod{ssh.PublicKeys(signers...)}
	return config
}

// backoff returns growing waits with full jitter, so that many processes that
// were refused together do not come back together.
func backoff(first time.Duration) func() time.Duration {
	limit := first
	return func() time.Duration {
		wait := time.Duration(rand.Int64N(int64(limit))) + time.Millisecond
		limit = min(2*limit, time.Second)
		return wait
	}
}

// pause waits, and tells whether ctx still lives then.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

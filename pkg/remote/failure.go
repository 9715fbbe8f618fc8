package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"orchestra/pkg/fault"
)

// mayRetry tells whether a failed attempt may go better the next time: the
// server, or something before it, hung up without having decided anything.
func (l *login) mayRetry(err error) bool {
	if l.keys.refusal != nil {
		return false
	}
	if _, ok := errors.AsType[*jumpError](err); ok {
		return false
	}
	if !hungUp(err) || l.droppedLogin {
		return false
	}
	// Once the server is verified it counts logins; twice is not many.
	l.droppedLogin = l.stage == stageLogin
	l.dropped = err
	if l.said != "" {
		l.dropped = errors.New(l.said)
	}
	return true
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// explain says in words why the server could not be reached, and what to type
// next.
func (l *login) explain(ctx context.Context, err error) error {
	target := l.target
	name, where := target.Name, target.where()
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errConnectTimeout) && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault.New(fault.Interrupted, "connecting to server %s was interrupted", name).Because(context.Cause(ctx))
	}
	if l.keys.refusal != nil {
		return l.changedKey()
	}
	check := func(e *fault.Error) error { return e.WithHint("orchestra server check %s", name) }
	if ctx.Err() != nil || isTimeout(err) {
		if l.dropped != nil {
			return l.refusedEarly()
		}
		return check(fault.New(fault.Unreachable, "server %s (%s) did not answer within %s", name, where, time.Since(l.began).Round(100*time.Millisecond)))
	}
	if jump, ok := errors.AsType[*jumpError](err); ok {
		return jump.explain(target)
	}
	if l.stage == stageConnect {
		return check(explainConnect(name, where, err))
	}
	if mismatch, ok := errors.AsType[*ssh.AlgorithmNegotiationError](err); ok {
		return l.noCommonAlgorithm(mismatch)
	}
	if l.stage == stageLogin {
		return l.refusedLogin(err)
	}
	return check(fault.New(fault.Unreachable, "what answers at server %s (%s) does not speak SSH as we do", name, where).
		Because(foreignError{err}))
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, errConnectTimeout) || errors.Is(err, syscall.ETIMEDOUT) || ok && timeout.Timeout()
}

// explainConnect puts a failed TCP connection into words.
func explainConnect(name, where string, err error) *fault.Error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fault.New(fault.Unreachable, "the address of server %s (%s) cannot be resolved", name, where).
			Because(errors.New(dns.Err))
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault.New(fault.Unreachable, "server %s (%s) refused the connection: nothing listens there", name, where)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fault.New(fault.Unreachable, "there is no route to server %s (%s)", name, where)
	}
	var reason error = foreignError{err}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		reason = call.Err
	}
	return fault.New(fault.Unreachable, "server %s (%s) could not be connected to", name, where).Because(reason)
}

// refusedEarly is a server that kept hanging up before the handshake ended.
func (l *login) refusedEarly() error {
	return fault.New(fault.Unreachable, "server %s (%s) kept closing the connection before the handshake ended", l.target.Name, l.target.where()).
		Because(foreignError{l.dropped}).WithHint("MaxStartups in sshd_config of %s, or orchestra server check %s", l.target.Name, l.target.Name)
}

// changedKey is a server that showed a key which is not the one on record.
// Nothing was sent to it. It is a conflict, not a server out of reach: where
// routes say that such a one is left for later, this stops the operation all
// the same.
func (l *login) changedKey() error {
	name, seen := l.target.Name, ssh.FingerprintSHA256(l.keys.seen)
	if errors.Is(l.keys.refusal, errRevokedHostKey) {
		return fault.New(fault.Conflict, "the host key of server %s is revoked: %s; nothing was sent", name, seen).
			WithHint("orchestra server set %s --host-key …, once the server has a new key", name)
	}
	return fault.New(fault.Conflict, "server %s shows another host key than the one that is pinned: %s instead of %s; nothing was sent", name, seen, l.keys.fingerprints()).
		WithHint(newKeyHint, name, newKeyProgram, setKey(name))
}

// newKeyHint never offers the key that was shown: it may be an intruder's.
const (
	newKeyHint    = "somebody else may be answering in the place of %s. If it was reinstalled, or the key was mistyped, read the key on its own console (%s), then: %s"
	newKeyProgram = "cat /etc/ssh/ssh_host_ed25519_key.pub"
)

func setKey(name string) string {
	return "orchestra server set " + name + " --host-key \"ssh-ed25519 AAAA…\""
}

// noCommonAlgorithm is a server that offers nothing of what we want.
func (l *login) noCommonAlgorithm(mismatch *ssh.AlgorithmNegotiationError) error {
	offered := printable(strings.Join(mismatch.RequestedAlgorithms, " "))
	if strings.Contains(mismatch.What, "host key") {
		return fault.New(fault.Conflict, "the host key of server %s has changed: it offers keys of type %s and none like %s; nothing was sent", l.target.Name, offered, l.keys.fingerprints()).
			WithHint(newKeyHint, l.target.Name, newKeyProgram, setKey(l.target.Name))
	}
	return fault.New(fault.Unreachable, "server %s (%s) offers no %s that is safe to use, only %s", l.target.Name, l.target.where(), mismatch.What, offered)
}

// refusedLogin is a server that is the right one and does not let us in.
func (l *login) refusedLogin(err error) error {
	fail := fault.New(fault.Unreachable, "server %s (%s) refused the login %s with %s", l.target.Name, l.target.where(), l.target.Login, names(l.identities)).
		WithHint("add the public key to ~%s/.ssh/authorized_keys on %s, then: orchestra server check %s", l.target.Login, l.target.Name, l.target.Name)
	if !strings.Contains(err.Error(), "unable to authenticate") {
		fail = fail.Because(foreignError{err})
	}
	return fail
}

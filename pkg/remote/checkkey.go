package remote

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"orchestra/pkg/fault"
)

// CheckHostKey asks a server whether it shows a key that target pins, without
// logging in: who we are does not matter. Jump hosts before it are verified
// and logged in to. An error of kind Conflict says that it shows another one,
// Unreachable that it could not be asked.
func CheckHostKey(ctx context.Context, target Target) error {
	target = target.withDefaults()
	if err := unlockJump(ctx, target); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, target.ConnectTimeout, errConnectTimeout)
	defer cancel()
	via, err := dialJump(ctx, target)
	if err != nil {
		return err
	}
	if via != nil {
		defer via.Close()
	}
	keys, err := newHostKeys(target)
	if err != nil {
		return err
	}
	keys.only = true
	login := &login{target: target, via: via, keys: keys, began: time.Now()}
	_, err = login.persist(ctx)
	if login.stage == stageLogin {
		return nil
	}
	mismatch, other := errors.AsType[*ssh.AlgorithmNegotiationError](err)
	other = other && strings.Contains(mismatch.What, "host key") // it has none of the type that was given
	if login.keys.refusal == nil && !other {
		return login.explain(ctx, err)
	}
	told := fault.New(fault.Conflict, "server %s shows another host key than the one that was given", target.Name).
		About("server.host_key").
		WithHint("on the server: %s; then add %s", "cat /etc/ssh/ssh_host_ed25519_key.pub", "--host-key \"ssh-ed25519 AAAA…\"")
	if other {
		return told.Because(foreignError{mismatch})
	}
	return told.Because(errors.New(ssh.FingerprintSHA256(login.keys.seen) + " ≠ " + login.keys.fingerprints()))
}

// dialJump connects to what is jumped through, nil where nothing is.
func dialJump(ctx context.Context, target Target) (*connection, error) {
	if target.Jump == nil {
		return nil, nil
	}
	return dialAll(ctx, target.Jump.withDefaults())
}

func unlockJump(ctx context.Context, target Target) error {
	if target.Jump == nil {
		return nil
	}
	return unlock(ctx, *target.Jump)
}

package remote

import (
	"context"
	"errors"
	"net"

	"golang.org/x/crypto/ssh"

	"orchestra/pkg/fault"
)

// forward opens a byte stream from this server on to address, which it
// resolves itself.
func (c *connection) forward(ctx context.Context, address string) (net.Conn, error) {
	conn, err := c.client.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &jumpError{via: c.target, err: err}
	}
	return conn, nil
}

// jumpError is a jump host that does not lead on.
type jumpError struct {
	via Target
	err error
}

func (e *jumpError) Error() string { return e.err.Error() }
func (e *jumpError) Unwrap() error { return e.err }

// explain says in words why the jump host via does not lead to target.
func (e *jumpError) explain(target Target) *fault.Error {
	refused, ok := errors.AsType[*ssh.OpenChannelError](e.err)
	switch {
	case ok && refused.Reason == ssh.Prohibited:
		return fault.New(fault.Unreachable, "the jump host %s does not allow connections on to server %s (%s)", e.via.Name, target.Name, target.where()).
			WithHint("AllowTcpForwarding local in sshd_config of %s", e.via.Name)
	case ok:
		return fault.New(fault.Unreachable, "the jump host %s cannot reach server %s (%s): %s", e.via.Name, target.Name, target.where(), printable(refused.Message)).
			WithHint("orchestra server check %s", target.Name)
	}
	return fault.New(fault.Unreachable, "the connection to the jump host %s was lost", e.via.Name).
		Because(foreignError{e.err}).WithHint("orchestra server check %s", e.via.Name)
}

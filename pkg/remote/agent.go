package remote

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// agentKeys are what an SSH agent holds.
type agentKeys struct {
	keys []identityKey
	conn net.Conn
	err  error // why there are none
}

// askAgent lists the keys of the agent at socket. An agent that cannot be
// asked is one without keys.
func askAgent(ctx context.Context, socket string) *agentKeys {
	if socket == "" {
		socket = os.Getenv("SSH_AUTH_SOCK")
	}
	if socket == "" {
		return &agentKeys{err: errors.New("SSH_AUTH_SOCK is not set")}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return &agentKeys{err: err}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	client := agent.NewClient(conn)
	listed, err := client.List()
	if err != nil {
		conn.Close()
		return &agentKeys{err: err}
	}
	signers, err := client.Signers()
	if err != nil {
		conn.Close()
		return &agentKeys{err: err}
	}
	held := &agentKeys{conn: conn}
	for _, signer := range signers {
		name := "agent"
		for _, key := range listed {
			if bytes.Equal(key.Blob, signer.PublicKey().Marshal()) && key.Comment != "" {
				name = "agent: " + printable(key.Comment)
			}
		}
		held.keys = append(held.keys, identityKey{signer: signer, name: name})
	}
	return held
}

// matching returns the agent's keys, certificates included, for public.
func (a *agentKeys) matching(public ssh.PublicKey) []identityKey {
	var found []identityKey
	if public == nil {
		return nil
	}
	for _, key := range a.keys {
		held := key.signer.PublicKey()
		if certificate, ok := held.(*ssh.Certificate); ok {
			held = certificate.Key
		}
		if bytes.Equal(held.Marshal(), public.Marshal()) {
			found = append(found, key)
		}
	}
	return found
}

func (a *agentKeys) close() {
	if a.conn != nil {
		a.conn.Close()
	}
}

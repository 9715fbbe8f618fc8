package remote

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"orchestra/pkg/fault"
	"orchestra/pkg/remote/remotetest"
)

// startAgent serves an agent on a socket.
func startAgent(t *testing.T, keys ...agent.AddedKey) (socket string) {
	t.Helper()
	keyring := agent.NewKeyring()
	for _, key := range keys {
		must(t, keyring.Add(key))
	}
	socket = filepath.Join(t.TempDir(), "agent")
	listener, err := net.Listen("unix", socket)
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				agent.ServeAgent(keyring, conn)
			}()
		}
	}()
	return socket
}

func newPrivate(t *testing.T) (ed25519.PrivateKey, ssh.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	sshPublic, err := ssh.NewPublicKey(public)
	must(t, err)
	return private, sshPublic
}

// encrypted makes a key file that needs a passphrase. One round of bcrypt is
// enough for a test, and only ssh-keygen makes so few.
func encrypted(t *testing.T, passphrase string) (string, ed25519.PrivateKey, ssh.PublicKey) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "id_ed25519")
	output, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-N", passphrase, "-f", file).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen (Debian's openssh-client): %v %s", err, output)
	}
	content, err := os.ReadFile(file)
	must(t, err)
	raw, err := ssh.ParseRawPrivateKeyWithPassphrase(content, []byte(passphrase))
	must(t, err)
	private := *raw.(*ed25519.PrivateKey)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	return file, private, signer.PublicKey()
}

func certificate(t *testing.T, authority ssh.Signer, public ssh.PublicKey) *ssh.Certificate {
	t.Helper()
	cert := &ssh.Certificate{
		Key: public, CertType: ssh.UserCert, ValidPrincipals: []string{"root"}, ValidBefore: ssh.CertTimeInfinity,
	}
	must(t, cert.SignCert(rand.Reader, authority))
	return cert
}

func TestIdentities(t *testing.T) {
	t.Setenv("HOME", t.TempDir()) // whose ~/.ssh is empty
	authority, err := remotetest.NewKey()
	must(t, err)
	locked, private, public := encrypted(t, "open sesame")
	certified, certifiedPrivate, certifiedPublic := encrypted(t, "x")
	mismatched, _, _ := encrypted(t, "x")
	cert := certificate(t, authority, certifiedPublic)
	_, target := serve(t, remotetest.Options{
		Handler: echo, AuthorizedKeys: []ssh.PublicKey{public}, Authorities: []ssh.PublicKey{authority.PublicKey()},
	})
	strangers := func(count int) (keys []agent.AddedKey) {
		for range count {
			private, _ := newPrivate(t)
			keys = append(keys, agent.AddedKey{PrivateKey: &private})
		}
		return keys
	}
	own := agent.AddedKey{PrivateKey: &private, Comment: "ours \x1b[31m"}
	asked := 0
	typed := func(word string) func(context.Context, string) ([]byte, error) {
		return func(context.Context, string) ([]byte, error) {
			asked++
			return []byte(word), nil
		}
	}
	must(t, os.WriteFile(certified+"-cert.pub", ssh.MarshalAuthorizedKey(cert), 0o644))
	must(t, os.WriteFile(mismatched+"-cert.pub", ssh.MarshalAuthorizedKey(cert), 0o644))

	for _, test := range []struct {
		name     string
		identity *Identity
		kind     fault.Kind // 0 for success
		words    []string
	}{
		{name: "agent", identity: &Identity{Agent: true, AgentSocket: startAgent(t, own)}},
		{name: "agent, third key", identity: &Identity{Agent: true, AgentSocket: startAgent(t, append(strangers(2), own)...)}},
		{name: "agent with a certificate", identity: &Identity{Agent: true, AgentSocket: startAgent(t, agent.AddedKey{PrivateKey: &certifiedPrivate, Certificate: cert})}},
		{name: "agent with strangers only", identity: &Identity{Agent: true, AgentSocket: startAgent(t, strangers(9)...)},
			kind: fault.Unreachable, words: []string{"refused the login root with agent (SHA256:"}},
		{name: "agent that is empty", identity: &Identity{Agent: true, AgentSocket: startAgent(t)},
			kind: fault.Invalid, words: []string{"no key to log in", "ssh-add"}},
		{name: "agent that is not there", identity: &Identity{Agent: true, AgentSocket: "/nowhere/agent"},
			kind: fault.Invalid, words: []string{"no key to log in", "no such file"}},
		{name: "encrypted file, held by the agent", identity: &Identity{File: locked, Agent: true, AgentSocket: startAgent(t, append(strangers(7), own)...)}},
		{name: "encrypted file, agent not allowed", identity: &Identity{File: locked, AgentSocket: startAgent(t, own)},
			kind: fault.Invalid, words: []string{"needs a passphrase", "ssh-add " + locked}},
		{name: "encrypted file, passphrase typed", identity: &Identity{File: locked, Passphrase: typed("open sesame")}},
		{name: "encrypted file, passphrase wrong", identity: &Identity{File: locked, Passphrase: typed("open barley")},
			kind: fault.Invalid, words: []string{"passphrase of " + locked + " was not accepted"}},
		{name: "encrypted file, nobody there to type", identity: &Identity{File: locked, Passphrase: func(context.Context, string) ([]byte, error) {
			return nil, errors.New("no terminal")
		}}, kind: fault.Invalid, words: []string{"no terminal"}},
		{name: "certificate beside the file", identity: &Identity{File: certified, Passphrase: typed("x")}},
		{name: "certificate of another key", identity: &Identity{File: mismatched, Passphrase: typed("x")},
			kind: fault.Invalid, words: []string{"-cert.pub is not for the key"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			target.Identity = test.identity
			asked = 0
			for range 2 { // a second server
				transport, err := DialSSH(t.Context(), target)
				if err == nil {
					transport.Close()
				}
				if test.kind == 0 {
					must(t, err)
				} else {
					refused(t, err, test.kind, test.words...)
				}
			}
			if test.kind == 0 && asked > 1 {
				t.Errorf("asked %d times for a passphrase", asked)
			}
		})
	}
}

// TestSlowTypist: connecting has little time, and typing a passphrase has all
// that it takes.
func TestSlowTypist(t *testing.T) {
	file, _, public := encrypted(t, "x")
	_, target := serve(t, remotetest.Options{Handler: echo, AuthorizedKeys: []ssh.PublicKey{public}, Forward: true})
	target.ConnectTimeout = 500 * time.Millisecond
	for _, way := range []string{"directly", "in a pool", "for a jump host"} {
		identity := &Identity{File: file, Passphrase: func(ctx context.Context, _ string) ([]byte, error) {
			time.Sleep(600 * time.Millisecond)
			return []byte("x"), ctx.Err()
		}}
		target, own := target, target.Identity
		target.Identity = identity
		var err error
		switch way {
		case "in a pool":
			pool := NewPool()
			_, err = pool.Get(t.Context(), target)
			pool.Close()
		case "for a jump host":
			jump := target
			target.Jump, target.Identity = &jump, own
			fallthrough
		default:
			var transport Transport
			if transport, err = DialSSH(t.Context(), target); err == nil {
				transport.Close()
			}
		}
		if err != nil {
			t.Errorf("%s: %v", way, err)
		}
	}
}

func TestStandardFiles(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("SSH_AUTH_SOCK", "")
	server, target := serve(t, remotetest.Options{Handler: echo})
	content, err := os.ReadFile(target.Identity.File)
	must(t, err)
	must(t, os.Mkdir(filepath.Join(home, ".ssh"), 0o700))
	must(t, os.WriteFile(filepath.Join(home, ".ssh", "id_ed25519"), content, 0o600))
	target.Identity = nil
	_, err = run(t, connect(t, target), "", "/bin/true")
	must(t, err)
	if got := strings.Join(server.Attempts(), ","); got != "root none,root publickey,root publickey" && got != "root none,root publickey" {
		t.Error(got)
	}
}

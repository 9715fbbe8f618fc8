package remote

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"orchestra/pkg/fault"
)

// maxIdentities is how many keys are offered: sshd hangs up at the sixth that
// it refuses (MaxAuthTries).
const maxIdentities = 5

// Identity is what we log in with. It is safe for concurrent use, and one is
// shared by all servers, so that a key file is read, and a passphrase asked
// for, once.
type Identity struct {
	// File is a private key; nothing else is offered then. If it is encrypted,
	// the agent is asked for it, then Passphrase. A certificate is taken from
	// beside it (FILE-cert.pub). "" stands for all that the agent holds, and
	// then the standard files of ~/.ssh that need no passphrase.
	File string
	// Agent allows the agent to be asked.
	Agent bool
	// AgentSocket is the agent's address; "" for SSH_AUTH_SOCK.
	AgentSocket string
	// Passphrase asks a person for the passphrase of a key file; or nil.
	Passphrase func(ctx context.Context, file string) ([]byte, error)

	mutex  sync.Mutex
	loaded map[string][]identityKey // by file
}

// identityKey is a key to log in with, and what a person calls it.
type identityKey struct {
	signer ssh.Signer
	name   string
}

// keys returns what to offer, in order. done ends the use of the agent, once
// the login is over.
func (id *Identity) keys(ctx context.Context) (keys []identityKey, done func(), err error) {
	held := &agentKeys{}
	if id.Agent {
		held = askAgent(ctx, id.AgentSocket)
	}
	if id.File != "" {
		keys, err = id.fromFile(ctx, id.File, held, true)
	} else {
		keys, err = id.everything(ctx, held)
	}
	if err != nil {
		held.close()
		return nil, nil, err
	}
	if len(keys) > maxIdentities {
		keys = keys[:maxIdentities]
	}
	return keys, held.close, nil
}

// unlock has the passphrases typed that target and its jump hosts need, so that
// the time for connecting does not run meanwhile.
func unlock(ctx context.Context, target Target) error {
	for t := &target; t != nil; t = t.Jump {
		if t.Identity == nil || t.Identity.File == "" || t.Identity.Passphrase == nil {
			continue
		}
		_, done, err := t.Identity.keys(ctx)
		if err != nil {
			return err
		}
		done()
	}
	return nil
}

// everything returns the agent's keys and then those of the standard files.
func (id *Identity) everything(ctx context.Context, held *agentKeys) ([]identityKey, error) {
	keys := held.keys
	home, _ := os.UserHomeDir()
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		file := filepath.Join(home, ".ssh", name)
		found, err := id.fromFile(ctx, file, held, false)
		if err != nil {
			continue // nobody asked for this file
		}
		for _, key := range found {
			if !holds(keys, key.signer.PublicKey()) {
				keys = append(keys, key)
			}
		}
	}
	if len(keys) == 0 {
		return nil, fault.New(fault.Invalid, "there is no key to log in to servers with: the agent holds none, and ~/.ssh has none without a passphrase").
			About("ssh.identity").Because(held.err).
			WithHint("ORCHESTRA_SSH_IDENTITY=~/.ssh/id_ed25519, or ssh-add")
	}
	return keys, nil
}

// fromFile returns the certificate and the key of a file, asking for its
// passphrase only where ask says so.
func (id *Identity) fromFile(ctx context.Context, file string, held *agentKeys, ask bool) ([]identityKey, error) {
	id.mutex.Lock()
	defer id.mutex.Unlock()
	if keys, ok := id.loaded[file]; ok {
		return keys, nil
	}
	content, err := readPrivate(file)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(content)
	var encrypted *ssh.PassphraseMissingError
	if errors.As(err, &encrypted) {
		if keys := held.matching(publicOf(file, encrypted.PublicKey)); len(keys) > 0 {
			return keys, nil // not remembered: the agent's connection ends
		}
		signer, err = id.decrypt(ctx, file, content, ask)
	}
	if err != nil {
		if _, ok := errors.AsType[*fault.Error](err); ok {
			return nil, err
		}
		return nil, fault.New(fault.Invalid, "the file %s holds no private key that can be read", file).
			About("ssh.identity").Because(err)
	}
	keys, err := withCertificate(file, signer)
	if err != nil {
		return nil, err
	}
	if id.loaded == nil {
		id.loaded = map[string][]identityKey{}
	}
	id.loaded[file] = keys
	return keys, nil
}

// decrypt asks for the passphrase of an encrypted key.
func (id *Identity) decrypt(ctx context.Context, file string, content []byte, ask bool) (ssh.Signer, error) {
	if id.Passphrase == nil || !ask {
		return nil, fault.New(fault.Invalid, "the key %s needs a passphrase", file).
			About("ssh.identity").WithHint("ssh-add %s", file)
	}
	passphrase, err := id.Passphrase(ctx, file)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the key %s needs a passphrase", file).
			About("ssh.identity").Because(err).WithHint("ssh-add %s", file)
	}
	signer, err := ssh.ParsePrivateKeyWithPassphrase(content, passphrase)
	clear(passphrase)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the passphrase of %s was not accepted", file).
			About("ssh.identity").Because(err)
	}
	return signer, nil
}

// readPrivate reads a key file that only its owner can read, as ssh(1) asks.
func readPrivate(file string) ([]byte, error) {
	refused := func(cause error) error {
		return fault.New(fault.Invalid, "the key file %s cannot be read", file).
			About("ssh.identity").Because(cause)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, refused(pathless(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, refused(pathless(err))
	}
	if !info.Mode().IsRegular() {
		return nil, refused(errors.New("it is not a regular file"))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Invalid, "the key file %s has mode %04o: others than its owner can use it", file, info.Mode().Perm()).
			About("ssh.identity").WithHint("chmod 600 %s", file)
	}
	content := make([]byte, 0, 4096)
	buffer := bytes.NewBuffer(content)
	if _, err := buffer.ReadFrom(f); err != nil {
		return nil, refused(pathless(err))
	}
	return buffer.Bytes(), nil
}

// publicOf returns the public half of an encrypted key file.
func publicOf(file string, embedded ssh.PublicKey) ssh.PublicKey {
	if embedded != nil {
		return embedded
	}
	return readPublic(file + ".pub") // the PEM formats do not tell it
}

func readPublic(file string) ssh.PublicKey {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(content)
	if err != nil {
		return nil
	}
	return key
}

// withCertificate returns signer's certificate, where FILE-cert.pub holds one
// for it, and signer itself.
func withCertificate(file string, signer ssh.Signer) ([]identityKey, error) {
	keys := []identityKey{{signer: signer, name: file}}
	certificate, ok := readPublic(file + "-cert.pub").(*ssh.Certificate)
	if !ok {
		return keys, nil
	}
	certified, err := ssh.NewCertSigner(certificate, signer)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the certificate %s is not for the key beside it", file+"-cert.pub").
			About("ssh.identity").Because(err)
	}
	return append([]identityKey{{signer: certified, name: file + "-cert.pub"}}, keys...), nil
}

func holds(keys []identityKey, public ssh.PublicKey) bool {
	for _, key := range keys {
		if bytes.Equal(key.signer.PublicKey().Marshal(), public.Marshal()) {
			return true
		}
	}
	return false
}

// names lists keys for a person.
func names(keys []identityKey) string {
	var list []string
	for _, key := range keys {
		list = append(list, key.name+" ("+ssh.FingerprintSHA256(key.signer.PublicKey())+")")
	}
	return strings.Join(list, ", ")
}

// pathless returns why a file operation failed, without naming the file again.
func pathless(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

package value

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"strings"

	"golang.org/x/crypto/ssh"

	"orchestra/pkg/fault"
)

// keyAlgoDSA is the type of keys that OpenSSH has dropped.
const keyAlgoDSA = "ssh-dss"

// keyLimit is the longest line of a key: an RSA key of 16384 bits and a comment.
const keyLimit = 4096

// PublicKey returns the canonical line of an SSH public key: its type, its
// base64 and its comment, with one space between. The blob must be a key of
// that type. Options, certificates, CA keys, DSA, RSA below 2048 bits and more
// than one line are refused: such a line may be more than a key.
func PublicKey(text string) (string, error) {
	kind, blob, comment, err := keyLine(text)
	if err != nil {
		return "", err
	}
	if comment != "" {
		return kind + " " + blob + " " + comment, nil
	}
	return kind + " " + blob, nil
}

// HostKey returns the canonical line of a server's public key: PublicKey
// without its comment, and of a type that servers have.
func HostKey(text string) (string, error) {
	kind, blob, _, err := keyLine(text)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(kind, "sk-") {
		return "", fault.New(fault.Invalid, "%s is not a type of host key", kind)
	}
	return kind + " " + blob, nil
}

// KeyBlob returns the base64 of a canonical key line: what makes two lines the same key.
func KeyBlob(line string) string {
	_, rest, _ := strings.Cut(line, " ")
	blob, _, _ := strings.Cut(rest, " ")
	return blob
}

func keyLine(text string) (kind, blob, comment string, err error) {
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r") // of a .pub file
	if len(text) > keyLimit {
		return "", "", "", fault.New(fault.Invalid, "it is longer than %d characters: not a public key", keyLimit)
	}
	if text == "" {
		return "", "", "", fault.New(fault.Invalid, "a public key is needed")
	}
	if _, err := Line(text, keyLimit); err != nil {
		return "", "", "", err
	}
	kind, rest, _ := strings.Cut(strings.Trim(text, " "), " ")
	blob, comment, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
	comment = strings.TrimSpace(comment)
	switch kind {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoRSA, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
	case keyAlgoDSA:
		return "", "", "", fault.New(fault.Invalid, "DSA keys are not accepted: they are too weak").
			WithHint("ssh-keygen -t ed25519")
	default:
		return "", "", "", fault.New(fault.Invalid, "%q does not begin with the type of a public key, such as ssh-ed25519; options and certificates are not accepted", cut(text)).
			WithHint("give the one line of the .pub file")
	}
	data, err := base64.StdEncoding.Strict().DecodeString(blob)
	if err != nil {
		return "", "", "", fault.New(fault.Invalid, "the key after %s is not base64", kind)
	}
	key, err := ssh.ParsePublicKey(data)
	if err != nil || key.Type() != kind || !bytes.Equal(key.Marshal(), data) {
		return "", "", "", fault.New(fault.Invalid, "the key after %s is not a key of that type: it is cut short or altered", kind)
	}
	if err := strong(key); err != nil {
		return "", "", "", err
	}
	return kind, base64.StdEncoding.EncodeToString(data), comment, nil
}

func strong(key ssh.PublicKey) error {
	inner, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return nil
	}
	if public, ok := inner.CryptoPublicKey().(*rsa.PublicKey); ok && public.N.BitLen() < 2048 {
		return fault.New(fault.Invalid, "it is an RSA key of %d bits; sshd takes 2048 or more", public.N.BitLen()).
			WithHint("ssh-keygen -t ed25519")
	}
	return nil
}

package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"orchestra/pkg/remote/remotetest"
)

// server is one of the two: an SSH server of this process and its scratch root.
type server struct {
	name string
	root string
	ssh  *remotetest.Server
}

// runtimeDirectory is where the runtime is copied to and keeps its state.
func (s *server) runtimeDirectory() string { return filepath.Join(s.root, "var", "lib", "orchestra") }

// debian is what a fresh server has, as far as the demo needs it.
var debian = []struct {
	path, content string
	mode          os.FileMode
}{
	{"etc/passwd", "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n", 0o644},
	{"etc/shadow", "root:*:20000:0:99999:7:::\nwww-data:*:20000:0:99999:7:::\n", 0o640},
	{"etc/group", "root:x:0:\nwww-data:x:33:\n", 0o644},
	{"etc/gshadow", "root:*::\nwww-data:*::\n", 0o640},
	{"etc/shells", "/bin/sh\n/bin/bash\n/usr/bin/bash\n/usr/sbin/nologin\n", 0o644},
	{"etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nSubsystem sftp /usr/lib/openssh/sftp-server\n", 0o644},
}

var debianDirectories = []string{
	"etc/ssh/sshd_config.d", "etc/systemd/system", "home", "root", "srv", "tmp", "usr", "var/lib", "var/spool/cron/crontabs",
}

// startServer makes a server whose only login is key.
func startServer(name, directory string, key ssh.PublicKey) (*server, error) {
	s := &server{name: name, root: filepath.Join(directory, name)}
	for _, each := range debianDirectories {
		if err := os.MkdirAll(filepath.Join(s.root, each), 0o755); err != nil {
			return nil, fmt.Errorf("making server %s: %w", name, err)
		}
	}
	for _, file := range debian {
		if err := os.WriteFile(filepath.Join(s.root, file.path), []byte(file.content), file.mode); err != nil {
			return nil, fmt.Errorf("making server %s: %w", name, err)
		}
	}
	// This file makes the runtime take the scratch directory for the root of
	// its machine, and stand in for what only root or a daemon could do.
	if err := os.Mkdir(s.runtimeDirectory(), 0o700); err != nil {
		return nil, fmt.Errorf("making server %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(s.runtimeDirectory(), "stand-ins"), []byte(s.root+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("making server %s: %w", name, err)
	}
	var err error
	s.ssh, err = remotetest.Listen(remotetest.Options{
		AuthorizedKeys: []ssh.PublicKey{key},
		Handler: remotetest.Shell("/bin/sh", s.root,
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME="+filepath.Join(s.root, "root")),
	})
	if err != nil {
		return nil, fmt.Errorf("starting server %s: %w", name, err)
	}
	return s, nil
}

// newIdentity writes a private key to file and returns its public half.
func newIdentity(file string) (ssh.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "orchestra demo")
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, fmt.Errorf("writing the key: %w", err)
	}
	return ssh.NewPublicKey(public)
}

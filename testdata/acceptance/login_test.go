package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orchestra/testdata/fleet"
)

// customer is a person who logs in to a server with OpenSSH's own clients.
type customer struct {
	name     string
	identity string // private key file
	public   string // public key line
	password string // for logins without the key
}

// newCustomer makes a key pair.
func newCustomer(t *testing.T, name string) customer {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if output, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, output)
	}
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return customer{name: name, identity: file, public: strings.TrimSpace(string(public))}
}

// withPassword returns the customer logging in by password instead of key.
func (c customer) withPassword(password string) customer {
	c.identity, c.password = "", password
	return c
}

func (c customer) options(t *testing.T) []string {
	t.Helper()
	options := []string{"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "ConnectTimeout=10", "-o", "IdentityAgent=none", "-o", "NumberOfPasswordPrompts=1"}
	if c.identity != "" {
		return append(options, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", c.identity)
	}
	return append(options, "-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive")
}

// environment makes ssh take the password from a file instead of a terminal.
func (c customer) environment(t *testing.T) []string {
	t.Helper()
	if c.password == "" {
		return os.Environ()
	}
	directory := t.TempDir()
	secret, helper := filepath.Join(directory, "secret"), filepath.Join(directory, "askpass")
	if err := os.WriteFile(secret, []byte(c.password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(helper, []byte("#!/bin/sh\ncat '"+secret+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "SSH_ASKPASS="+helper, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=none")
}

// ssh runs a command on a server as the customer.
func (c customer) ssh(t *testing.T, host *fleet.Host, command string) (string, error) {
	t.Helper()
	return c.client(t, "", "ssh", append(c.options(t), c.name+"@"+host.Address, command)...)
}

// batchMode says no where a password is to be given, which sftp -b forbids otherwise.
func batchMode(c customer) string {
	if c.password != "" {
		return "no"
	}
	return "yes"
}

// sftp runs lines of sftp's batch language as the customer.
func (c customer) sftp(t *testing.T, host *fleet.Host, batch string) (string, error) {
	t.Helper()
	return c.client(t, batch, "sftp", append(c.options(t), "-o", "BatchMode="+batchMode(c), "-b", "-", c.name+"@"+host.Address)...)
}

// rsync copies from or to a server as the customer.
func (c customer) rsync(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	shell := "ssh " + strings.Join(c.options(t), " ")
	return c.client(t, "", "rsync", append([]string{"-e", shell}, arguments...)...)
}

func (c customer) client(t *testing.T, input, program string, arguments ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	command := shared.fleet.Command(ctx, program, arguments...)
	command.Env = c.environment(t)
	var output bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &output, &output
	if err := command.Run(); err != nil {
		return output.String(), fmt.Errorf("%s as %s: %w", program, c.name, err)
	}
	return output.String(), nil
}

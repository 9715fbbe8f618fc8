// Package architecture tries the binary for arm64, where it can be emulated.
// What needs a machine of its own is in machine.sh: make test-arm64.
package architecture

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"orchestra/pkg/remote"
	"orchestra/pkg/remote/remotetest"
)

// emulator returns the program that runs arm64 binaries here, or says loudly that
// this is not tested.
func emulator(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"qemu-aarch64-static", "qemu-aarch64"} {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	const missing = "qemu-aarch64 is missing: apt-get install qemu-user-static"
	fmt.Fprintf(os.Stderr, "\n*** NOT TESTED: %s: %s ***\n\n", t.Name(), missing)
	t.Skip(missing)
	return ""
}

// binary builds the program for arm64 as the Makefile does, below packages.
func binary(t *testing.T) (packages, file string) {
	t.Helper()
	packages = t.TempDir()
	file = filepath.Join(packages, "orchestra-linux-arm64")
	command := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=1.2.3", "-o", file, "orchestra/cmd/orchestra")
	command.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return packages, file
}

// TestArm64 delivers the binary to a server that says it is of that architecture,
// and does a panel's work with what has arrived there: it starts, makes a
// database, writes to it and reads it again.
func TestArm64(t *testing.T) {
	program := emulator(t)
	packages, built := binary(t)
	delivered := deliver(t, packages)
	want, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(delivered); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("what was delivered is another file: %d bytes, not %d, %v", len(got), len(want), err)
	}
	directory := t.TempDir()
	orchestra := func(arguments ...string) string {
		command := exec.Command(program, append([]string{delivered}, arguments...)...)
		command.Env = append(os.Environ(), "ORCHESTRA_DATABASE="+filepath.Join(directory, "orchestra.db"),
			"ORCHESTRA_CONFIG="+filepath.Join(directory, "orchestra.toml"), "ORCHESTRA_LOG_FILE=")
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("orchestra %s: %v\n%s", strings.Join(arguments, " "), err, output)
		}
		return string(output)
	}
	if err := os.WriteFile(filepath.Join(directory, "orchestra.toml"), []byte("[log]\nfile = \"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := orchestra("--version"); got != "orchestra 1.2.3\n" {
		t.Errorf("%q", got)
	}
	orchestra("init")
	orchestra("account", "add", "acme", "--full-name", "Acme")
	if got := orchestra("account", "list", "-o", "name"); got != "acme\n" {
		t.Errorf("accounts: %q", got)
	}
	if got := orchestra("log", "show", "1", "-o", "json"); !strings.Contains(got, `"state": "done"`) {
		t.Errorf("the log: %s", got)
	}
}

// deliver makes a server of that architecture and returns where the program is
// after its first contact. It does not start there: this machine is of another.
func deliver(t *testing.T, packages string) string {
	t.Helper()
	home, directory := t.TempDir(), filepath.Join(t.TempDir(), "lib", "orchestra")
	if err := os.Mkdir(filepath.Join(home, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "bin", "uname"), []byte("#!/bin/sh\necho aarch64\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	transport := connect(t, remotetest.Options{Handler: remotetest.Shell(shell, home, "HOME="+home, "PATH="+home+"/bin:/usr/bin:/bin")})
	launcher := &remote.Launcher{Binaries: &remote.Binaries{Packages: packages}, Directory: directory}
	if process, err := launcher.Start(t.Context(), transport, "h11"); err == nil {
		process.Kill()
	}
	found, err := filepath.Glob(filepath.Join(directory, "bin", "*", "orchestra"))
	if err != nil || len(found) != 1 {
		t.Fatalf("on the server are %q, %v", found, err)
	}
	return found[0]
}

// connect reaches a server of that kind over SSH.
func connect(t *testing.T, options remotetest.Options) remote.Transport {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	options.AuthorizedKeys = []ssh.PublicKey{allowed}
	server, err := remotetest.Listen(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	transport, err := remote.DialSSH(t.Context(), remote.Target{
		Name: "h11", Address: server.Host(), Port: server.Port(), HostKeys: server.HostKeys(), Identity: &remote.Identity{File: file},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = transport.Close() })
	return transport
}

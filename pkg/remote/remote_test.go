package remote

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"orchestra/pkg/fault"
	"orchestra/pkg/remote/remotetest"
)

func TestMain(m *testing.M) {
	if os.Getenv("REMOTE_TEST_CHILD") != "" {
		os.Exit(childMain())
	}
	goleak.VerifyTestMain(m)
}

// testKey makes a key file, mode 0600, and returns it with its public half.
func testKey(t testing.TB) (file string, public ssh.PublicKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "a test")
	must(t, err)
	file = filepath.Join(t.TempDir(), "id_ed25519")
	must(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	return file, signer.PublicKey()
}

// serve starts an in-process server and returns a target that reaches it.
func serve(t testing.TB, options remotetest.Options) (*remotetest.Server, Target) {
	t.Helper()
	file, public := testKey(t)
	options.AuthorizedKeys = append(options.AuthorizedKeys, public)
	server, err := remotetest.Listen(options)
	must(t, err)
	t.Cleanup(server.Close)
	return server, Target{
		Name: "h11", Address: server.Host(), Port: server.Port(), HostKeys: server.HostKeys(),
		Identity: &Identity{File: file}, ConnectTimeout: 5 * time.Second,
	}
}

// echo is a server on which every command prints itself and then its input.
func echo(_ context.Context, command string, stdin io.Reader, stdout, _ io.Writer) int {
	io.WriteString(stdout, command+"\n")
	io.Copy(stdout, stdin)
	return 0
}

func connect(t testing.TB, target Target) Transport {
	t.Helper()
	transport, err := DialSSH(t.Context(), target)
	must(t, err)
	t.Cleanup(func() { transport.Close() })
	return transport
}

// run runs a command to its end.
func run(t testing.TB, transport Transport, input string, command ...string) (output string, err error) {
	t.Helper()
	process, err := transport.Start(t.Context(), Command{Program: command[0], Arguments: command[1:]})
	if err != nil {
		return "", err
	}
	io.WriteString(process.Input(), input)
	process.Input().Close()
	content, readErr := io.ReadAll(process.Output())
	if err := process.Wait(); err != nil {
		return string(content), err
	}
	return string(content), readErr
}

// refused checks that err is a fault of that kind which says all of words and
// has a hint.
func refused(t testing.TB, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("it went well")
	}
	if got := fault.KindOf(err); got != kind {
		t.Errorf("kind %v, want %v: %v", got, kind, err)
	}
	text := err.Error()
	if e, ok := errors.AsType[*fault.Error](err); ok {
		text += " | " + e.Hint.String()
		if e.Hint.IsZero() && kind == fault.Unreachable {
			t.Errorf("nothing to type next: %v", err)
		}
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q does not say %q", text, word)
		}
	}
	if strings.ContainsAny(text, "\x00\x07\x1b") {
		t.Errorf("%q holds what a server sent", text)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

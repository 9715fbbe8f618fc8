package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"orchestra/pkg/fault"
	"orchestra/pkg/remote/remotetest"
)

func TestProcess(t *testing.T) {
	server, target := serve(t, remotetest.Options{Login: "root", Handler: func(_ context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) int {
		io.Copy(stdout, stdin)
		io.WriteString(stderr, "oh \x1b[31mno\n")
		if strings.Contains(command, "fail") {
			return 3
		}
		return 0
	}})
	transport := connect(t, target)
	t.Run("its streams and its end", func(t *testing.T) {
		output, err := run(t, transport, "hello", "/bin/good", "it's", "$(id)")
		must(t, err)
		if output != "hello" {
			t.Errorf("output %q", output)
		}
		if got, want := server.Commands()[0], `exec '/bin/good' 'it'\''s' '$(id)'`; got != want {
			t.Errorf("the command line is %s, want %s", got, want)
		}
	})
	t.Run("its exit status and what it complained of", func(t *testing.T) {
		_, err := run(t, transport, "", "/bin/fail")
		ended, ok := errors.AsType[*ExitError](err)
		if !ok || ended.Status != 3 || ended.Errors != `oh \x1b[31mno` {
			t.Errorf("%#v", err)
		}
	})
	t.Run("its standard error", func(t *testing.T) {
		process, err := transport.Start(t.Context(), Command{Program: "/bin/good"})
		must(t, err)
		process.Input().Close()
		text, err := io.ReadAll(process.Errors())
		if err != nil || string(text) != "oh \x1b[31mno\n" {
			t.Errorf("%q %v", text, err)
		}
		must(t, process.Wait())
	})
}

// TestUnreadErrors: a process that complains a lot stands still for nobody.
func TestUnreadErrors(t *testing.T) {
	_, target := serve(t, remotetest.Options{Handler: func(_ context.Context, _ string, _ io.Reader, stdout, stderr io.Writer) int {
		noise := strings.Repeat("noise ", 1000) + "\n"
		for range 1000 { // 6 MB, three windows
			io.WriteString(stderr, noise)
		}
		io.WriteString(stdout, "done")
		return 0
	}})
	output, err := run(t, connect(t, target), "", "/bin/noisy")
	if err != nil || output != "done" {
		t.Errorf("%q %v", output, err)
	}
}

// TestRefusals is the table of what may be wrong, and of what people are told.
func TestRefusals(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	closedPort := free.Addr().(*net.TCPAddr).Port
	free.Close()
	loose, _ := testKey(t)
	must(t, os.Chmod(loose, 0o640))
	stranger, _ := testKey(t)
	otherKey, err := remotetest.NewKey()
	must(t, err)
	rsaOnly := "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC8A6FGHDiWCSREAXCq6yBfNVr0xCVG2CzvktFNRpue+RXrGs/2a6ySEJQb3IYquw7HlJgu6fg3WIWhOmHCjfpG0PrL4CRwbqQ2LaPPXhJErWYejcD8Di00cF3677+G10KMZk9RXbmHtuBFZT98wxg8j+ZsBMqGM1+7yrWUvynswQ=="
	_, err = ParseHostKey(rsaOnly)
	must(t, err)

	for _, test := range []struct {
		name   string
		faults remotetest.Faults
		change func(*Target)
		kind   fault.Kind
		words  []string
	}{
		{name: "nothing listens", change: func(t *Target) { t.Port = closedPort },
			kind: fault.Unreachable, words: []string{"server h11 (127.0.0.1:", "refused the connection", "orchestra server check h11"}},
		{name: "no answer", faults: remotetest.Faults{HangHandshake: true},
			change: func(t *Target) { t.ConnectTimeout = 200 * time.Millisecond },
			kind:   fault.Unreachable, words: []string{"h11", "did not answer within 200ms", "orchestra server check h11"}},
		{name: "no such name", change: func(t *Target) { t.Address = "nowhere.invalid" },
			kind: fault.Unreachable, words: []string{"nowhere.invalid:", "cannot be resolved"}},
		{name: "not SSH", faults: remotetest.Faults{Nonsense: strings.Repeat("\x1b]0;220 mail ready ", 30)},
			kind: fault.Unreachable, words: []string{"does not speak SSH"}},
		{name: "hung up again and again", faults: remotetest.Faults{RefuseFirst: -1},
			change: func(t *Target) { t.ConnectTimeout = 300 * time.Millisecond },
			kind:   fault.Unreachable, words: []string{"kept closing the connection before the handshake ended", "Exceeded MaxStartups", "MaxStartups in sshd_config of h11"}},
		{name: "changed host key", change: func(t *Target) { t.HostKeys = []string{line(otherKey.PublicKey())} },
			kind: fault.Conflict, words: []string{"server h11 shows another host key than the one that is pinned: SHA256:", " instead of " + ssh.FingerprintSHA256(otherKey.PublicKey()), "nothing was sent", "console (cat /etc/ssh/ssh_host_ed25519_key.pub)", "orchestra server set h11 --host-key \"ssh-ed25519 AAAA…\""}},
		{name: "host key of another type", change: func(t *Target) { t.HostKeys = []string{rsaOnly} },
			kind: fault.Conflict, words: []string{"the host key of server h11 has changed", "ssh-ed25519", "nothing was sent"}},
		{name: "no host key known", change: func(t *Target) { t.HostKeys = nil },
			kind: fault.Unreachable, words: []string{"no host key of server h11 is known", "--host-key"}},
		{name: "a host key that is none", change: func(t *Target) { t.HostKeys = []string{"ssh-ed25519 AAAA"} },
			kind: fault.Invalid, words: []string{"server.host_key"}},
		{name: "login refused", change: func(t *Target) { t.Identity = &Identity{File: stranger} },
			kind: fault.Unreachable, words: []string{"refused the login root with", "id_ed25519 (SHA256:", "authorized_keys"}},
		{name: "hung up at the login", faults: remotetest.Faults{DropLogin: true},
			kind: fault.Unreachable, words: []string{"h11"}},
		{name: "key file others can read", change: func(t *Target) { t.Identity = &Identity{File: loose} },
			kind: fault.Invalid, words: []string{"mode 0640", "chmod 600"}},
		{name: "no key file", change: func(t *Target) { t.Identity = &Identity{File: "/nowhere/id"} },
			kind: fault.Invalid, words: []string{"ssh.identity", "/nowhere/id", "no such file"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, target := serve(t, remotetest.Options{Handler: echo, Faults: test.faults})
			if test.change != nil {
				test.change(&target)
			}
			transport, err := DialSSH(t.Context(), target)
			if err == nil {
				transport.Close()
			}
			refused(t, err, test.kind, test.words...)
			if commands := server.Commands(); len(commands) > 0 {
				t.Errorf("and yet it ran %q", commands)
			}
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		_, target := serve(t, remotetest.Options{Faults: remotetest.Faults{HangHandshake: true}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		_, err := DialSSH(ctx, target)
		refused(t, err, fault.Interrupted, "h11")
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("commands refused", func(t *testing.T) {
		_, target := serve(t, remotetest.Options{Handler: echo, Faults: remotetest.Faults{RefuseExec: true}})
		_, err := run(t, connect(t, target), "", "/bin/true")
		refused(t, err, fault.Unreachable, "h11", "refuses to run commands")
	})
}

// TestChangedHostKeySendsNothing looks at what a server with another key got.
func TestChangedHostKeySendsNothing(t *testing.T) {
	server, target := serve(t, remotetest.Options{Handler: echo})
	target.Login = "a-name-to-look-for"
	must(t, connect(t, target).Close())
	if got := server.Attempts(); len(got) == 0 {
		t.Fatal("the server does not note logins")
	}
	before, received := len(server.Attempts()), len(server.Received())
	key, err := remotetest.NewKey()
	must(t, err)
	server.SetHostKeys(key)
	_, err = DialSSH(t.Context(), target)
	refused(t, err, fault.Conflict, "another host key")
	server.Close() // so that all was received
	if got := server.Attempts()[before:]; len(got) > 0 {
		t.Errorf("it saw the logins %q", got)
	}
	// Version, algorithms and the public half of the key exchange are all that
	// it may see: they are the same for every server.
	if got := server.Received()[received:]; len(got) > 4096 || strings.Contains(string(got), target.Login) {
		t.Errorf("it got %d bytes: %q", len(got), got)
	}
}

func TestRefusedConnectionsAreRetried(t *testing.T) {
	for _, reset := range []bool{false, true} {
		server, target := serve(t, remotetest.Options{Handler: echo, Faults: remotetest.Faults{RefuseFirst: 4, Reset: reset}})
		if _, err := run(t, connect(t, target), "", "/bin/true"); err != nil {
			t.Errorf("reset %v: %v", reset, err)
		}
		if got := server.Connections(); got != 5 {
			t.Errorf("reset %v: %d connections", reset, got)
		}
	}
}

func TestRefusedLoginIsNotRetried(t *testing.T) {
	server, target := serve(t, remotetest.Options{Handler: echo, Login: "somebody"})
	_, err := DialSSH(t.Context(), target)
	refused(t, err, fault.Unreachable, "refused the login root")
	if got := server.Connections(); got != 1 {
		t.Errorf("%d connections", got)
	}
	server.SetFaults(remotetest.Faults{DropLogin: true})
	_, err = DialSSH(t.Context(), target)
	refused(t, err, fault.Unreachable)
	if got := server.Connections() - 1; got > 2 {
		t.Errorf("%d connections to one that hangs up at the login", got)
	}
}

func TestGarbageBeforeTheVersion(t *testing.T) {
	_, target := serve(t, remotetest.Options{Handler: echo, Faults: remotetest.Faults{Garbage: "Welcome!\r\nAll is logged.\r\n"}})
	if _, err := run(t, connect(t, target), "", "/bin/true"); err != nil {
		t.Error(err)
	}
}

func TestDroppedConnection(t *testing.T) {
	slow := func(ctx context.Context, _ string, _ io.Reader, stdout, _ io.Writer) int {
		io.WriteString(stdout, "half")
		<-ctx.Done()
		return 0
	}
	t.Run("a process loses its streams and says why", func(t *testing.T) {
		server, target := serve(t, remotetest.Options{Handler: slow})
		process, err := connect(t, target).Start(t.Context(), Command{Program: "/bin/slow"})
		must(t, err)
		must(t, read(process, "half"))
		server.Drop()
		_, err = io.ReadAll(process.Output())
		refused(t, err, fault.Unreachable, "the connection to server h11", "broke", "orchestra server check h11")
		if err := process.Wait(); !errors.Is(err, ErrLost) {
			t.Error(err)
		}
		if _, err := process.Input().Write([]byte("x")); err == nil {
			_, err = process.Input().Write([]byte("x")) // the first may be on its way
			if err == nil {
				t.Error("its input still takes")
			}
		}
	})
	t.Run("in the middle of the output", func(t *testing.T) {
		_, target := serve(t, remotetest.Options{
			Faults: remotetest.Faults{DropAfter: 50_000},
			Handler: func(_ context.Context, _ string, _ io.Reader, stdout, _ io.Writer) int {
				io.WriteString(stdout, strings.Repeat("x", 1_000_000))
				return 0
			},
		})
		_, err := run(t, connect(t, target), "", "/bin/long")
		refused(t, err, fault.Unreachable, "broke")
	})
	t.Run("a server that stands still", func(t *testing.T) {
		server, target := serve(t, remotetest.Options{Handler: slow})
		target.Keepalive = 100 * time.Millisecond
		process, err := connect(t, target).Start(t.Context(), Command{Program: "/bin/slow"})
		must(t, err)
		must(t, read(process, "half"))
		time.Sleep(250 * time.Millisecond) // keepalives are answered
		select {
		case <-process.(*sshProcess).done:
			t.Fatal("given up")
		default:
		}
		server.Stall()
		refused(t, process.Wait(), fault.Unreachable, "stopped answering")
	})
	t.Run("a process that is dropped frees who waits for it", func(t *testing.T) {
		server, target := serve(t, remotetest.Options{Handler: slow})
		process, err := connect(t, target).Start(t.Context(), Command{Program: "/bin/slow"})
		must(t, err)
		must(t, read(process, "half"))
		server.Stall()
		time.AfterFunc(50*time.Millisecond, func() { process.Kill() })
		if _, err := io.ReadAll(process.Output()); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		server.Resume()
		if err := process.Wait(); err == nil {
			t.Error("it ended well")
		}
	})
	t.Run("Close ends what runs", func(t *testing.T) {
		_, target := serve(t, remotetest.Options{Handler: slow})
		transport := connect(t, target)
		process, err := transport.Start(t.Context(), Command{Program: "/bin/slow"})
		must(t, err)
		must(t, transport.Close()) // with its output unread
		if err := process.Wait(); !errors.Is(err, ErrLost) {
			t.Error(err)
		}
		_, err = transport.Start(t.Context(), Command{Program: "/bin/slow"})
		if !errors.Is(err, ErrLost) {
			t.Error(err)
		}
	})
}

func read(process Process, want string) error {
	got := make([]byte, len(want))
	if _, err := io.ReadFull(process.Output(), got); err != nil {
		return err
	}
	if string(got) != want {
		return errors.New("read " + string(got))
	}
	return nil
}

// TestSlots: no more processes at once than there are slots, and a server that
// allows fewer is asked again.
func TestSlots(t *testing.T) {
	for _, test := range []struct{ slots, sessions, most int }{{2, 0, 2}, {6, 3, 3}} {
		var mutex sync.Mutex
		var running, most int
		_, target := serve(t, remotetest.Options{MaxSessions: test.sessions, Handler: func(context.Context, string, io.Reader, io.Writer, io.Writer) int {
			mutex.Lock()
			running++
			most = max(most, running)
			mutex.Unlock()
			time.Sleep(20 * time.Millisecond)
			mutex.Lock()
			running--
			mutex.Unlock()
			return 0
		}})
		target.Slots = test.slots
		transport := connect(t, target)
		var group sync.WaitGroup
		for range 12 {
			group.Go(func() {
				if _, err := run(t, transport, "", "/bin/true"); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if most > test.most || most < 2 {
			t.Errorf("%d slots, %d sessions: %d ran at once", test.slots, test.sessions, most)
		}
	}
}

func TestWaitingForASlotEnds(t *testing.T) {
	_, target := serve(t, remotetest.Options{Handler: func(ctx context.Context, _ string, _ io.Reader, _, _ io.Writer) int {
		<-ctx.Done()
		return 0
	}})
	target.Slots = 1
	transport := connect(t, target)
	_, err := transport.Start(t.Context(), Command{Program: "/bin/long"})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = transport.Start(ctx, Command{Program: "/bin/long"})
	refused(t, err, fault.Unreachable, "h11")
}

func TestSudo(t *testing.T) {
	server, target := serve(t, remotetest.Options{Handler: echo})
	target.Login = "admin"
	_, err := run(t, connect(t, target), "", "/bin/true", "-x")
	must(t, err)
	if got, want := server.Commands()[0], `exec sudo -n -- '/bin/true' '-x'`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestKnownHosts(t *testing.T) {
	server, target := serve(t, remotetest.Options{Handler: echo})
	file := filepath.Join(t.TempDir(), "known_hosts")
	own, err := ParseHostKey(server.HostKeys()[0])
	must(t, err)
	other, err := remotetest.NewKey()
	must(t, err)
	name := "[127.0.0.1]:" + strings.TrimPrefix(target.where(), "127.0.0.1:")
	pinned := target.HostKeys
	for _, test := range []struct {
		name, content string
		pinned        []string
		words         []string // "" for success
	}{
		{"found there", name + " " + line(own), nil, nil},
		{"found there, another pinned", name + " " + line(own), []string{line(other.PublicKey())}, nil},
		{"another there, this one pinned", name + " " + line(other.PublicKey()), pinned, nil},
		{"another there", name + " " + line(other.PublicKey()), nil, []string{"another host key"}},
		{"nothing there", "elsewhere " + line(own), nil, []string{"no host key of server h11 is known"}},
		{"revoked", "@revoked * " + line(own), pinned, []string{"is revoked"}},
		{"not such a file", "what?", pinned, []string{"ssh.known_hosts"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			must(t, os.WriteFile(file, []byte(test.content+"\n"), 0o600))
			target := target
			target.HostKeys, target.KnownHosts = test.pinned, file
			transport, err := DialSSH(t.Context(), target)
			if err == nil {
				transport.Close()
			}
			if test.words == nil {
				must(t, err)
				return
			}
			kind := fault.Conflict
			switch test.name {
			case "not such a file":
				kind = fault.Invalid
			case "nothing there":
				kind = fault.Unreachable
			}
			refused(t, err, kind, test.words...)
		})
	}
}

func TestFetchHostKeys(t *testing.T) {
	server, target := serve(t, remotetest.Options{Handler: echo, Faults: remotetest.Faults{RefuseFirst: 1}})
	pinned := target.HostKeys
	target.HostKeys = nil
	keys, err := FetchHostKeys(t.Context(), target)
	must(t, err)
	if len(keys) != 1 || keys[0].Line != pinned[0] || keys[0].Type != "ssh-ed25519" || !strings.HasPrefix(keys[0].Fingerprint, "SHA256:") {
		t.Errorf("%+v", keys)
	}
	if got := server.Attempts(); len(got) > 0 {
		t.Errorf("it tried to log in: %q", got)
	}
	server.Close()
	_, err = FetchHostKeys(t.Context(), target)
	refused(t, err, fault.Unreachable, "h11", "refused")
}

func TestCheckHostKey(t *testing.T) {
	_, other := serve(t, remotetest.Options{Handler: echo})
	server, target := serve(t, remotetest.Options{Handler: echo, Faults: remotetest.Faults{RefuseFirst: 1}})
	target.Identity = nil // nobody logs in
	must(t, CheckHostKey(t.Context(), target))
	if got := server.Attempts(); len(got) > 0 {
		t.Errorf("it tried to log in: %q", got)
	}
	wrong := target
	wrong.HostKeys = other.HostKeys
	refused(t, CheckHostKey(t.Context(), wrong), fault.Conflict, "h11", "another host key", "SHA256:")
	wrong.HostKeys = []string{"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="}
	refused(t, CheckHostKey(t.Context(), wrong), fault.Conflict, "h11", "another host key")
	server.Close()
	refused(t, CheckHostKey(t.Context(), target), fault.Unreachable, "h11", "refused")
}

func TestParseHostKey(t *testing.T) {
	const key = "AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"
	for _, good := range []string{"ssh-ed25519 " + key, "ssh-ed25519 " + key + " root@web1"} {
		if _, err := ParseHostKey(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "ssh-ed25519", "ssh-rsa " + key, "ssh-ed25519 !!!!", "* ssh-ed25519 " + key,
		"@cert-authority * ssh-ed25519 " + key, "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"ssh-ed25519 " + key + "\n* ssh-ed25519 " + key, "ssh-ed25519 " + key[:40],
	} {
		if _, err := ParseHostKey(bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

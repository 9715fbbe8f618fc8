package remote

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"orchestra/pkg/fault"
)

// opensshd is a real sshd on a port of the loopback interface, into which one
// logs in as whoever runs the test.
type opensshd struct {
	target Target
	home   string // $HOME of the logins
	log    *tail
}

// startOpenSSH starts a real sshd with more lines of configuration, and a
// target that reaches it. Without sshd the test is left out, and says so.
func startOpenSSH(t testing.TB, lines ...string) *opensshd {
	t.Helper()
	const program = "/usr/sbin/sshd" // it insists on an absolute path
	if _, err := os.Stat(program); err != nil {
		t.Skipf("LEFT OUT: %s is not installed here (Debian's openssh-server): nothing was tried against a real sshd", program)
	}
	directory := t.TempDir()
	login, err := user.Current()
	must(t, err)
	if os.Getuid() == 0 {
		must(t, os.MkdirAll("/run/sshd", 0o755)) // sshd does not start without, even to use another
	}
	d := &opensshd{home: t.TempDir(), log: newTail()}
	identity, public := testKey(t)
	authorized := filepath.Join(directory, "authorized_keys")
	must(t, os.WriteFile(authorized, ssh.MarshalAuthorizedKey(public), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	config := []string{
		"ListenAddress 127.0.0.1", fmt.Sprint("Port ", port), "PidFile none", "UsePAM no", "StrictModes no", "Subsystem sftp internal-sftp",
		"PermitRootLogin prohibit-password", "AuthorizedKeysFile " + authorized, "LogLevel VERBOSE", "SetEnv HOME=" + d.home,
	}
	var hostKeys []string
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		file := filepath.Join(directory, kind)
		output, err := exec.Command("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file).CombinedOutput()
		if err != nil {
			t.Fatalf("ssh-keygen: %s", output)
		}
		content, err := os.ReadFile(file + ".pub")
		must(t, err)
		hostKeys = append(hostKeys, strings.TrimSpace(string(content)))
		config = append(config, "HostKey "+file)
	}
	file := filepath.Join(directory, "sshd_config")
	must(t, os.WriteFile(file, []byte(strings.Join(append(lines, config...), "\n")+"\n"), 0o600))
	daemon := exec.Command(program, "-D", "-e", "-f", file)
	daemon.Stderr = d.log
	must(t, daemon.Start())
	t.Cleanup(func() {
		daemon.Process.Signal(os.Interrupt)
		daemon.Wait()
		if t.Failed() {
			t.Log(d.log.last())
		}
	})
	d.target = Target{
		Name: "h11", Address: "127.0.0.1", Port: port, Login: login.Username, HostKeys: hostKeys,
		Identity: &Identity{File: identity}, ConnectTimeout: 20 * time.Second,
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", d.target.where())
		if err == nil {
			conn.Close()
			return d
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not start: %s", d.log.last())
		}
	}
}

// logged returns all that sshd wrote.
func (d *opensshd) logged() string {
	d.log.mutex.Lock()
	defer d.log.mutex.Unlock()
	return string(d.log.buffer)
}

// launcher returns one that delivers a stand-in to the machine.
func (d *opensshd) launcher(t testing.TB) *Launcher {
	t.Helper()
	program := filepath.Join(t.TempDir(), "orchestra")
	must(t, os.WriteFile(program, []byte(standIn), 0o755))
	return &Launcher{
		Binaries: &Binaries{Executable: program}, Directory: filepath.Join(d.home, "lib"),
		Timeout: 10 * time.Second, patience: time.Second,
	}
}

func TestOpenSSH(t *testing.T) {
	d := startOpenSSH(t)
	t.Run("each type of host key alone", func(t *testing.T) {
		for _, key := range d.target.HostKeys {
			target := d.target
			target.HostKeys = []string{key}
			if output, err := run(t, connect(t, target), "in\x00\xff", "/bin/cat"); err != nil || output != "in\x00\xff" {
				t.Errorf("%.20s: %q %v", key, output, err)
			}
		}
	})
	t.Run("fetched host keys", func(t *testing.T) {
		target := d.target
		target.HostKeys = nil
		keys, err := FetchHostKeys(t.Context(), target)
		must(t, err)
		for i, key := range keys {
			if !strings.HasPrefix(d.target.HostKeys[i], key.Line) {
				t.Errorf("%s, want %s", key.Line, d.target.HostKeys[i])
			}
		}
		if len(keys) != 3 {
			t.Errorf("%d keys", len(keys))
		}
	})
	t.Run("exit status and errors", func(t *testing.T) {
		_, err := run(t, connect(t, d.target), "", "/bin/sh", "-c", "echo 'what is wrong' >&2; exit 7")
		if err == nil || err.Error() != "exit status 7: what is wrong" {
			t.Error(err)
		}
		_, err = run(t, connect(t, d.target), "", "/bin/sh", "-c", "kill -TERM $$")
		if err == nil || err.Error() != "ended by signal TERM" {
			t.Error(err)
		}
	})
	t.Run("through itself as a jump host", func(t *testing.T) {
		target, jump := d.target, d.target
		target.Jump = &jump
		if output, err := run(t, connect(t, target), "", "/bin/echo", "there"); err != nil || output != "there\n" {
			t.Errorf("%q %v", output, err)
		}
	})
	t.Run("a dropped process sees the end of its input", func(t *testing.T) {
		process, err := connect(t, d.target).Start(t.Context(), Command{Program: "/bin/sh",
			Arguments: []string{"-c", "echo on; cat; echo off >" + d.home + "/ended"}})
		must(t, err)
		must(t, read(process, "on\n"))
		must(t, process.Kill())
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(d.home + "/ended"); err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("it does not")
			}
		}
	})
	t.Run("megabytes each way", func(t *testing.T) {
		input := strings.Repeat("0123456789abcde\n", 1<<18)
		process, err := connect(t, d.target).Start(t.Context(), Command{Program: "/bin/cat"})
		must(t, err)
		go func() {
			io.WriteString(process.Input(), input)
			process.Input().Close()
		}()
		output, err := io.ReadAll(process.Output())
		if err != nil || string(output) != input {
			t.Errorf("%d bytes, %v", len(output), err)
		}
	})
}

// TestOpenSSHChangedKey is the case srv-095: sshd's own log shows that nobody
// tried to log in.
func TestOpenSSHChangedKey(t *testing.T) {
	d := startOpenSSH(t, "LogLevel DEBUG1")
	_, other := testKey(t)
	target := d.target
	target.HostKeys = []string{line(other)}
	_, err := DialSSH(t.Context(), target)
	refused(t, err, fault.Conflict, "server h11 shows another host key", ssh.FingerprintSHA256(other))
	time.Sleep(100 * time.Millisecond)
	for _, word := range []string{"userauth", "Starting session", "Accepted", target.Login + " from"} {
		if strings.Contains(d.logged(), word) {
			t.Errorf("sshd's log says %q", word)
		}
	}
	must(t, connect(t, d.target).Close())
	if !strings.Contains(d.logged(), "userauth") {
		t.Error("sshd's log would not show it")
	}
}

// TestOpenSSHMaxStartups: what happens when fifty panels come at once.
func TestOpenSSHMaxStartups(t *testing.T) {
	d := startOpenSSH(t, "MaxStartups 3:30:10")
	d.target.ConnectTimeout = time.Minute // fifty on one processor take a while
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			transport, err := DialSSH(t.Context(), d.target)
			if err != nil {
				t.Error(err)
				return
			}
			defer transport.Close()
			if output, err := run(t, transport, "", "/bin/echo", "in"); err != nil || output != "in\n" {
				t.Errorf("%q %v", output, err)
			}
		})
	}
	group.Wait()
	if !strings.Contains(d.logged(), "MaxStartups") {
		t.Log("sshd refused nobody; the test proves little this time")
	}
}

func TestOpenSSHMaxSessions(t *testing.T) {
	d := startOpenSSH(t, "MaxSessions 2")
	d.target.Slots = 8
	transport := connect(t, d.target)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if output, err := run(t, transport, "", "/bin/sh", "-c", "sleep 0.05; echo in"); err != nil || output != "in\n" {
				t.Errorf("%q %v", output, err)
			}
		})
	}
	group.Wait()
}

// TestOpenSSHLoginShells: Debian's bash reads .bashrc below sshd.
func TestOpenSSHLoginShells(t *testing.T) {
	d := startOpenSSH(t)
	debian := func(t *testing.T) bool { // does this login shell read .bashrc?
		must(t, os.WriteFile(filepath.Join(d.home, ".bashrc"), []byte("echo read\n"), 0o644))
		output, err := run(t, connect(t, d.target), "", "/bin/true")
		must(t, err)
		return output == "read\n"
	}
	if !debian(t) {
		t.Skip("LEFT OUT: the login shell of whoever runs the test does not read .bashrc below sshd, as Debian's bash does")
	}
	for _, test := range []struct {
		name, bashrc string
		words        []string
	}{
		{name: "silent", bashrc: ""},
		{name: "prints", bashrc: "echo welcome; printf x; echo oops >&2"},
		{name: "reads", bashrc: "read -r -p 'your name? ' name"},
		{name: "reads everything", bashrc: "cat >/dev/null", words: []string{"the login shell of server h11 prints and reads something"}},
		{name: "ends", bashrc: "echo go away >&2; exit 1", words: []string{"let us in and started nothing", "go away"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			must(t, os.WriteFile(filepath.Join(d.home, ".bashrc"), []byte(test.bashrc+"\n"), 0o644))
			must(t, os.RemoveAll(filepath.Join(d.home, "lib")))
			launcher := d.launcher(t)
			if test.words != nil {
				launcher.Timeout = 3 * time.Second
				_, err := launcher.Start(t.Context(), connect(t, d.target), "h11")
				refused(t, err, fault.Unreachable, test.words...)
				return
			}
			for range 2 {
				process, err := launcher.Start(t.Context(), connect(t, d.target), "h11")
				must(t, err)
				io.WriteString(process.Input(), "frames")
				process.Input().Close()
				output, err := io.ReadAll(process.Output())
				must(t, err)
				if string(output) != "hello runtime\nframes" {
					t.Errorf("%q", output)
				}
				must(t, process.Wait())
			}
		})
	}
}

// BenchmarkOpenSSH measures what contact with a server costs: "connect" until
// the login is done, "session" from there to the first byte of a command,
// "runtime" to that of the runtime's stand-in, "deliver" the first contact,
// and "scp" the same file by OpenSSH's own means, to compare.
func BenchmarkOpenSSH(b *testing.B) {
	d := startOpenSSH(b)
	b.Run("connect", func(b *testing.B) {
		for b.Loop() {
			transport, err := DialSSH(b.Context(), d.target)
			must(b, err)
			b.StopTimer()
			transport.Close()
			b.StartTimer()
		}
	})
	transport := connect(b, d.target)
	b.Run("session", func(b *testing.B) {
		for b.Loop() {
			_, err := run(b, transport, "", "/bin/true")
			must(b, err)
		}
	})
	launcher := d.launcher(b)
	b.Run("runtime", func(b *testing.B) {
		for b.Loop() {
			process, err := launcher.Start(b.Context(), transport, "h11")
			must(b, err)
			process.Input().Close()
			io.Copy(io.Discard, process.Output())
			must(b, process.Wait())
		}
	})
	content := bytes.Repeat([]byte("0123456789abcdef"), 25<<16)
	source := sourceOf(content)
	b.Run("deliver", func(b *testing.B) {
		b.SetBytes(source.Size)
		for b.Loop() {
			must(b, os.RemoveAll(filepath.Join(d.home, "lib")))
			must(b, Deliver(b.Context(), transport, "h11", source, filepath.Join(d.home, "lib")))
		}
	})
	b.Run("scp", func(b *testing.B) {
		file := filepath.Join(b.TempDir(), "program")
		must(b, os.WriteFile(file, content, 0o700))
		known := filepath.Join(b.TempDir(), "known_hosts")
		must(b, os.WriteFile(known, []byte("* "+d.target.HostKeys[0]+"\n"), 0o600))
		b.SetBytes(source.Size)
		for b.Loop() {
			output, err := exec.Command("scp", "-q", "-F", "/dev/null", "-o", "UserKnownHostsFile="+known, "-i", d.target.Identity.File,
				"-P", fmt.Sprint(d.target.Port), file, d.target.Login+"@127.0.0.1:"+d.home+"/scp").CombinedOutput()
			if err != nil {
				b.Fatalf("%s", output)
			}
		}
	})
}

package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/remote/remotetest"
)

// standIn is a runtime for tests: it says what it was started with and then
// repeats its input.
const standIn = "#!/bin/sh\necho hello \"$@\"\nexec cat\n"

// machine is a server whose commands run in a real shell here, and a launcher.
type machine struct {
	*remotetest.Server
	target    Target
	home      string // where .bashrc and bin/ are
	directory string // the runtime's
	launcher  *Launcher
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	shell, err := exec.LookPath("bash")
	must(t, err)
	m := &machine{home: t.TempDir(), directory: filepath.Join(t.TempDir(), "lib", "orchestra")}
	must(t, os.Mkdir(filepath.Join(m.home, "bin"), 0o700))
	// BASH_ENV stands for what Debian's bash does below sshd: it reads .bashrc.
	m.Server, m.target = serve(t, remotetest.Options{Handler: remotetest.Shell(shell, m.home,
		"HOME="+m.home, "PATH="+m.home+"/bin:/usr/bin:/bin", "BASH_ENV="+m.home+"/.bashrc")})
	program := filepath.Join(t.TempDir(), "orchestra")
	must(t, os.WriteFile(program, []byte(standIn), 0o755))
	m.launcher = &Launcher{
		Binaries: &Binaries{Executable: program, Packages: t.TempDir()}, Directory: m.directory,
		Timeout: 10 * time.Second, patience: 300 * time.Millisecond,
	}
	return m
}

// program puts a program before those that the server has.
func (m *machine) program(t testing.TB, name, text string) {
	must(t, os.WriteFile(filepath.Join(m.home, "bin", name), []byte("#!/bin/sh\n"+text), 0o755))
}

func (m *machine) bashrc(t testing.TB, text string) {
	must(t, os.WriteFile(filepath.Join(m.home, ".bashrc"), []byte(text), 0o644))
}

// start starts the runtime and checks that it works.
func (m *machine) start(t testing.TB, want string) {
	t.Helper()
	transport := m.launcher.Bind(connect(t, m.target), "h11")
	process, err := transport.Start(t.Context(), Command{})
	must(t, err)
	io.WriteString(process.Input(), "frames\x00\xff")
	process.Input().Close()
	output, err := io.ReadAll(process.Output())
	must(t, err)
	if string(output) != want+"frames\x00\xff" {
		t.Errorf("output %q", output)
	}
	must(t, process.Wait())
}

func sourceOf(content []byte) Source {
	sum := sha256.Sum256(content)
	return Source{Architecture: runtime.GOARCH, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
}

// files lists what is below directory, without directories.
func files(t testing.TB, directory string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			relative, _ := filepath.Rel(directory, path)
			found = append(found, relative)
		}
		return nil
	})
	must(t, err)
	return found
}

func TestLaunch(t *testing.T) {
	m := newMachine(t)
	m.launcher.Arguments = []string{"runtime", "--root", "it's $HOME"}
	delivered := 0
	m.launcher.Delivering = func(_ string, size int64) {
		delivered++
		if size != int64(len(standIn)) {
			t.Errorf("%d bytes", size)
		}
	}
	for range 3 {
		m.start(t, "hello runtime --root it's $HOME\n")
	}
	if delivered != 1 {
		t.Errorf("delivered %d times", delivered)
	}
	program := "bin/" + sourceOf([]byte(standIn)).SHA256 + "/orchestra"
	if got := files(t, m.directory); !slices.Equal(got, []string{program}) {
		t.Errorf("there are %q", got)
	}
	for _, path := range []string{"", "bin", filepath.Dir(program), program} {
		info, err := os.Stat(filepath.Join(m.directory, path))
		must(t, err)
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
}

// TestLoginShells: what a login shell does before our command matters as
// little as can be, and where it does, people are told.
func TestLoginShells(t *testing.T) {
	hello := "hello runtime\n"
	for _, test := range []struct {
		name, bashrc string
		words        []string // of the refusal
	}{
		{name: "prints", bashrc: "echo welcome; printf 'no newline'; echo oops >&2"},
		{name: "prints binary", bashrc: `printf 'orchestra-\000\377\r%s ready' x`},
		{name: "prints the command", bashrc: `echo "$BASH_EXECUTION_STRING"; set -v`},
		{name: "reads a line", bashrc: `read -r -p 'press return' answer`},
		{name: "reads a line and prints", bashrc: `read -r one; read -r two; echo "got $one $two"`},
		{name: "is slow", bashrc: `sleep 0.5`},
		{name: "reads everything", bashrc: `cat >/dev/null`,
			words: []string{"the login shell of server h11 prints and reads something", ".bashrc"}},
		{name: "prints without end", bashrc: `yes`, words: []string{"does not come to the command", "more than 65536 bytes"}},
		{name: "ends", bashrc: `echo 'This account is not available.' >&2; exit 1`,
			words: []string{"let us in and started nothing", "This account is not available."}},
		{name: "becomes another", bashrc: `exec cat`, words: []string{"login shell of server h11"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.bashrc(t, test.bashrc)
			if test.words == nil {
				m.start(t, hello) // with delivery
				m.start(t, hello)
				return
			}
			m.launcher.Timeout = time.Second
			_, err := m.launcher.Start(t.Context(), connect(t, m.target), "h11")
			refused(t, err, fault.Unreachable, test.words...)
			if got := files(t, filepath.Dir(m.directory)); len(got) > 0 {
				t.Errorf("there are %q", got)
			}
		})
	}
}

// TestNothingIsSaidTooEarly: a login shell that keeps what it reads has got
// nothing but empty lines.
func TestNothingIsSaidTooEarly(t *testing.T) {
	m := newMachine(t)
	m.bashrc(t, `cat >>"$HOME/eaten"`)
	m.launcher.Timeout = time.Second
	_, err := m.launcher.Start(t.Context(), connect(t, m.target), "h11")
	refused(t, err, fault.Unreachable)
	m.Close()
	eaten, err := os.ReadFile(filepath.Join(m.home, "eaten"))
	must(t, err)
	if strings.Trim(string(eaten), "\n") != "" {
		t.Errorf("it got %q", eaten)
	}
}

func TestSudoThatIsNotAllowed(t *testing.T) {
	m := newMachine(t)
	m.target.Login = "admin"
	m.program(t, "sudo", "echo 'sudo: a password is required' >&2; exit 1")
	_, err := m.launcher.Start(t.Context(), connect(t, m.target), "h11")
	refused(t, err, fault.Unreachable, "h11", "sudo: a password is required", "/etc/sudoers.d: LOGIN ALL=(root) NOPASSWD: ALL")
	m.program(t, "sudo", `[ "$1 $2" = "-n --" ] || exit 9; shift 2; exec "$@"`)
	m.start(t, "hello runtime\n")
}

func TestOtherArchitectures(t *testing.T) {
	m := newMachine(t)
	machine, other := "aarch64", "arm64"
	if runtime.GOARCH == "arm64" {
		machine, other = "x86_64", "amd64"
	}
	m.program(t, "uname", "echo "+machine)
	_, err := m.launcher.Start(t.Context(), connect(t, m.target), "h11")
	refused(t, err, fault.Unreachable, "server h11 is of architecture "+other, "orchestra-linux-"+other)
	must(t, os.WriteFile(filepath.Join(m.launcher.Binaries.Packages, "orchestra-linux-"+other),
		[]byte("#!/bin/sh\necho other\nexec cat\n"), 0o644))
	m.start(t, "other\n")
	before := len(m.Commands())
	m.start(t, "other\n")
	if got := len(m.Commands()) - before; got != 1 {
		t.Errorf("%d commands to start what is there", got)
	}
	if got := files(t, m.directory); len(got) != 1 {
		t.Errorf("there are %q", got)
	}
	m.program(t, "uname", `printf '../../etc\033[2J\n'`)
	m.launcher.learned = nil
	must(t, os.RemoveAll(m.directory))
	_, err = m.launcher.Start(t.Context(), connect(t, m.target), "h11")
	refused(t, err, fault.Unreachable, "h11")
}

// TestUnrunnable: the kernel refuses the program, as on a file system that is
// mounted noexec.
func TestUnrunnable(t *testing.T) {
	m := newMachine(t)
	must(t, os.WriteFile(m.launcher.Binaries.Executable, []byte("\x7fELF nonsense"), 0o755))
	process, err := m.launcher.Start(t.Context(), connect(t, m.target), "h11")
	must(t, err)
	io.Copy(io.Discard, process.Output())
	refused(t, process.Wait(), fault.Unreachable, "server h11 cannot run "+m.directory, "noexec")
}

func TestDeliveryFails(t *testing.T) {
	content := bytes.Repeat([]byte("program "), 100_000)
	good := sourceOf(content)
	for _, test := range []struct {
		name    string
		source  func(*Source)
		prepare func(*testing.T, *machine)
		kind    fault.Kind
		words   []string
	}{
		{name: "arrives short", source: func(s *Source) { s.Size += 10 },
			words: []string{"did not arrive on server h11 as it was sent"}},
		{name: "arrives with another content", source: func(s *Source) { s.SHA256 = strings.Repeat("0", 64) },
			words: []string{"did not arrive on server h11 as it was sent"}},
		{name: "cannot be read here", kind: fault.Internal, source: func(s *Source) {
			s.Open = func() (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(bytes.NewReader(content[:1000]), failing{})), nil
			}
		}, words: []string{"cannot be read", "a bad disk"}},
		{name: "no space", prepare: func(t *testing.T, m *machine) {
			m.program(t, "head", `/usr/bin/head -c 1000; echo "head: error writing 'standard output': No space left on device" >&2; exit 1`)
		}, words: []string{"cannot be written to", "No space left on device"}},
		{name: "a quota", prepare: func(t *testing.T, m *machine) { m.bashrc(t, "trap '' XFSZ; ulimit -f 100") },
			words: []string{"cannot be written to", "File too large"}},
		{name: "sync fails", prepare: func(t *testing.T, m *machine) { m.program(t, "sync", "exit 1") },
			words: []string{"cannot be written to"}},
		{name: "no directory", prepare: func(t *testing.T, m *machine) {
			must(t, os.WriteFile(filepath.Dir(m.directory), nil, 0o644))
		}, words: []string{"cannot be made on server h11", "ot a directory"}},
		{name: "no sha256sum", prepare: func(t *testing.T, m *machine) { m.program(t, "sha256sum", "exit 127") },
			words: []string{"did not arrive"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, source := newMachine(t), good
			if test.source != nil {
				test.source(&source)
			}
			if test.prepare != nil {
				test.prepare(t, m)
			}
			kind := fault.Unreachable
			if test.kind != 0 {
				kind = test.kind
			}
			err := Deliver(t.Context(), connect(t, m.target), "h11", source, m.directory)
			refused(t, err, kind, test.words...)
			m.Close() // which waits for what runs
			if _, err := os.Stat(m.directory); err == nil {
				if got := files(t, m.directory); len(got) > 0 {
					t.Errorf("it left %q", got)
				}
			}
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("a bad disk") }

// TestDeliveryBreaksOff: the connection goes in the middle of the upload.
func TestDeliveryBreaksOff(t *testing.T) {
	m := newMachine(t)
	source := sourceOf(bytes.Repeat([]byte("x"), 8<<20))
	source.Open = func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(io.LimitReader(zeros{}, 4<<20), readerFunc(func([]byte) (int, error) {
			m.Drop()
			return 0, io.EOF
		}))), nil
	}
	err := Deliver(t.Context(), connect(t, m.target), "h11", source, m.directory)
	refused(t, err, fault.Unreachable, "h11")
	m.Close()
	if got := files(t, m.directory); len(got) > 0 {
		t.Errorf("it left %q", got)
	}
	t.Run("interrupted", func(t *testing.T) {
		m := newMachine(t)
		ctx, cancel := context.WithCancel(t.Context())
		source.Open = func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(io.LimitReader(zeros{}, 4<<20), readerFunc(func([]byte) (int, error) {
				cancel()
				time.Sleep(50 * time.Millisecond)
				return 0, io.EOF
			}))), nil
		}
		err := Deliver(ctx, connect(t, m.target), "h11", source, m.directory)
		refused(t, err, fault.Interrupted, "h11")
		m.Close()
		if got := files(t, m.directory); len(got) > 0 {
			t.Errorf("it left %q", got)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestConcurrentDeliveries(t *testing.T) {
	m := newMachine(t)
	must(t, os.WriteFile(m.launcher.Binaries.Executable, []byte(standIn+strings.Repeat("# padding\n", 100_000)), 0o755))
	var group sync.WaitGroup
	for range 6 {
		launcher := &Launcher{Binaries: m.launcher.Binaries, Directory: m.directory}
		transport := connect(t, m.target)
		group.Go(func() {
			process, err := launcher.Start(t.Context(), transport, "h11")
			if err != nil {
				t.Error(err)
				return
			}
			process.Input().Close()
			if output, err := io.ReadAll(process.Output()); err != nil || string(output) != "hello runtime\n" {
				t.Errorf("%q %v", output, err)
			}
		})
	}
	group.Wait()
	m.Close()
	if got := files(t, m.directory); len(got) != 1 {
		t.Errorf("there are %q", got)
	}
}

// TestOldVersionsGo: the newest three stay, and those that run.
func TestOldVersionsGo(t *testing.T) {
	m := newMachine(t)
	sleep, err := exec.LookPath("sleep")
	must(t, err)
	content, err := os.ReadFile(sleep)
	must(t, err)
	version := func(digit string, age time.Duration) string {
		name := strings.Repeat(digit, 64)
		directory := filepath.Join(m.directory, "bin", name)
		must(t, os.MkdirAll(directory, 0o700))
		must(t, os.WriteFile(filepath.Join(directory, "orchestra"), content, 0o700))
		must(t, os.Chtimes(directory, time.Now().Add(-age), time.Now().Add(-age)))
		return name
	}
	oldest := version("1", 5*time.Hour)
	version("2", 4*time.Hour)
	version("3", 3*time.Hour)
	second := version("4", 2*time.Hour)
	third := version("5", time.Hour)
	foreign := filepath.Join(m.directory, "bin", "an administrator's own")
	must(t, os.WriteFile(foreign, nil, 0o600))
	stale := filepath.Join(m.directory, "bin", third, "part.0123456789")
	must(t, os.WriteFile(stale, nil, 0o600))
	must(t, os.Chtimes(stale, time.Now().Add(-2*time.Hour), time.Now().Add(-2*time.Hour)))
	must(t, os.Chtimes(filepath.Dir(stale), time.Now().Add(-time.Hour), time.Now().Add(-time.Hour)))
	running := exec.Command(filepath.Join(m.directory, "bin", oldest, "orchestra"), "60")
	must(t, running.Start())
	defer func() {
		running.Process.Kill()
		running.Wait()
	}()

	source := sourceOf([]byte(standIn))
	must(t, Deliver(t.Context(), connect(t, m.target), "h11", source, m.directory))
	deadline := time.Now().Add(5 * time.Second)
	want := []string{"an administrator's own"}
	for _, name := range []string{oldest, second, third, source.SHA256} {
		want = append(want, name+"/orchestra")
	}
	slices.Sort(want)
	for {
		got := files(t, filepath.Join(m.directory, "bin"))
		slices.Sort(got)
		if slices.Equal(got, want) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("there are %q, want %q", got, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestHashIsRemembered(t *testing.T) {
	cache, program := t.TempDir(), filepath.Join(t.TempDir(), "orchestra")
	write := func(content string) string {
		must(t, os.WriteFile(program, []byte(content), 0o700))
		return sourceOf([]byte(content)).SHA256
	}
	check := func(want string) {
		t.Helper()
		source, err := (&Binaries{Executable: program, Cache: cache}).For("")
		must(t, err)
		if source.SHA256 != want {
			t.Errorf("%s, want %s", source.SHA256, want)
		}
	}
	first := write("one")
	check(first)
	entries := files(t, cache)
	if len(entries) != 1 {
		t.Fatalf("the cache holds %q", entries)
	}
	// Proof that it is read: a cache that lies is believed.
	remembered, err := os.ReadFile(filepath.Join(cache, entries[0]))
	must(t, err)
	lie := strings.Repeat("ab", 32)
	must(t, os.WriteFile(filepath.Join(cache, entries[0]), bytes.Replace(remembered, []byte(first), []byte(lie), 1), 0o600))
	check(lie)
	// Another content is another file, even of the same size and time.
	info, err := os.Stat(program)
	must(t, err)
	second := write("two")
	must(t, os.Chtimes(program, info.ModTime(), info.ModTime()))
	check(second)
	if got := files(t, cache); len(got) != 1 {
		t.Errorf("the cache holds %q", got)
	}
	for _, broken := range []string{"", "x", "\n", string(remembered[:len(remembered)-3])} {
		must(t, os.WriteFile(filepath.Join(cache, entries[0]), []byte(broken), 0o600))
		check(second)
	}
	source, err := (&Binaries{Executable: program, Cache: filepath.Join(cache, "missing")}).For("")
	if err != nil || source.SHA256 != second {
		t.Errorf("without a cache: %v", err)
	}
	own, err := (&Binaries{}).For("")
	must(t, err)
	if len(own.SHA256) != 64 || own.Size == 0 {
		t.Errorf("%+v", own)
	}
}

func TestGoArchitecture(t *testing.T) {
	for machine, want := range map[string]string{
		"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "riscv64": "riscv64", "loongarch64": "loong64",
	} {
		if got := goArchitecture(machine); got != want {
			t.Errorf("%s: %s", machine, got)
		}
	}
}

func Example_quote() {
	word, err := Quote("it's")
	fmt.Println(word, err)
	// Output: 'it'\''s' <nil>
}

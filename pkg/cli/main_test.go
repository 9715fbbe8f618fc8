package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"orchestra/pkg/noun"
	"orchestra/pkg/output"
	"orchestra/pkg/remote"
	"orchestra/pkg/remote/remotetest"
)

// panel is an initialized panel of its own, with two servers that are routed.
type panel struct {
	t       *testing.T
	process Process
	out     *bytes.Buffer
	errs    *bytes.Buffer
}

const exampleKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"

func newPanel(t *testing.T) *panel {
	t.Helper()
	p := emptyPanel(t)
	p.must("init")
	return p
}

// copiedPanel has the database that another panel made.
func copiedPanel(t *testing.T, database []byte) *panel {
	t.Helper()
	p := emptyPanel(t)
	if err := os.WriteFile(filepath.Join(p.process.Directory, "orchestra.db"), database, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func emptyPanel(t *testing.T) *panel {
	t.Helper()
	p := &panel{t: t, out: &bytes.Buffer{}, errs: &bytes.Buffer{}}
	directory := t.TempDir()
	p.process = Process{
		Streams:     output.Streams{In: strings.NewReader(""), Out: p.out, Err: p.errs},
		Environment: []string{"HOME=" + directory, "ORCHESTRA_DATABASE=" + directory + "/orchestra.db", "ORCHESTRA_EMERGENCY_CONTACT=off"},
		Directory:   directory, Version: "test", Now: func() time.Time { return testTime }, Connect: fakeServers(directory),
	}
	return p
}

func (p *panel) routed() *panel {
	for _, name := range []string{"h11", "h12"} {
		p.must("server", "add", name, "--address", "192.0.2.11", "--host-key", exampleKey)
		p.must("route", "add", "unix-user", "--server", name, "--match", "true")
	}
	p.must("account", "add", "acme")
	return p
}

// must runs a command that ends with 0 and returns its standard output.
func (p *panel) must(args ...string) string {
	p.t.Helper()
	p.exits(0, p.t.Context(), args...)
	return p.out.String()
}

func (p *panel) exits(want int, ctx context.Context, args ...string) {
	p.t.Helper()
	p.out.Reset()
	p.errs.Reset()
	if got := Main(ctx, args, p.process); got != want {
		p.t.Fatalf("%s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, want, p.out, p.errs)
	}
}

func (p *panel) servers(behaviour string, names ...string) {
	p.t.Helper()
	directory := filepath.Join(p.process.Directory, "servers")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		p.t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(behaviour), 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
}

func TestAnInterruptUndoesAndEndsWith130(t *testing.T) {
	p := newPanel(t).routed()
	p.servers("slow", "h11", "h12")
	for _, after := range []time.Duration{10, 150, 300, 500} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(after*time.Millisecond, cancel)
		p.exits(130, ctx, "user", "add", "bob", "--account", "acme")
		cancel()
		if !strings.Contains(p.errs.String(), "interrupted") {
			t.Errorf("after %d ms: %s", after, p.errs)
		}
		if names := p.must("user", "list", "-o", "name"); strings.Contains(names, "bob") {
			t.Errorf("after %d ms: %s", after, names)
		}
	}
	p.must("user", "add", "bob", "--account", "acme")
}

func TestProgressIsShownOnATerminalThatWaits(t *testing.T) {
	p := newPanel(t).routed()
	p.servers("slow", "h11", "h12")
	p.process.Streams.ErrTerminal, p.process.Streams.Width, p.process.Streams.Height = true, 80, 24
	p.must("user", "add", "bob", "--account", "acme")
	if !strings.Contains(p.errs.String(), "h11  ") || !strings.Contains(p.errs.String(), "\x1b[J") {
		t.Errorf("no live lines: %q", p.errs)
	}
	p.process.Streams.ErrTerminal = false
	p.must("user", "add", "carl", "--account", "acme", "--verbose")
	if !strings.Contains(p.errs.String(), "h12: making it live\n") || strings.Contains(p.errs.String(), "\x1b") {
		t.Errorf("no sentences: %q", p.errs)
	}
	p.must("user", "add", "dora", "--account", "acme", "--quiet")
	if p.errs.Len() != 0 {
		t.Errorf("quiet says %q", p.errs)
	}
}

// server add at a terminal fetches the key, shows its fingerprint and asks.
func TestServerAddAsksAboutTheHostKey(t *testing.T) {
	server, err := remotetest.Listen(remotetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	p := newPanel(t)
	p.process.Streams.InTerminal, p.process.Streams.ErrTerminal, p.process.Streams.Width = true, true, 80
	add := []string{"server", "add", "h11", "--address", server.Host(), "--port", itoa(server.Port())}
	p.process.Streams.In = strings.NewReader("n\n")
	p.exits(6, t.Context(), add...)
	p.process.Streams.In = strings.NewReader("y\n")
	p.must(add...)
	if shown := p.errs.String(); !strings.Contains(shown, "SHA256:") || !strings.Contains(shown, "ssh-keygen -lf") {
		t.Errorf("shown: %s", shown)
	}
	if keys := p.must("server", "show", "h11", "--jq", ".host_key[0]"); strings.TrimSpace(keys) != server.HostKeys()[0] {
		t.Errorf("stored %q, want %q", keys, server.HostKeys()[0])
	}
}

// server add tries a key that is given at once: another one is refused, and a
// server that is not there yet is added with a warning.
func TestServerAddChecksTheHostKeyThatIsGiven(t *testing.T) {
	server, err := remotetest.Listen(remotetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := newPanel(t)
	p.process.CheckHostKey = remote.CheckHostKey
	add := func(name, key string) []string {
		return []string{"server", "add", name, "--address", server.Host(), "--port", itoa(server.Port()), "--host-key", key}
	}
	p.exits(4, t.Context(), add("h11", exampleKey)...)
	if said := p.errs.String(); !strings.Contains(said, "another host key") || !strings.Contains(said, "ssh_host_ed25519_key.pub") {
		t.Errorf("it said %s", said)
	}
	p.exits(3, t.Context(), "server", "show", "h11")
	p.exits(4, t.Context(), append(add("h11", exampleKey), "--dry-run")...)
	p.must(add("h11", server.HostKeys()[0])...)
	if said := p.errs.String(); strings.Contains(said, "warning") {
		t.Errorf("it said %s", said)
	}
	server.Close()
	p.must(add("h12", exampleKey)...)
	if said := p.errs.String(); !strings.Contains(said, "h12 does not answer, so that its host key could not be checked") {
		t.Errorf("it said %s", said)
	}
	p.must("server", "show", "h12")
	p.must("server", "add", "h13", "--transport", "local")
}

func itoa(n int) string { return strconv.Itoa(n) }

func TestAPanicIsReportedAndEndsWith1(t *testing.T) {
	p := newPanel(t)
	p.process.Nouns = func() []*noun.Noun { panic("a defect") }
	p.exits(1, t.Context(), "account", "list")
	for _, want := range []string{"a defect", "orchestra recover", "version test", "goroutine"} {
		if !strings.Contains(p.errs.String(), want) {
			t.Errorf("no %q in %s", want, p.errs)
		}
	}
}

// pipeWriter fails as a pipe does that nobody reads any more.
type pipeWriter struct{ err error }

func (w pipeWriter) Write([]byte) (int, error) { return 0, w.err }

func TestAnswersThatCannotBeWritten(t *testing.T) {
	p := newPanel(t)
	p.process.Streams.Out = pipeWriter{syscall.EPIPE}
	p.exits(0, t.Context(), "account", "add", "acme", "-o", "json")
	p.process.Streams.Out = pipeWriter{syscall.ENOSPC}
	p.exits(1, t.Context(), "account", "add", "beta", "-o", "json")
	if !strings.Contains(p.errs.String(), "operation 2 is done") {
		t.Errorf("%s", p.errs)
	}
	p.process.Streams.Out = p.out
	if got := p.must("account", "list", "-o", "name"); got != "acme\nbeta\n" {
		t.Errorf("%q", got)
	}
}

func TestActor(t *testing.T) {
	names := map[int]string{0: "root", 1000: "ana"}
	for _, c := range []struct {
		name  string
		user  int
		login string
		group string
		env   map[string]string
		tty   string
		want  string
	}{
		{"a login", 1000, "1000", "0::/user.slice/user-1000.slice/session-3.scope", nil, "pts/3", "ana (pts/3)"},
		{"behind sudo", 0, "1000", "0::/user.slice/user-1000.slice/session-3.scope", map[string]string{"SUDO_USER": "ana"}, "pts/3", "ana (pts/3, as root)"},
		{"the kernel knows better than the environment", 0, "1000", "", map[string]string{"SUDO_USER": "eve"}, "", "ana (as root)"},
		{"sudo without a login's record", 0, noLogin, "", map[string]string{"SUDO_USER": "ana"}, "", "ana (as root)"},
		{"who is not root has no SUDO_USER", 1000, noLogin, "", map[string]string{"SUDO_USER": "root"}, "", "ana"},
		{"cron", 0, "0", "0::/system.slice/cron.service", nil, "", "root (cron.service)"},
		{"a timer, on a hybrid host", 0, noLogin, "12:pids:/x\n1:name=systemd:/system.slice/nightly.service\n0::/system.slice/nightly.service", nil, "", "root (nightly.service)"},
		{"over ssh", 0, "0", "0::/user.slice", map[string]string{"SSH_CONNECTION": "192.0.2.9 5 192.0.2.1 22"}, "pts/0", "root (pts/0, from 192.0.2.9)"},
		{"a forged address", 0, "0", "", map[string]string{"SSH_CONNECTION": "\x1b[2J x"}, "", `root (from \x1b[2J)`},
	} {
		source := actorSource{
			user: c.user, getenv: func(name string) string { return c.env[name] }, name: func(id int) string { return names[id] },
			read:     func(name string) string { return map[string]string{"loginuid": c.login, "cgroup": c.group}[name] },
			terminal: func() string { return c.tty },
		}
		if got := source.describe(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func BenchmarkVersion(b *testing.B) { benchmark(b, "--version") }
func BenchmarkHelp(b *testing.B)    { benchmark(b, "user", "add", "--help") }

// benchmark measures a command without the start of a process.
func benchmark(b *testing.B, args ...string) {
	for b.Loop() {
		var out bytes.Buffer
		p := Process{Streams: output.Streams{In: strings.NewReader(""), Out: &out, Err: &out}, Now: time.Now}
		if code := Main(context.Background(), args, p); code != 0 {
			b.Fatal(code, out.String())
		}
	}
}

func BenchmarkBatch10000(b *testing.B) {
	var lines strings.Builder
	for i := range 10_000 {
		lines.WriteString("user add u" + itoa(i) + " --account acme --access sftp --shell /bin/bash\n")
	}
	p := Process{Streams: output.Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, Now: time.Now}
	a := newApp(p)
	if err := a.register(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.readBatch(context.Background(), strings.NewReader(lines.String())); err != nil {
			b.Fatal(err)
		}
	}
}

package remote

import (
	"bufio"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"
	"sync"
	"time"

	"orchestra/pkg/fault"
)

//go:embed scripts/launch.sh
var launchScript string

const (
	// maxGreeting is how much a login shell may print before the program that
	// was asked for, in bytes.
	maxGreeting = 64 << 10
	// defaultStartTimeout is enough for a login that waits for a slow directory
	// service (PAM modules give up after 25 s).
	defaultStartTimeout = 30 * time.Second
	// defaultPatience is how long a login shell may be silent before it is
	// taken for one that reads its input.
	defaultPatience = 5 * time.Second
)

// Launcher starts the runtime on servers, and copies it there first where it
// is missing. It is safe for concurrent use; one serves all servers.
type Launcher struct {
	// Binaries are the programs to copy.
	Binaries *Binaries
	// Directory is the runtime's on the servers: /var/lib/orchestra.
	Directory string
	// Arguments of the program; ["runtime"] where there are none.
	Arguments []string
	// Timeout bounds each start, without the copying; 0 for 30 s.
	Timeout time.Duration
	// Delivering is told when a copy of that many bytes begins; or nil.
	Delivering func(server string, size int64)

	patience time.Duration

	mutex   sync.Mutex
	learned map[string]serverTraits // by server
}

// serverTraits is what was learned about a server while starting there.
type serverTraits struct {
	architecture string // GOARCH; "" for ours
	thirsty      bool   // its login shell reads the input
}

// Bind returns a Transport to server whose Start takes an empty Command and
// starts the runtime, through transport. Closing it closes transport.
func (l *Launcher) Bind(transport Transport, server string) Transport {
	return &bound{Transport: transport, launcher: l, server: server}
}

type bound struct {
	Transport
	launcher *Launcher
	server   string
}

func (b *bound) Start(ctx context.Context, command Command) (Process, error) {
	if command.Program != "" {
		return b.Transport.Start(ctx, command)
	}
	return b.launcher.Start(ctx, b.Transport, b.server)
}

// ownStarter is a Transport to where our program is already.
type ownStarter interface {
	startOwn(ctx context.Context, arguments []string) (Process, error)
}

// Start starts the runtime on server, delivering it where it is missing. When
// it returns, the program has been found and takes the place of the shell:
// what the login shell printed is gone from its output, and nothing has been
// written to its input. An error is a fault of kind Unreachable: nothing runs.
func (l *Launcher) Start(ctx context.Context, transport Transport, server string) (Process, error) {
	arguments := l.Arguments
	if len(arguments) == 0 {
		arguments = []string{"runtime"}
	}
	if own, ok := transport.(ownStarter); ok {
		return own.startOwn(ctx, arguments)
	}
	architecture := l.traits(server).architecture
	for range 3 { // ours missing, another architecture's missing, delivered
		source, err := l.Binaries.For(architecture)
		if err != nil {
			return nil, noBinary(server, err)
		}
		process, found, err := l.launch(ctx, transport, server, source, arguments)
		if err != nil || process != nil {
			return process, err
		}
		if found != source.Architecture {
			architecture = found
			l.learn(server, func(traits *serverTraits) { traits.architecture = found })
			continue
		}
		if l.Delivering != nil {
			l.Delivering(server, source.Size)
		}
		if err := l.deliver(ctx, transport, server, source); err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.Unreachable, "the runtime was copied to server %s and is not there", server).
		WithHint("orchestra server check %s", server)
}

// noBinary says that there is no program for a server's architecture.
func noBinary(server string, err error) error {
	if missing, ok := errors.AsType[*missingBinary](err); ok {
		return fault.New(fault.Unreachable, "server %s is of architecture %s, and there is no %s", server, missing.architecture, missing.file).
			About("runtime.package_directory").WithHint("GOARCH=%s make, or install the package of that architecture there", missing.architecture)
	}
	return fault.New(fault.Internal, "the program to copy to server %s cannot be read", server).Because(err)
}

// launch starts source's program. Where it is missing it returns no process
// but the architecture of the server.
func (l *Launcher) launch(ctx context.Context, transport Transport, server string, source Source, arguments []string) (Process, string, error) {
	program := path.Join(l.Directory, "bin", source.SHA256, "orchestra")
	script := shellScript{
		name: "orchestra-launch", text: launchScript,
		arguments: append([]string{program}, arguments...),
	}
	session, said, err := l.converse(ctx, transport, server, script)
	if err != nil {
		return nil, "", err
	}
	if said == "found" {
		return &launched{Process: session.process, output: session.output, server: server, program: program}, "", nil
	}
	session.process.Kill()
	machine, ok := strings.CutPrefix(said, "missing ")
	if !ok {
		return nil, "", l.strangeAnswer(server, said)
	}
	return nil, goArchitecture(machine), nil
}

func (l *Launcher) strangeAnswer(server, said string) error {
	return fault.New(fault.Unreachable, "the login shell of server %s did not do as it was told: %s", server, printable(said)).
		WithHint("orchestra server check %s", server)
}

// launched is the runtime, its greeting read.
type launched struct {
	Process
	output  *bufio.Reader
	server  string
	program string
}

func (p *launched) Output() io.Reader { return p.output }

// Wait tells the one failure that only shows here: the program is there, and
// the kernel does not run it.
func (p *launched) Wait() error {
	err := p.Process.Wait()
	if ended, ok := errors.AsType[*ExitError](err); ok && ended.Status == 126 {
		return fault.New(fault.Unreachable, "server %s cannot run %s: is it on a file system mounted noexec?", p.server, p.program).
			Because(err).WithHint("runtime.directory in the settings names another place")
	}
	return err
}

// shellScript is a constant script and its arguments behind the first two.
type shellScript struct {
	name, text string
	arguments  []string
}

// session is a script that runs and answers.
type session struct {
	process Process
	output  *bufio.Reader
	nonce   string
}

// converse starts a script and returns the first line that it says. Nothing is
// written to a script before it speaks, since its login shell might read it:
// one that does is started again, behind a gate, and fed with empty lines until
// the script is reached.
func (l *Launcher) converse(ctx context.Context, transport Transport, server string, script shellScript) (*session, string, error) {
	timeout := l.Timeout
	if timeout <= 0 {
		timeout = defaultStartTimeout
	}
	patience := l.patience
	if patience <= 0 {
		patience = defaultPatience
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errStartTimeout)
	defer cancel()
	gated := l.traits(server).thirsty
	if !gated {
		patient, done := context.WithTimeoutCause(ctx, min(patience, timeout/2), errThirsty)
		s, said, err := l.start(patient, transport, server, script, "open")
		done()
		if !errors.Is(err, errThirsty) {
			return s, said, err
		}
	}
	s, said, err := l.start(ctx, transport, server, script, "gated")
	if err != nil || said != "ready" {
		return s, said, err
	}
	l.learn(server, func(traits *serverTraits) { traits.thirsty = true })
	said, err = s.begin(ctx, nil, 0)
	if err != nil {
		return nil, "", l.noAnswer(ctx, server, s, err)
	}
	return s, said, nil
}

var (
	errStartTimeout = errors.New("start timeout")
	errThirsty      = errors.New("the login shell is silent")
)

// start starts a script and waits for its first line.
func (l *Launcher) start(ctx context.Context, transport Transport, server string, script shellScript, mode string) (*session, string, error) {
	nonce := "orchestra-" + rand.Text()
	process, err := transport.Start(ctx, Command{
		Program:   "/bin/sh",
		Arguments: append([]string{"-c", script.text, script.name, nonce, mode}, script.arguments...),
	})
	if err != nil {
		return nil, "", err
	}
	s := &session{process: process, output: bufio.NewReaderSize(process.Output(), 4096), nonce: nonce}
	if mode == "gated" {
		stop := s.feed()
		defer stop()
	}
	said, err := s.listen(ctx)
	if err != nil {
		return nil, "", l.noAnswer(ctx, server, s, err)
	}
	return s, said, nil
}

// feed gives empty lines to a login shell that reads, until it is stopped.
func (s *session) feed() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for range 100 {
			if _, err := io.WriteString(s.process.Input(), "\n"); err != nil {
				return
			}
			select {
			case <-end:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// listen returns the next line that the script says, without its nonce; other
// lines are skipped. Where ctx ends first the process is dropped.
func (s *session) listen(ctx context.Context) (string, error) {
	stop := context.AfterFunc(ctx, func() { s.process.Kill() })
	defer stop()
	for skipped := 0; skipped <= maxGreeting; {
		line, err := s.output.ReadSlice('\n')
		if said, ok := strings.CutPrefix(string(line), s.nonce+" "); ok && err == nil {
			return strings.TrimSuffix(said, "\n"), nil
		}
		skipped += len(line)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if ctx.Err() != nil {
				return "", context.Cause(ctx)
			}
			return "", err
		}
	}
	return "", errGreeting
}

var errGreeting = fmt.Errorf("it prints more than %d bytes before the program that was asked for", maxGreeting)

// begin opens the script's gate, writes content behind it, and returns what
// the script says then.
func (s *session) begin(ctx context.Context, content io.Reader, size int64) (string, error) {
	var written sync.WaitGroup
	var failed error
	written.Go(func() {
		_, failed = io.WriteString(s.process.Input(), s.nonce+" begin\n")
		if failed == nil && content != nil {
			_, failed = io.CopyN(s.process.Input(), content, size)
		}
		if failed != nil && content != nil {
			s.process.Input().Close() // it shall not wait for the rest
		}
	})
	said, err := s.listen(ctx)
	if err != nil {
		s.process.Kill()
	}
	written.Wait()
	if err != nil && failed != nil && !errors.Is(failed, io.ErrClosedPipe) && !errors.Is(err, context.Canceled) {
		err = errors.Join(err, failed)
	}
	return said, err
}

// noAnswer explains a script that ended, or was given up, without a word.
func (l *Launcher) noAnswer(ctx context.Context, server string, s *session, err error) error {
	check := func(e *fault.Error) error { return e.WithHint("orchestra server check %s", server) }
	switch {
	case errors.Is(err, errThirsty):
		s.process.Kill()
		return err
	case errors.Is(err, errStartTimeout):
		s.process.Kill()
		return check(fault.New(fault.Unreachable, "the login shell of server %s prints and reads something, and does not come to the command: see .bashrc and .profile there", server))
	case ctx.Err() != nil:
		s.process.Kill()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return check(fault.New(fault.Unreachable, "no process could be started on server %s in time", server).Because(context.Cause(ctx)))
		}
		return fault.New(fault.Interrupted, "connecting to server %s was interrupted", server).Because(context.Cause(ctx))
	case errors.Is(err, errGreeting):
		s.process.Kill()
		return check(fault.New(fault.Unreachable, "the login shell of server %s does not come to the command", server).Because(err))
	}
	if fail, ok := errors.AsType[*fault.Error](err); ok { // the connection broke
		return fail
	}
	ended := s.process.Wait()
	if fail, ok := errors.AsType[*fault.Error](ended); ok {
		return fail
	}
	if ended == nil {
		ended = err
	}
	return check(fault.New(fault.Unreachable, "server %s let us in and started nothing", server).Because(foreignError{ended}))
}

func (l *Launcher) traits(server string) serverTraits {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.learned[server]
}

func (l *Launcher) learn(server string, note func(*serverTraits)) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.learned == nil {
		l.learned = map[string]serverTraits{}
	}
	traits := l.learned[server]
	note(&traits)
	l.learned[server] = traits
}

// goArchitecture translates what uname -m prints into Go's name of it.
func goArchitecture(machine string) string {
	switch machine {
	case "x86_64", "amd64":
		return "amd64"
	case "aarch64", "arm64":
		return "arm64"
	case "i386", "i586", "i686":
		return "386"
	case "ppc64le", "riscv64", "s390x", "loongarch64":
		return strings.TrimPrefix(machine, "loongarch64") + map[bool]string{true: "loong64"}[machine == "loongarch64"]
	}
	if strings.HasPrefix(machine, "arm") {
		return "arm"
	}
	return printable(machine)
}

// ownArchitecture is that of this program.
const ownArchitecture = runtime.GOARCH

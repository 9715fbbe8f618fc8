package remote

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"orchestra/pkg/fault"
)

//go:embed scripts/launch.sh
var launchScript string

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
		if len(l.Arguments) == 0 && l.Directory != "" {
			arguments = append(arguments, "--directory", l.Directory) // one that was delivered knows it by where it lies
		}
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
			About("runtime.package_directory").WithHint("make build/orchestra-linux-%s, and copy it there", missing.architecture)
	}
	return fault.New(fault.Internal, "the program to copy to server %s cannot be read", server).Because(err)
}

// launch starts source's program. Where it is missing it returns no process
// but the architecture of the server.
func (l *Launcher) launch(ctx context.Context, transport Transport, server string, source Source, arguments []string) (Process, string, error) {
	ctx, cancel := l.startContext(ctx)
	defer cancel()
	program := path.Join(l.Directory, "bin", source.SHA256, "orchestra")
	s, said, err := l.converse(ctx, transport, server, shellScript{
		name: "orchestra-launch", text: launchScript,
		arguments: append([]string{program}, arguments...),
	})
	if err == nil && said == "ready" {
		if said, err = s.begin(ctx, nil, 0); err != nil {
			err = l.noAnswer(ctx, server, s, err)
		}
	}
	if err != nil {
		return nil, "", err
	}
	if said == "found" {
		return &launched{Process: s.process, output: s.output, server: server, program: program}, "", nil
	}
	s.process.Kill()
	machine, ok := strings.CutPrefix(said, "missing ")
	if !ok {
		return nil, "", l.strangeAnswer(server, said)
	}
	return nil, goArchitecture(machine), nil
}

// startContext bounds the start of a script.
func (l *Launcher) startContext(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := l.Timeout
	if timeout <= 0 {
		timeout = defaultStartTimeout
	}
	return context.WithTimeoutCause(ctx, timeout, errStartTimeout)
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

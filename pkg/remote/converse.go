package remote

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"orchestra/pkg/fault"
)

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
// the script is reached. A script that says "ready" waits for begin.
func (l *Launcher) converse(ctx context.Context, transport Transport, server string, script shellScript) (*session, string, error) {
	if !l.traits(server).thirsty {
		s, said, err := l.start(ctx, transport, server, script, "open")
		if !errors.Is(err, errThirsty) {
			return s, said, err
		}
	}
	s, said, err := l.start(ctx, transport, server, script, "gated")
	if err == nil {
		l.learn(server, func(traits *serverTraits) { traits.thirsty = true })
	}
	return s, said, err
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
	patient := ctx
	if mode == "gated" {
		stop := s.feed()
		defer stop()
	} else {
		var cancel context.CancelFunc
		patient, cancel = context.WithTimeoutCause(ctx, l.patienceOrDefault(), errThirsty)
		defer cancel()
	}
	said, err := s.listen(patient)
	if err != nil {
		return nil, "", l.noAnswer(ctx, server, s, err)
	}
	return s, said, nil
}

func (l *Launcher) patienceOrDefault() time.Duration {
	if l.patience > 0 {
		return l.patience
	}
	return defaultPatience
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
	input := s.process.Input()
	unread := make(chan error, 1)
	go func() {
		_, err := io.WriteString(input, s.nonce+" begin\n")
		if err == nil && content != nil {
			source := &sourceReader{reader: content}
			_, err = io.CopyN(input, source, size)
			if err != nil {
				input.Close() // the script shall not wait for the rest
			}
			err = source.err
		}
		unread <- err
	}()
	said, err := s.listen(ctx)
	if err != nil {
		s.process.Kill()
	}
	if own := <-unread; own != nil {
		return "", &sourceError{own}
	}
	return said, err
}

// sourceReader remembers why its reader failed, so that a failure to read here
// is not taken for one to write there.
type sourceReader struct {
	reader io.Reader
	err    error
}

func (r *sourceReader) Read(p []byte) (int, error) {
	n, err := r.reader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// sourceError is a program that cannot be read where it comes from.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

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
	if strings.Contains(ended.Error(), "sudo: ") {
		return fault.New(fault.Unreachable, "server %s let us in, but its login may not become root without a password", server).Because(foreignError{ended}).
			WithHint("as root on %s, in a file below /etc/sudoers.d: %s", server, "LOGIN ALL=(root) NOPASSWD: ALL")
	}
	return check(fault.New(fault.Unreachable, "server %s let us in and started nothing", server).Because(foreignError{ended}))
}

package remote

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"orchestra/pkg/fault"
)

// ExitError is a process that ended otherwise than with status 0.
type ExitError struct {
	Status int    // the exit status; -1 where a signal ended it
	Signal string // its name without SIG, or ""
	Errors string // the last of its standard error: one printable, capped line
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("exit status %d", e.Status)
	if e.Signal != "" {
		text = "ended by signal " + e.Signal
	}
	if e.Errors != "" {
		text += ": " + e.Errors
	}
	return text
}

var errKilled = fmt.Errorf("the process was dropped: %w", context.Canceled)

// sshProcess is a process at the other end of one channel. Its streams are
// pumped, so that Kill frees whoever waits at one of them even where the server
// does not answer.
type sshProcess struct {
	conn    *connection
	channel ssh.Channel
	input   *io.PipeWriter
	output  *io.PipeReader
	pumped  *io.PipeWriter // the other end of output
	errors  *tail
	drop    func()        // once: lets go of the channel
	done    chan struct{} // closed when it has ended
	err     error         // how; set before done is closed

	mutex   sync.Mutex
	status  *ExitError // what the server said; nil so far
	refused bool       // the server did not run the command
	killed  bool
}

func newProcess(c *connection, channel ssh.Channel, requests <-chan *ssh.Request, line string, release func()) *sshProcess {
	p := &sshProcess{conn: c, channel: channel, errors: newTail(), done: make(chan struct{})}
	inputReader, inputWriter := io.Pipe()
	outputReader, outputWriter := io.Pipe()
	p.input, p.output, p.pumped = inputWriter, outputReader, outputWriter
	p.drop = sync.OnceFunc(func() { p.channel.Close() })

	c.spawn(func() { // a refused command ends the channel
		ok, err := channel.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{line}))
		if err == nil && !ok {
			p.mutex.Lock()
			p.refused = true
			p.mutex.Unlock()
			p.drop()
		}
	})
	c.spawn(func() {
		_, err := io.Copy(channel, inputReader)
		inputReader.CloseWithError(io.ErrClosedPipe)
		if err == nil {
			channel.CloseWrite()
		}
	})
	var drained sync.WaitGroup
	drained.Go(func() {
		io.Copy(p.errors, channel.Stderr())
		p.errors.end()
	})
	c.spawn(func() {
		io.Copy(outputWriter, channel)
		outputWriter.CloseWithError(p.endOfOutput())
		c.forget(p)
	})
	listened := make(chan struct{})
	c.spawn(func() {
		p.listen(requests)
		release()
		drained.Wait()
		close(listened)
	})
	c.spawn(func() {
		select {
		case <-listened:
		case <-c.silent:
		}
		p.finish()
		inputReader.CloseWithError(io.ErrClosedPipe)
	})
	return p
}

// endOfOutputGrace is how long the end of the output waits to learn whether it
// is the end of the process or of the connection.
const endOfOutputGrace = time.Second

// listen notes what the server tells of the process, until the channel ends.
func (p *sshProcess) listen(requests <-chan *ssh.Request) {
	for request := range requests {
		var status *ExitError
		switch request.Type {
		case "exit-status":
			if len(request.Payload) >= 4 {
				status = &ExitError{Status: int(binary.BigEndian.Uint32(request.Payload))}
			}
		case "exit-signal":
			var signal struct {
				Signal     string
				CoreDumped bool
				Error      string
				Lang       string
			}
			if ssh.Unmarshal(request.Payload, &signal) == nil {
				status = &ExitError{Status: -1, Signal: printable(signal.Signal)}
			}
		}
		if status != nil {
			p.mutex.Lock()
			p.status = status
			p.mutex.Unlock()
		}
		if request.WantReply {
			request.Reply(false, nil)
		}
	}
}

// finish settles how the process ended.
func (p *sshProcess) finish() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	switch {
	case p.status != nil && p.status.Status == 0:
	case p.status != nil:
		p.status.Errors = printable(p.errors.last())
		p.err = p.status
	case p.killed:
		p.err = errKilled
	case p.refused:
		p.err = fault.New(fault.Unreachable, "server %s (%s) refuses to run commands", p.conn.target.Name, p.conn.target.where()).
			WithHint("orchestra server check %s", p.conn.target.Name)
	default:
		p.err = p.conn.lost()
	}
	close(p.done)
}

// endOfOutput returns what a reader meets behind the last byte: the end, or
// that the connection broke.
func (p *sshProcess) endOfOutput() error {
	p.mutex.Lock()
	ended := p.status != nil
	p.mutex.Unlock()
	if ended {
		return io.EOF
	}
	// Either the process closed its output and goes on, or the channel is gone
	// and listen is about to know.
	select {
	case <-p.done:
		if _, said := p.err.(*ExitError); p.err != nil && !said {
			return p.err
		}
	case <-time.After(endOfOutputGrace):
	}
	return io.EOF
}

func (p *sshProcess) Input() io.WriteCloser { return p.input }
func (p *sshProcess) Output() io.Reader     { return p.output }
func (p *sshProcess) Errors() io.Reader     { return p.errors.reader() }

func (p *sshProcess) Wait() error {
	<-p.done
	return p.err
}

// cut ends our side of the streams.
func (p *sshProcess) cut(reason error) {
	p.input.CloseWithError(reason)
	p.pumped.CloseWithError(reason)
}

func (p *sshProcess) Kill() error {
	p.mutex.Lock()
	p.killed = true
	p.mutex.Unlock()
	p.cut(errKilled)
	p.conn.spawn(p.drop) // may wait for a connection that does not move
	return nil
}

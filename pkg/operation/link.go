package operation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/remote"
	"orchestra/pkg/runtime"
	"orchestra/pkg/wire"
)

// link is one running runtime on a server: a process and the frames both ways.
type link struct {
	process remote.Process
	conn    *wire.Conn
	hello   wire.Hello
	told    func(wire.Heartbeat)

	frames chan wire.Frame // all but heartbeats; closed with the connection
	beats  chan struct{}   // one token: something was heard
	done   chan struct{}   // closed by close

	mutex   sync.Mutex
	beat    wire.Heartbeat
	heard   time.Time // the last frame of any kind
	moved   time.Time // the last time that it was doing something else than before
	failure error     // why the connection ended
	stderr  strings.Builder

	closing sync.Once
}

// maxStderr is how much of a runtime's standard error is kept, in bytes.
const maxStderr = 4 << 10

// startLink starts the runtime and waits for its HELLO. Whenever the server does
// something else than before, told hears of it; it may be nil.
func startLink(ctx context.Context, transport remote.Transport, told func(wire.Heartbeat)) (*link, error) {
	process, err := transport.Start(ctx, remote.Command{})
	if err != nil {
		return nil, err
	}
	l := &link{
		process: process, conn: wire.NewPanelConn(process.Output(), process.Input()),
		told: told, frames: make(chan wire.Frame, 8), beats: make(chan struct{}, 1), done: make(chan struct{}),
	}
	l.heard, l.moved = time.Now(), time.Now()
	go l.receive()
	go l.keepStderr(process.Errors())
	frame, err := l.next(ctx, wire.SilenceLimit)
	if err == nil && frame.Word != wire.WordHello {
		err = fmt.Errorf("the runtime began with %q instead of HELLO", frame.Word)
	}
	if err == nil {
		err = l.greet(frame)
	}
	if err != nil {
		l.close()
		return nil, l.whyEnded(err)
	}
	go l.heartbeats()
	return l, nil
}

// versionError says that a runtime speaks another version of the protocol.
type versionError struct{ version int }

func (e *versionError) Error() string {
	return fmt.Sprintf("version %d of the protocol instead of %d", e.version, runtime.ProtocolVersion)
}

// greet reads a HELLO. Its version comes first: the rest of another one may look different.
func (l *link) greet(frame wire.Frame) error {
	var of struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(frame.Payload, &of); err != nil {
		return fmt.Errorf("content of %s: %w", frame.Word, err)
	}
	// One that does not say is of the first.
	if max(of.Version, 1) != runtime.ProtocolVersion || of.Version < 0 {
		return &versionError{of.Version}
	}
	return frame.Decode(&l.hello)
}

// whyEnded adds what the process's end tells about a link that never began.
func (l *link) whyEnded(err error) error {
	ended := make(chan error, 1)
	go func() { ended <- l.process.Wait() }()
	select {
	case why := <-ended:
		if why != nil {
			return fmt.Errorf("%w: %w", err, why)
		}
	case <-time.After(time.Second):
	}
	return err
}

// receive passes frames on until the connection ends.
func (l *link) receive() {
	defer close(l.frames)
	for {
		frame, err := l.conn.Receive()
		if err != nil {
			l.mutex.Lock()
			l.failure = err
			l.mutex.Unlock()
			return
		}
		l.hear(frame)
		if frame.Word == wire.WordHeartbeat {
			continue
		}
		select {
		case l.frames <- frame:
		case <-l.done:
			return
		}
	}
}

// hear notes that the other side lives, and what it is doing.
func (l *link) hear(frame wire.Frame) {
	l.mutex.Lock()
	l.heard = time.Now()
	var beat wire.Heartbeat
	moved := frame.Word != wire.WordHeartbeat || frame.Decode(&beat) == nil && beat != l.beat
	beat.Doing = limitLine(beat.Doing, maxLine)
	if moved {
		l.beat, l.moved = beat, l.heard
	}
	l.mutex.Unlock()
	if moved && l.told != nil && frame.Word == wire.WordHeartbeat {
		l.told(beat)
	}
	select {
	case l.beats <- struct{}{}:
	default:
	}
}

// keepStderr keeps the beginning of what the runtime says beside the protocol,
// and reads the rest: nothing must make it wait.
func (l *link) keepStderr(errors io.Reader) {
	if errors == nil {
		return
	}
	buffer := make([]byte, 1024)
	for {
		n, err := errors.Read(buffer)
		l.mutex.Lock()
		if room := maxStderr - l.stderr.Len(); room > 0 {
			l.stderr.Write(buffer[:min(n, room)])
		}
		l.mutex.Unlock()
		if err != nil {
			return
		}
	}
}

// heartbeats tells the server that the panel lives: one that has staged undoes
// when it hears nothing, and the panel may be waiting for a slower server.
func (l *link) heartbeats() {
	ticker := time.NewTicker(wire.HeartbeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-ticker.C:
			if l.conn.Send(wire.WordHeartbeat, wire.Heartbeat{}) != nil {
				return
			}
		}
	}
}

// errSilent says that nothing was heard for the protocol's limit, errStuck that
// the server lives but has been at the same thing for longer than it may be.
var (
	errSilent = errors.New("nothing was heard from it")
	errStuck  = errors.New("it has not moved on")
)

// send says words in one go. It gives up when ctx ends or the other side takes
// nothing for the silence limit.
func (l *link) send(ctx context.Context, words ...outgoing) error {
	sent := make(chan error, 1)
	go func() {
		for _, word := range words {
			if err := l.conn.Send(word.word, word.payload); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	// A large word may take long to send: silence is what counts, and the server beats while it reads.
	for {
		select {
		case err := <-sent:
			return err
		case <-ctx.Done():
			l.close()
			return ctx.Err()
		case <-time.After(wire.HeartbeatInterval):
			if silence := l.silence(); silence >= wire.SilenceLimit {
				l.close()
				return fmt.Errorf("%w for %s", errSilent, silence.Round(time.Second))
			}
		}
	}
}

// outgoing is a word with its content.
type outgoing struct {
	word    wire.Word
	payload any
}

func (l *link) silence() time.Duration {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return time.Since(l.heard)
}

// next returns the next frame that is no heartbeat. It gives up when ctx ends,
// when nothing is heard for the silence limit, and when the server has been at
// the same thing for longer than patience.
func (l *link) next(ctx context.Context, patience time.Duration) (wire.Frame, error) {
	l.mutex.Lock()
	l.moved = time.Now()
	l.mutex.Unlock()
	for {
		l.mutex.Lock()
		silent, stuck := l.heard.Add(wire.SilenceLimit), l.moved.Add(patience)
		doing := l.beat.Doing
		l.mutex.Unlock()
		until := silent
		if stuck.Before(until) {
			until = stuck
		}
		timer := time.NewTimer(time.Until(until))
		select {
		case frame, open := <-l.frames:
			timer.Stop()
			if !open {
				return wire.Frame{}, l.ended()
			}
			return frame, nil
		case <-ctx.Done():
			timer.Stop()
			return wire.Frame{}, ctx.Err()
		case <-l.beats:
			timer.Stop()
		case <-timer.C:
			// What came at the very end still counts.
			select {
			case <-l.beats:
				continue
			default:
			}
			if !time.Now().Before(silent) {
				return wire.Frame{}, fmt.Errorf("%w for %s", errSilent, wire.SilenceLimit)
			}
			return wire.Frame{}, fmt.Errorf("%w for %s from: %s", errStuck, patience, doing)
		}
	}
}

// ended says why the connection has ended.
func (l *link) ended() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	err := l.failure
	if told := new(fault.Error); errors.As(err, &told) {
		return told // who carries the frames knows why better than what they read of the last one
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = errors.New("the connection has ended")
	}
	if text := strings.TrimSpace(l.stderr.String()); text != "" {
		err = fmt.Errorf("%w: %q", err, text) // quoted: a server's output does not drive our terminal
	}
	return err
}

// close drops the runtime: it sees the end of its input.
func (l *link) close() {
	l.closing.Do(func() {
		close(l.done)
		l.process.Input().Close() //nolint:errcheck // it ends either way
		l.process.Kill()          //nolint:errcheck // see above
	})
}

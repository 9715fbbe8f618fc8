package remote

import (
	"bytes"
	"io"
	"sync"
)

// maxTail is how much of a process's standard error is kept, in bytes.
const maxTail = 64 << 10

// tail keeps the last that was written to it. A writer never waits, so that a
// process whose errors nobody reads does not stand still.
type tail struct {
	mutex  sync.Mutex
	grown  sync.Cond
	buffer []byte
	start  int64 // how much came before buffer
	ended  bool
}

func newTail() *tail {
	t := &tail{}
	t.grown.L = &t.mutex
	return t
}

func (t *tail) Write(p []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.buffer = append(t.buffer, p...)
	if excess := len(t.buffer) - maxTail; excess > 0 {
		t.buffer = append(t.buffer[:0], t.buffer[excess:]...)
		t.start += int64(excess)
	}
	t.grown.Broadcast()
	return len(p), nil
}

// end says that nothing more will come.
func (t *tail) end() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.ended = true
	t.grown.Broadcast()
}

// last returns the last lines, as much as a message may repeat.
func (t *tail) last() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	text := bytes.TrimSpace(t.buffer)
	if excess := len(text) - maxForeign; excess > 0 {
		text = text[excess:]
		if _, rest, ok := bytes.Cut(text, []byte("\n")); ok {
			text = rest
		}
	}
	return string(text)
}

// reader returns a reader of what is kept and of what will come.
func (t *tail) reader() io.Reader { return &tailReader{tail: t} }

type tailReader struct {
	tail *tail
	at   int64
}

func (r *tailReader) Read(p []byte) (int, error) {
	t := r.tail
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for {
		r.at = max(r.at, t.start)
		if n := copy(p, t.buffer[r.at-t.start:]); n > 0 {
			r.at += int64(n)
			return n, nil
		}
		if t.ended {
			return 0, io.EOF
		}
		if len(p) == 0 {
			return 0, nil
		}
		t.grown.Wait()
	}
}

package cli

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lockedBuffer is written to by a command and by who answers signals.
type lockedBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *lockedBuffer) Write(data []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(data)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

// until waits for the servers that are waited for to be these.
func (w *waitedFor) until(t *testing.T, names ...string) {
	t.Helper()
	for range 1000 {
		w.mutex.Lock()
		same := slices.Equal(slices.Sorted(slices.Values(w.names)), names)
		w.mutex.Unlock()
		if same {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatalf("%v are never waited for", names)
}

// Who interrupts a second time is told what is waited for and what the way out
// is; a third time adds nothing.
func TestASecondInterruptSaysWhatIsWaitedFor(t *testing.T) {
	p := newPanel(t).routed()
	p.servers("slow", "h12")
	var errs lockedBuffer
	process := p.process
	process.Streams.Err, process.waited = &errs, &waitedFor{}
	signals, code := make(chan os.Signal, 4), make(chan int)
	go func() { code <- attend([]string{"user", "add", "bob", "--account", "acme"}, process, signals) }()
	process.waited.until(t, "h11", "h12")
	signals <- syscall.SIGINT
	process.waited.until(t, "h12") // h11 is back already
	signals <- syscall.SIGINT
	signals <- syscall.SIGINT
	if got := <-code; got != 130 {
		t.Errorf("exit code %d", got)
	}
	said := errs.String()
	if strings.Count(said, "already interrupted") != 1 || !strings.Contains(said, "h12 is waited for") ||
		!strings.Contains(said, "kill -9 ") || !strings.Contains(said, "orchestra recover") {
		t.Errorf("said: %s", said)
	}
	if names := p.must("user", "list", "-o", "name"); strings.Contains(names, "bob") {
		t.Errorf("it was not undone: %s", names)
	}
}

// --wait 0s waits not at all and says so.
func TestWhoWaitsNotAtAllIsToldWhoHoldsTheLock(t *testing.T) {
	p := newPanel(t).routed()
	p.servers("slow", "h11")
	process := p.process
	process.Streams.Err, process.waited = &lockedBuffer{}, &waitedFor{}
	code := make(chan int)
	go func() {
		code <- attend([]string{"user", "add", "bob", "--account", "acme"}, process, nil)
	}()
	process.waited.until(t, "h11", "h12")
	p.exits(10, t.Context(), "account", "set", "acme", "--notes", "x", "--wait", "0s")
	if said := p.errs.String(); !strings.Contains(said, "is not free: held by process") || strings.Contains(said, "ms") {
		t.Errorf("said: %s", said)
	}
	if got := <-code; got != 0 {
		t.Errorf("the other ended with %d", got)
	}
}

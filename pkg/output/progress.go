package output

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progressDelay is how long work may take before a terminal is told of it.
const progressDelay = 300 * time.Millisecond

const progressTick = 100 * time.Millisecond

// Progress shows what happens on each server: live lines on a terminal, plain
// sentences elsewhere where they are wanted. It is safe for concurrent use.
type Progress struct {
	mutex   sync.Mutex
	out     io.Writer
	live    bool
	verbose bool // a sentence for each step, instead of live lines
	width   int
	height  int
	paint   Painter

	names []string
	lines map[string]string
	note  string
	drawn int // lines on the terminal now
	frame int

	stop    chan struct{}
	stopped sync.WaitGroup
}

// NewProgress returns a Progress on a stream. verbose asks for sentences;
// otherwise a terminal gets live lines, and what is no terminal gets nothing.
func NewProgress(out io.Writer, terminal, verbose bool, width, height int, paint Painter) *Progress {
	return &Progress{
		out: out, live: terminal && !verbose, verbose: verbose, width: max(width, 20), height: max(height, 6),
		paint: paint, lines: map[string]string{},
	}
}

// Start begins to draw, on a terminal, once the work has taken a while.
func (p *Progress) Start() {
	if !p.live || p.stop != nil {
		return
	}
	p.stop = make(chan struct{})
	stop := p.stop
	p.stopped.Go(func() {
		wait := time.NewTimer(progressDelay)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-stop:
			return
		}
		tick := time.NewTicker(progressTick)
		defer tick.Stop()
		for {
			p.draw()
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
}

// Stop ends the drawing and takes the live lines away.
func (p *Progress) Stop() {
	if p.stop == nil {
		return
	}
	close(p.stop)
	p.stopped.Wait()
	p.stop = nil
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.erase()
}

// Servers says which lines there are.
func (p *Progress) Servers(names []string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, name := range names {
		if _, known := p.lines[name]; !known {
			p.names = append(p.names, name)
			p.lines[name] = ""
		}
	}
}

// Step says what a server is doing. minor steps are for live lines only.
func (p *Progress) Step(server, text string, minor bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if _, known := p.lines[server]; !known {
		p.names = append(p.names, server)
	}
	p.lines[server] = text
	if p.verbose && !minor {
		_, _ = fmt.Fprintf(p.out, "%s: %s\n", Escape(server), Escape(text))
	}
}

// Note says something about the whole.
func (p *Progress) Note(text string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.note = text
	if p.verbose {
		_, _ = fmt.Fprintln(p.out, Escape(text))
	}
}

// Print writes a line above the live lines.
func (p *Progress) Print(text string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.erase()
	_, _ = fmt.Fprintln(p.out, text)
}

func (p *Progress) erase() {
	if p.drawn > 0 {
		// A ^C that the terminal echoes has moved the cursor to the right.
		_, _ = fmt.Fprintf(p.out, "\r\x1b[%dA\x1b[J", p.drawn)
		p.drawn = 0
	}
}

var spinner = [...]string{"|", "/", "-", `\`}

func (p *Progress) draw() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	longest := 0
	for _, name := range p.names {
		longest = max(longest, Width(Escape(name)))
	}
	var text strings.Builder
	shown := p.names
	hidden := 0
	if room := p.height - 2; len(shown) > room {
		hidden = len(shown) - room
		shown = shown[:room]
	}
	lines := 0
	if p.note != "" {
		text.WriteString(Cut(Escape(p.note), p.width-1) + "\n")
		lines++
	}
	for _, name := range shown {
		name := Escape(name)
		line := name + strings.Repeat(" ", longest-Width(name)) + "  " + Escape(p.lines[name])
		text.WriteString(p.paint.Cyan(spinner[p.frame%len(spinner)]) + " " + Cut(line, p.width-3) + "\n")
		lines++
	}
	if hidden > 0 {
		text.WriteString(fmt.Sprintf("… %d\n", hidden))
		lines++
	}
	p.frame++
	p.erase()
	_, _ = io.WriteString(p.out, text.String())
	p.drawn = lines
}

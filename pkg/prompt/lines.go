package prompt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"orchestra/pkg/fault"
)

// lineLimit is the longest answer that is read, in bytes.
const lineLimit = 64 << 10

// Lines asks by plain lines: questions are written to Out, answers are read
// from In.
type Lines struct {
	in    *lineReader
	out   io.Writer
	words Words
	echo  func(on bool) (restore func(), err error)
}

// NewLines returns an Asker over two streams. silence switches the terminal's
// echo off and returns what switches it on again; nil where there is no echo.
func NewLines(in io.Reader, out io.Writer, words Words, silence func() (restore func(), err error)) *Lines {
	lines := &Lines{in: &lineReader{from: in}, out: out, words: words}
	lines.echo = func(on bool) (func(), error) {
		if on || silence == nil {
			return func() {}, nil
		}
		return silence()
	}
	return lines
}

// Confirm asks a yes-or-no question.
func (l *Lines) Confirm(ctx context.Context, question string) (bool, error) {
	answer, err := l.ask(ctx, question+" "+l.words.YesNo+" ", true)
	if errors.Is(err, io.EOF) {
		_, _ = fmt.Fprintln(l.out)
		return false, nil
	} else if err != nil {
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	for _, yes := range l.words.Yes {
		if answer == yes {
			return true, nil
		}
	}
	return false, nil
}

// Secret asks for a value that is not shown.
func (l *Lines) Secret(ctx context.Context, label string) (string, error) {
	answer, err := l.ask(ctx, label+": ", false)
	_, _ = fmt.Fprintln(l.out)
	if errors.Is(err, io.EOF) {
		return "", fault.New(fault.Interrupted, "no answer was given")
	}
	return answer, err
}

// Line asks for a line of text.
func (l *Lines) Line(ctx context.Context, label, def string) (string, error) {
	question := label + ": "
	if def != "" {
		question = label + " [" + def + "]: "
	}
	answer, err := l.ask(ctx, question, true)
	if errors.Is(err, io.EOF) {
		_, _ = fmt.Fprintln(l.out)
		return "", fault.New(fault.Interrupted, "no answer was given")
	} else if err != nil {
		return "", err
	}
	if strings.TrimSpace(answer) == "" {
		return def, nil
	}
	return answer, nil
}

// Choose lists choices by number and asks for one.
func (l *Lines) Choose(ctx context.Context, question string, choices []string) (int, error) {
	_, _ = fmt.Fprintln(l.out, question)
	for i, choice := range choices {
		_, _ = fmt.Fprintf(l.out, "%3d  %s\n", i+1, choice)
	}
	for {
		answer, err := l.ask(ctx, l.words.Number+": ", true)
		if errors.Is(err, io.EOF) {
			_, _ = fmt.Fprintln(l.out)
			return 0, fault.New(fault.Interrupted, "no answer was given")
		} else if err != nil {
			return 0, err
		}
		answer = strings.TrimSpace(answer)
		if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(choices) {
			return n - 1, nil
		}
		for i, choice := range choices {
			if answer == choice {
				return i, nil
			}
		}
		_, _ = fmt.Fprintln(l.out, l.words.NotThere)
	}
}

// ask writes a question and reads one line. A cancelled context ends the wait
// at once and puts the terminal back; the read itself goes on in the background
// until the process ends, since a terminal's read cannot be taken back.
func (l *Lines) ask(ctx context.Context, question string, echo bool) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", interrupted(err)
	}
	restore, err := l.echo(echo)
	if err != nil {
		return "", fmt.Errorf("switching the terminal's echo off: %w", err)
	}
	defer restore()
	if _, err := io.WriteString(l.out, question); err != nil {
		return "", fmt.Errorf("asking: %w", err)
	}
	select {
	case line := <-l.in.start():
		l.in.pending = nil
		return line.text, line.err
	case <-ctx.Done():
		_, _ = fmt.Fprintln(l.out)
		return "", interrupted(ctx.Err())
	}
}

func interrupted(cause error) error {
	return fault.New(fault.Interrupted, "interrupted").Because(errors.Join(ErrInterrupted, cause))
}

// lineReader reads one line at a time and never a byte more, so that what
// follows on the stream is left for others.
type lineReader struct {
	from    io.Reader
	pending chan readLine // a read that is under way
}

type readLine struct {
	text string
	err  error
}

// start returns where the next line will come. A read that nobody waits for any
// more, its question having been cancelled, is taken up again.
func (r *lineReader) start() <-chan readLine {
	if r.pending == nil {
		answer := make(chan readLine, 1)
		go func() {
			text, err := readOne(r.from)
			answer <- readLine{text, err}
		}()
		r.pending = answer
	}
	return r.pending
}

func readOne(from io.Reader) (string, error) {
	var line []byte
	var one [1]byte
	for len(line) < lineLimit {
		n, err := from.Read(one[:])
		if n == 1 {
			if one[0] == '\n' {
				return strings.TrimSuffix(string(line), "\r"), nil
			}
			line = append(line, one[0])
			continue
		}
		if errors.Is(err, io.EOF) && len(line) > 0 {
			return string(line), nil
		} else if err != nil {
			return "", err
		}
	}
	return "", fault.New(fault.Invalid, "the answer is longer than %d bytes", lineLimit)
}

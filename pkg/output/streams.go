// Package output is everything that is shown: tables, JSON, YAML, CSV, colour,
// progress and the log file. Data goes to standard output and everything else
// to standard error. Nothing that a server or a stored value contains reaches a
// terminal with its control characters in force.
package output

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
)

// Streams are the three streams of a command and what is known of the terminals
// behind them. Tests give their own.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer

	InTerminal, OutTerminal, ErrTerminal bool

	// Width is the number of columns of the terminal; 0 where there is none.
	Width int
	// Height is its number of lines; 0 where there is none.
	Height int
}

// DefaultWidth is assumed of a terminal that does not tell its width.
const DefaultWidth = 80

// SystemStreams returns the streams of this process. getenv tells COLUMNS, for
// terminals that do not know their own width.
func SystemStreams(getenv func(string) string) Streams {
	streams := Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		OutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		ErrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	for _, file := range []*os.File{os.Stdout, os.Stderr, os.Stdin} {
		if width, height, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			streams.Width, streams.Height = width, height
			break
		}
	}
	if streams.Width == 0 && (streams.OutTerminal || streams.ErrTerminal) {
		streams.Width = DefaultWidth
		if columns, err := strconv.Atoi(getenv("COLUMNS")); err == nil && columns > 0 && columns < 10000 {
			streams.Width = columns
		}
	}
	return streams
}

// WidthOr returns the terminal's width, or other where there is no terminal.
func (s Streams) WidthOr(other int) int {
	if s.Width <= 0 {
		return other
	}
	return s.Width
}

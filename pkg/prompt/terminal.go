package prompt

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// NewTerminal returns an Asker that asks on a terminal: in is one, and questions
// go to out. Of the terminal's settings only the echo is changed, so that
// Ctrl-C still interrupts while a secret is typed.
func NewTerminal(in io.Reader, out io.Writer, words Words) *Lines {
	file, isFile := in.(*os.File)
	if !isFile {
		return NewLines(in, out, words, nil)
	}
	return NewLines(in, out, words, func() (func(), error) {
		descriptor := int(file.Fd())
		before, err := unix.IoctlGetTermios(descriptor, unix.TCGETS)
		if err != nil {
			return nil, fmt.Errorf("reading the terminal's settings: %w", err)
		}
		quiet := *before
		quiet.Lflag &^= unix.ECHO
		quiet.Lflag |= unix.ICANON | unix.ISIG
		quiet.Iflag |= unix.ICRNL
		if err := unix.IoctlSetTermios(descriptor, unix.TCSETSF, &quiet); err != nil {
			return nil, fmt.Errorf("changing the terminal's settings: %w", err)
		}
		return func() { _ = unix.IoctlSetTermios(descriptor, unix.TCSETS, before) }, nil
	})
}

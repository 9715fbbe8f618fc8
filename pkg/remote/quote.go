package remote

import (
	"errors"
	"fmt"
	"strings"
)

// maxCommandLine is below what Linux takes as one argument (MAX_ARG_STRLEN,
// 128 KiB): sshd hands the whole line to the login shell as one.
const maxCommandLine = 100 << 10

var errNUL = errors.New("a command may not hold a NUL")

// Quote returns text as one word of a POSIX shell, bash or dash, that stands
// for exactly its bytes. It refuses NUL, which no shell can carry.
func Quote(text string) (string, error) {
	if strings.ContainsRune(text, 0) {
		return "", errNUL
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'", nil
}

// commandLine returns the one line that makes a login shell become command.
// It is the only place where text for a shell is put together.
func commandLine(command Command, sudo bool) (string, error) {
	if command.Program == "" || strings.HasPrefix(command.Program, "-") {
		return "", fmt.Errorf("%q is not a program", command.Program)
	}
	var line strings.Builder
	line.WriteString("exec")
	if sudo {
		line.WriteString(" sudo -n --")
	}
	for _, word := range append([]string{command.Program}, command.Arguments...) {
		quoted, err := Quote(word)
		if err != nil {
			return "", err
		}
		line.WriteString(" ")
		line.WriteString(quoted)
	}
	if line.Len() > maxCommandLine {
		return "", fmt.Errorf("the command line is longer than %d bytes", maxCommandLine)
	}
	return line.String(), nil
}

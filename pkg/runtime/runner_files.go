package runtime

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// childFiles are the descriptors of a child, on our side.
type childFiles struct {
	toClose        []*os.File // the child's ends
	output, answer *os.File   // ours, of pipes
	declared       *os.File   // what a declaring part answers, in memory
}

func (f *childFiles) close() {
	for _, file := range append(f.toClose, f.output, f.answer, f.declared) {
		if file != nil {
			_ = file.Close()
		}
	}
}

// openAnswer returns the descriptor that a child answers on. A declaring part
// prints several lines for each object: into a file in memory, which is read at
// its end, so that nobody has to wake up for each of them. The part's limit for
// files bounds it. An act, which is root's and has none, gets a pipe.
func (f *childFiles) openAnswer(kind ChildKind) (*os.File, error) {
	if kind == ChildDeclare {
		var err error
		f.declared, err = memoryFile("declared", nil)
		return f.declared, err
	}
	answer, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	f.answer, f.toClose = answer, append(f.toClose, writer)
	return writer, nil
}

// memoryFile returns a file that is in no file system, for reading from its
// start. It never gets shorter: who opens it by its name in /proc can't empty it.
func memoryFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err = file.Write(content); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("writing a file in memory: %w", err)
	}
	return file, nil
}

// limited keeps what is written to it, up to answerLimit.
type limited struct {
	data []byte
	over bool
}

// Write implements io.Writer.
func (l *limited) Write(data []byte) (int, error) {
	if len(l.data)+len(data) > answerLimit {
		l.over = true
		return len(data), nil
	}
	l.data = append(l.data, data...)
	return len(data), nil
}

// readAll keeps all of a file, wherever its position was left.
func (l *limited) readAll(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("reading its answer: %w", err)
	}
	if l.over = info.Size() > answerLimit; l.over {
		return nil
	}
	l.data = make([]byte, info.Size())
	if _, err := io.ReadFull(io.NewSectionReader(file, 0, info.Size()), l.data); err != nil {
		return fmt.Errorf("reading its answer: %w", err)
	}
	return nil
}

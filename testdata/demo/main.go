// The demo does Orchestra's main job without root and without a server: two
// SSH servers on loopback inside this program, each with a scratch directory
// as its root, and the real binary that reaches them as it reaches any server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/term"
)

func main() {
	binary := flag.String("orchestra", filepath.Join("build", "orchestra"), "the binary to show")
	keep := flag.Bool("keep", false, "leave the scratch directory behind")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := show(ctx, *binary, os.Stdout, *keep, nil); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func isTerminal(out io.Writer) bool {
	file, is := out.(*os.File)
	return is && term.IsTerminal(int(file.Fd()))
}

// show tells the story in a scratch directory that is gone afterwards. inspect,
// where given, sees each scene's end.
func show(ctx context.Context, binary string, out io.Writer, keep bool, inspect func(scene string, s *stage)) (err error) {
	binary, err = filepath.Abs(binary)
	if err != nil {
		return fmt.Errorf("finding the binary: %w", err)
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("no binary to show, run make build first: %w", err)
	}
	directory, err := os.MkdirTemp("", "orchestra-demo-")
	if err != nil {
		return fmt.Errorf("making a scratch directory: %w", err)
	}
	s := &stage{ctx: ctx, binary: binary, directory: directory, out: out, bold: isTerminal(out)}
	defer func() {
		s.close()
		if keep {
			fmt.Fprintln(out, "left behind:", directory)
			return
		}
		err = errors.Join(err, os.RemoveAll(directory))
	}()
	if err := s.open(); err != nil {
		return err
	}
	for _, scene := range story {
		if err := s.play(scene); err != nil {
			return err
		}
		if inspect != nil {
			inspect(scene.title, s)
		}
	}
	return nil
}

package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"runtime/debug"
	"syscall"
)

// memoryLimit is from where on the collector saves memory instead of time, in
// bytes: a server has other things to do with it.
const memoryLimit = 192 << 20

// Main runs one session over standard input and output, as `orchestra runtime
// [--root DIR] [--directory DIR] [--stand-ins]`, and returns the exit code.
//
// --root makes a directory the root of all paths; --directory is the runtime's own,
// within that root. --stand-ins is for demonstrations without root: ownership is
// recorded instead of given, daemons and acts are announced instead of told and
// done, and the declaring part runs as whoever called.
func Main(arguments []string) int {
	if err := run(arguments, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "orchestra runtime:", printable(err.Error()))
		return 1
	}
	return 0
}

func run(arguments []string, input io.ReadCloser, output io.Writer) (err error) {
	root, options, err := parseArguments(arguments)
	if err != nil {
		return err
	}
	syscall.Umask(0o022)
	debug.SetMemoryLimit(memoryLimit)
	// When the panel is gone, writing to it must be an error and not our end; and
	// children must not inherit that it is ignored.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	disk, closer, err := NewRealDisk(root)
	if err != nil {
		return err
	}
	defer closer.Close()
	runner, err := NewRealRunner(root, true)
	if err != nil {
		return err
	}
	defer runner.Close()
	options.Disk, options.Runner = disk, runner
	if options.StandIns {
		if options.Disk, err = recordOwners(disk, options.Directory); err != nil {
			return err
		}
		options.Runner = standIn{runner}
	}
	options.Clock, options.Input, options.Output = SystemClock{}, input, output
	return Serve(ctx, options)
}

func parseArguments(arguments []string) (root string, options Options, err error) {
	root, options.Directory = "/", DefaultDirectory
	if len(arguments) == 0 {
		if err := findPlace(&root, &options); err != nil {
			return "", options, err
		}
	}
	for len(arguments) > 0 {
		word := arguments[0]
		arguments = arguments[1:]
		switch word {
		case "--stand-ins":
			options.StandIns = true
			continue
		case "--root", "--directory":
		default:
			return "", options, fmt.Errorf("unknown argument %q", word)
		}
		if len(arguments) == 0 || !path.IsAbs(arguments[0]) || path.Clean(arguments[0]) != arguments[0] {
			return "", options, fmt.Errorf("%s needs a clean absolute path", word)
		}
		if word == "--root" {
			root = arguments[0]
		} else {
			options.Directory = arguments[0]
		}
		arguments = arguments[1:]
	}
	if options.Directory == "/" {
		return "", options, errors.New("--directory can't be the root")
	}
	if os.Geteuid() != 0 && !options.StandIns {
		return "", options, errors.New("it must be root's, or be told --stand-ins")
	}
	return root, options, nil
}

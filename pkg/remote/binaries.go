package remote

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// Source is a program to copy to servers.
type Source struct {
	Architecture string // GOARCH
	SHA256       string // 64 hexadecimal digits
	Size         int64  // in bytes
	Open         func() (io.ReadCloser, error)
}

// Binaries finds the program for each architecture. It is safe for concurrent
// use.
type Binaries struct {
	// Executable is the program for our own architecture; "" for the one that
	// runs, even after an upgrade replaced its file.
	Executable string
	// Packages is a directory with those for others, orchestra-linux-arm64 and
	// so on; or "".
	Packages string
	// Cache is a directory of ours where hashes are remembered, since hashing
	// takes longer than starting; "" to hash each time.
	Cache string

	mutex sync.Mutex
	known map[string]Source
}

// missingBinary is an architecture for which there is no program.
type missingBinary struct{ architecture, file string }

func (e *missingBinary) Error() string { return fmt.Sprintf("there is no %s", e.file) }

// For returns the program for an architecture, by Go's name of it; "" for ours.
func (b *Binaries) For(architecture string) (Source, error) {
	if architecture == "" {
		architecture = runtime.GOARCH
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if source, ok := b.known[architecture]; ok {
		return source, nil
	}
	file, err := b.file(architecture)
	if err != nil {
		return Source{}, err
	}
	sum, size, err := hashFile(file, b.Cache)
	if err != nil {
		return Source{}, err
	}
	source := Source{
		Architecture: architecture, SHA256: sum, Size: size,
		Open: func() (io.ReadCloser, error) { return os.Open(file) },
	}
	if b.known == nil {
		b.known = map[string]Source{}
	}
	b.known[architecture] = source
	return source, nil
}

// file returns where the program for an architecture is.
func (b *Binaries) file(architecture string) (string, error) {
	if architecture == runtime.GOARCH {
		if b.Executable != "" {
			return b.Executable, nil
		}
		return "/proc/self/exe", nil
	}
	name := "orchestra-linux-" + architecture
	missing := &missingBinary{architecture: architecture, file: name}
	if b.Packages == "" || strings.ContainsAny(architecture, "/ ") {
		return "", missing
	}
	file := filepath.Join(b.Packages, name)
	missing.file = file
	if _, err := os.Stat(file); err != nil {
		return "", missing
	}
	return file, nil
}

// goArchitecture translates what uname -m prints into Go's name of it.
func goArchitecture(machine string) string {
	switch machine {
	case "x86_64", "amd64":
		return "amd64"
	case "aarch64", "arm64":
		return "arm64"
	case "i386", "i586", "i686":
		return "386"
	case "loongarch64":
		return "loong64"
	}
	if strings.HasPrefix(machine, "arm") {
		return "arm"
	}
	return printable(machine) // riscv64, s390x, ppc64le: the same in both
}

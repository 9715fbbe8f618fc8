//go:build linux

// Package fleet gives tests a fleet of real Debian servers: each a booted
// systemd with a disk, a network cable and a power switch of its own, on
// 192.0.2.0/24 in network namespaces without a route out. It is a thin layer
// over fleet.sh in the same folder; README.md there says how that works.
package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Options say which fleet is wanted.
type Options struct {
	// Prefix tells fleets apart that run side by side: a letter and up to
	// nine letters or digits. It belongs to one process at a time.
	Prefix string
	// Hosts is how many servers there are: h11, h12 …
	Hosts int
	// Role is what they are, "plain" if empty. With commas the first is that
	// of h11, and so on; the last is that of all the rest.
	Role string
	// Log takes what is said while the fleet starts, such as that the image
	// is built; nil means nobody hears it unless that fails.
	Log io.Writer
}

// Fleet is a set of running servers, and the panel's network beside them.
type Fleet struct {
	prefix string
	state  string
	script string
	owner  *os.File // its lock says that the prefix is taken
	hosts  []*Host
}

// Host is one server.
type Host struct {
	// Name is h11, h12 … It is the host's own host name too.
	Name string
	// Address is the one address it has besides loopback.
	Address string
	// HostKey is its SSH host key: "ssh-ed25519 AAAA…". It stays the same
	// until the fleet is stopped, through restore and reset too.
	HostKey string

	fleet *Fleet
}

// Available says why there can't be a fleet on this machine; nil means there can.
func Available() error {
	var missing []error
	need := func(there bool, what string) {
		if !there {
			missing = append(missing, errors.New(what))
		}
	}
	need(os.Geteuid() == 0, "it needs root")
	_, err := os.Stat("/etc/debian_version")
	need(err == nil, "it needs Debian")
	_, err = exec.LookPath("systemd-nspawn")
	if err != nil {
		_, err = exec.LookPath("apt-get")
	}
	need(err == nil, "it needs systemd-nspawn, or apt-get to install it")
	_, err = os.Stat("/dev/loop-control")
	need(err == nil, "it needs loop devices")
	need(fileContains("/proc/filesystems", "\toverlay\n"), "it needs overlayfs")
	need(fileContains("/proc/mounts", " cgroup2 rw"), "it needs a writable cgroup v2 hierarchy")
	need(mayAdministrate(), "it needs the capabilities SYS_ADMIN and NET_ADMIN, which a container may lack")
	if _, err := findScript(); err != nil {
		missing = append(missing, err)
	}
	if err := errors.Join(missing...); err != nil {
		return fmt.Errorf("no fleet can be had here: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

func fileContains(path, text string) bool {
	content, err := os.ReadFile(path)
	return err == nil && bytes.Contains(content, []byte(text))
}

func mayAdministrate() bool {
	const administrate = 1<<21 | 1<<12 // CAP_SYS_ADMIN, CAP_NET_ADMIN
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(content), "\nCapEff:\t")
	effective, err := strconv.ParseUint(after[:strings.IndexByte(after+"\n", '\n')], 16, 64)
	return err == nil && effective&administrate == administrate
}

// findScript looks for fleet.sh from the working directory upwards: a test runs
// in the folder of its package, somewhere below the project's.
func findScript() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding fleet.sh: %w", err)
	}
	for {
		script := filepath.Join(folder, "testdata", "fleet", "fleet.sh")
		if _, err := os.Stat(script); err == nil {
			return script, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("testdata/fleet/fleet.sh is not in this folder or one above")
		}
		folder = parent
	}
}

// Start boots a fleet, after ending whatever an earlier run with the same
// prefix has left behind. It returns when all servers have booted. Stop it.
func Start(ctx context.Context, options Options) (*Fleet, error) {
	script, err := findScript()
	if err != nil {
		return nil, err
	}
	f := &Fleet{
		prefix: options.Prefix,
		state:  "/var/tmp/orchestra-fleet-" + options.Prefix,
		script: script,
	}
	if f.owner, err = own(options.Prefix); err != nil {
		return nil, err
	}
	if err := f.begin(ctx, options); err != nil {
		// What has been booted so far must not stay, even if ctx is over.
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return nil, errors.Join(err, f.end(stopping, "clean"))
	}
	return f, nil
}

// New is Start for a test: it stops the fleet when the test ends. Where there
// can't be a fleet the test fails, or is loudly skipped if ORCHESTRA_WITHOUT_FLEET
// is 1 in the environment.
func New(t testing.TB, options Options) *Fleet {
	t.Helper()
	if err := Available(); err != nil {
		if os.Getenv("ORCHESTRA_WITHOUT_FLEET") != "1" {
			t.Fatalf("%v\nSet ORCHESTRA_WITHOUT_FLEET=1 to go without what this test proves.", err)
		}
		fmt.Fprintf(os.Stderr, "\n*** NOT TESTED: %s: %v ***\n\n", t.Name(), err)
		t.Skip(err)
	}
	if options.Log == nil {
		options.Log = os.Stderr
	}
	f, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f
}

// own takes the prefix for this process, or says that another one has it.
func own(prefix string) (*os.File, error) {
	path := "/run/lock/orchestra-fleet-" + filepath.Base(prefix) + ".owner"
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("taking the prefix %q: %w", prefix, err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("taking the prefix %q: %w", prefix, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("a fleet with the prefix %q belongs to another process or test: %w", prefix, err), file.Close())
	}
	return file, nil
}

func (f *Fleet) begin(ctx context.Context, options Options) error {
	if _, err := f.call(ctx, "clean"); err != nil {
		return err
	}
	arguments := []string{"up", strconv.Itoa(options.Hosts)}
	if options.Role != "" {
		arguments = append(arguments, "--role", options.Role)
	}
	if _, err := f.callLogging(ctx, options.Log, arguments...); err != nil {
		return err
	}
	for number := range options.Hosts {
		host := &Host{
			Name:    fmt.Sprintf("h%d", 11+number),
			Address: fmt.Sprintf("192.0.2.%d", 11+number),
			fleet:   f,
		}
		key, err := os.ReadFile(filepath.Join(f.state, "hosts", host.Name, "identity", "ssh_host_ed25519_key.pub"))
		if err != nil {
			return fmt.Errorf("reading the host key of %s: %w", host.Name, err)
		}
		host.HostKey = strings.Join(strings.Fields(string(key))[:2], " ")
		f.hosts = append(f.hosts, host)
	}
	return nil
}

// Stop powers everything off and forgets all disks and keys. Whatever still runs
// in the panel's network is killed.
func (f *Fleet) Stop(ctx context.Context) error { return f.end(ctx, "down") }

func (f *Fleet) end(ctx context.Context, command string) error {
	_, err := f.call(ctx, command)
	return errors.Join(err, f.owner.Close())
}

// Hosts are all servers, in order.
func (f *Fleet) Hosts() []*Host { return f.hosts }

// Host is one server: Host(0) is h11.
func (f *Fleet) Host(i int) *Host { return f.hosts[i] }

// IdentityFile is the private key with which root logs in to every server.
func (f *Fleet) IdentityFile() string { return filepath.Join(f.state, "key") }

// KnownHostsFile holds all host keys, as OpenSSH wants them.
func (f *Fleet) KnownHostsFile() string { return filepath.Join(f.state, "known_hosts") }

// Command is a command that runs in the panel's network: its address is
// 192.0.2.1, and it reaches the servers and nothing else.
func (f *Fleet) Command(ctx context.Context, name string, arguments ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter",
		append([]string{"--net=" + f.panel(), "--", name}, arguments...)...)
}

func (f *Fleet) panel() string { return "/run/netns/" + f.prefix + "-panel" }

// Network runs ip in the network of a host, which may change nothing there itself.
func (h *Host) Network(ctx context.Context, arguments ...string) error {
	command := exec.CommandContext(ctx, "nsenter", append([]string{"--net=/run/netns/" + h.fleet.prefix + "-" + h.Name, "--", "ip"}, arguments...)...)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("fleet %s: ip %s on %s: %w: %s", h.fleet.prefix, strings.Join(arguments, " "), h.Name, err, strings.TrimSpace(string(output)))
	}
	return nil
}

// Dial connects this process to a server, from the panel's network. The address
// is numeric: "192.0.2.11:22".
func (f *Fleet) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil || net.ParseIP(host) == nil {
		return nil, fmt.Errorf("dialling %s: not a numeric address", address)
	}
	namespace, err := os.Open(f.panel())
	if err != nil {
		return nil, fmt.Errorf("dialling %s: %w", address, err)
	}
	defer namespace.Close()
	// A socket belongs to the network that its thread was in when it was made.
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("dialling %s: %w", address, err)
	}
	defer home.Close()
	if err := enter(namespace); err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("dialling %s: %w", address, err)
	}
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, network, address)
	if back := enter(home); back != nil {
		// The thread stays locked, so that nobody else gets it.
		return nil, errors.Join(fmt.Errorf("dialling %s: %w", address, back), err)
	}
	runtime.UnlockOSThread()
	return connection, err
}

// enter moves the calling thread into a network namespace.
func enter(namespace *os.File) error {
	setns, known := map[string]uintptr{"amd64": 308, "arm64": 268}[runtime.GOARCH]
	if !known {
		return fmt.Errorf("entering %s: unknown on %s", namespace.Name(), runtime.GOARCH)
	}
	if _, _, errno := syscall.RawSyscall(setns, namespace.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
		return fmt.Errorf("entering %s: %w", namespace.Name(), errno)
	}
	return nil
}

// Snapshot keeps the disks of all servers as they are at one moment.
func (f *Fleet) Snapshot(ctx context.Context, name string) error {
	return f.do(ctx, "snapshot", name)
}

// Restore cuts the power of all servers and boots them with the disks of a
// snapshot. Cables are plugged in, and disks are fast.
func (f *Fleet) Restore(ctx context.Context, name string) error { return f.do(ctx, "restore", name) }

// Reset is Restore with the disks from before the first boot.
func (f *Fleet) Reset(ctx context.Context) error { return f.do(ctx, "reset") }

// Root is the server's root directory as this machine sees it, also while the
// power is cut. It changes under a running server: look, and don't touch.
func (h *Host) Root() string { return filepath.Join(h.fleet.state, "hosts", h.Name, "root") }

// Run runs a script of the server's bash as root, over SSH, and returns what it
// prints. If it fails, the error says what it printed to stderr.
func (h *Host) Run(ctx context.Context, script string) (string, error) {
	return h.fleet.call(ctx, "ssh", h.Name, script)
}

// Inside is Run without the network: it works while the cable is out.
func (h *Host) Inside(ctx context.Context, script string) (string, error) {
	return h.fleet.call(ctx, "inside", h.Name, "bash", "-c", script)
}

// PowerCut stops the server between two instructions. What it had not synced to
// its disk is lost, and nobody on the network is told.
func (h *Host) PowerCut(ctx context.Context) error { return h.fleet.do(ctx, "kill", h.Name) }

// Boot powers the server on with the disk it has, and waits until it has booted.
func (h *Host) Boot(ctx context.Context) error { return h.fleet.do(ctx, "boot", h.Name) }

// Reboot restarts the server in good order.
func (h *Host) Reboot(ctx context.Context) error { return h.fleet.do(ctx, "reboot", h.Name) }

// Cut unplugs the server's network cable; it stays out until Heal, or until the
// fleet is restored or reset.
func (h *Host) Cut(ctx context.Context) error { return h.fleet.do(ctx, "cut", h.Name) }

// CutAfterSending waits until at most so many more bytes, with all headers, have
// gone to the server, lets no packet pass after them, and unplugs the cable.
func (h *Host) CutAfterSending(ctx context.Context, bytes int) error {
	return h.fleet.do(ctx, "cut", h.Name, "--to", strconv.Itoa(bytes))
}

// CutAfterReceiving is the same for what comes from the server.
func (h *Host) CutAfterReceiving(ctx context.Context, bytes int) error {
	return h.fleet.do(ctx, "cut", h.Name, "--from", strconv.Itoa(bytes))
}

// Heal plugs the cable in again. What the kernels have not given up to send
// arrives then.
func (h *Host) Heal(ctx context.Context) error { return h.fleet.do(ctx, "heal", h.Name) }

// Fill fills the server's disk but for so many bytes.
func (h *Host) Fill(ctx context.Context, keep int64) error {
	return h.fleet.do(ctx, "fill", h.Name, strconv.FormatInt(keep, 10))
}

// Unfill takes Fill back.
func (h *Host) Unfill(ctx context.Context) error { return h.fleet.do(ctx, "unfill", h.Name) }

// Slow makes the server's disk so slow that a small file, synced, takes about
// that long (100 ms to 5 s). Zero makes it fast again.
func (h *Host) Slow(ctx context.Context, sync time.Duration) error {
	speed := strconv.FormatInt(sync.Milliseconds(), 10)
	if sync == 0 {
		speed = "off"
	}
	return h.fleet.do(ctx, "slow", h.Name, speed)
}

func (f *Fleet) do(ctx context.Context, arguments ...string) error {
	_, err := f.call(ctx, arguments...)
	return err
}

// call runs one command of fleet.sh and returns its stdout.
func (f *Fleet) call(ctx context.Context, arguments ...string) (string, error) {
	return f.callLogging(ctx, nil, arguments...)
}

func (f *Fleet) callLogging(ctx context.Context, log io.Writer, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, f.script, arguments...)
	command.Env = append(os.Environ(), "ORCHESTRA_FLEET_PREFIX="+f.prefix, "ORCHESTRA_FLEET_STATE="+f.state)
	// If ctx ends it, its children may go on for a moment and keep the pipes open.
	command.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if log != nil {
		command.Stderr = io.MultiWriter(&stderr, log)
	}
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return stdout.String(), fmt.Errorf("fleet %s: %s: %w: %s", f.prefix, strings.Join(arguments, " "), err,
			strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

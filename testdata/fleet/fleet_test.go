//go:build linux

package fleet

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// run is Inside that must succeed, without the newline at the end.
func run(t *testing.T, host *Host, script string) string {
	t.Helper()
	output, err := host.Inside(t.Context(), script)
	must(t, err)
	return strings.TrimSpace(output)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// A fleet of two, on which each fault is tried and healed again.
func TestFleet(t *testing.T) {
	f := New(t, Options{Prefix: "oftest", Hosts: 2})
	ctx, h11, h12 := t.Context(), f.Host(0), f.Host(1)

	t.Run("hosts", func(t *testing.T) {
		output, err := h11.Run(ctx, "hostname; systemctl is-system-running; loginctl list-sessions --no-legend | wc -l; cat /proc/1/comm")
		must(t, err)
		wants(t, "a login over SSH", output, "h11\nrunning\n1\nsystemd\n")
		_, err = h11.Run(ctx, "echo why >&2; exit 7")
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 7 || !strings.Contains(err.Error(), "why") {
			t.Errorf("a failing script: %v", err)
		}
		if h11.HostKey == h12.HostKey || !strings.HasPrefix(h11.HostKey, "ssh-ed25519 AAAA") {
			t.Errorf("host keys: %q and %q", h11.HostKey, h12.HostKey)
		}
		seen, err := f.Command(ctx, "ssh-keyscan", "-t", "ed25519", h12.Address).Output()
		must(t, err)
		wants(t, "the key on the wire", strings.TrimSpace(string(seen)), h12.Address+" "+h12.HostKey)
		connection, err := f.Dial(ctx, "tcp", net.JoinHostPort(h12.Address, "22"))
		must(t, err)
		defer connection.Close()
		banner := make([]byte, 8)
		_, err = io.ReadFull(connection, banner)
		must(t, err)
		wants(t, "the banner", string(banner), "SSH-2.0-")
		wants(t, "ids of machines are the same", run(t, h11, "cat /etc/machine-id") == run(t, h12, "cat /etc/machine-id"), false)
	})

	t.Run("what a server can do", func(t *testing.T) {
		run(t, h11, "systemd-run --quiet --scope true && mkdir -p /mnt/a /mnt/b && mount --bind /mnt/a /mnt/b && umount /mnt/b")
		wants(t, "hierarchies of cgroups", run(t, h11, "stat -f -c %T /sys/fs/cgroup; ls /sys/fs/cgroup/init.scope/cgroup.kill"), "cgroup2fs\n/sys/fs/cgroup/init.scope/cgroup.kill")
		wants(t, "ACLs", run(t, h11, "setfacl -m u:nobody:r /etc/issue && getfacl -cp /etc/issue | grep nobody"), "user:nobody:r--")
		// /etc/motd and the others come from the image, so that they are copied up on the way.
		wants(t, "RENAME_EXCHANGE, openat2, O_TMPFILE, extended attributes", run(t, h11, systemCalls), "exchanged exchanged refused linked kept")
		wants(t, "folders of the image can be renamed", run(t, h11, "perl -e 'rename(q(/etc/cron.d), q(/etc/cron.x)) or die $!; rename(q(/etc/cron.x), q(/etc/cron.d)) or die $!; print q(renamed)'"), "renamed")
		wants(t, "devices", run(t, h11, "stat -c %d / /etc /tmp /var /home | sort -u | wc -l"), "1")
	})

	t.Run("no route out", func(t *testing.T) {
		for _, family := range []string{"-4", "-6"} {
			wants(t, "the server's default route", run(t, h11, "ip "+family+" route show default"), "")
			output, err := f.Command(ctx, "ip", family, "route", "show", "default").Output()
			must(t, err)
			wants(t, "the panel's default route", string(output), "")
		}
		if output, err := f.Command(ctx, "bash", "-c", "echo >/dev/tcp/198.51.100.1/80").CombinedOutput(); !strings.Contains(string(output), "Network is unreachable") {
			t.Errorf("leaving the network: %v: %s", err, output)
		}
	})

	t.Run("fleets side by side", func(t *testing.T) {
		other := New(t, Options{Prefix: "oftestb", Hosts: 1, Role: "dns"})
		twin := other.Host(0)
		wants(t, "the same address in both", twin.Address, h11.Address)
		wants(t, "keys are the same", twin.HostKey == h11.HostKey, false)
		run(t, twin, "touch /root/only-there; systemctl is-active named")
		wants(t, "a file of the other fleet", run(t, h11, "ls /root"), "")
		if output, err := f.Command(ctx, "ssh", "-F", "/dev/null", "-i", other.IdentityFile(), "-o", "BatchMode=yes", "-o", "IdentityAgent=none",
			"-o", "UserKnownHostsFile="+f.KnownHostsFile(), "root@"+h11.Address, "true").CombinedOutput(); !strings.Contains(string(output), "Permission denied") {
			t.Errorf("logging in with the other fleet's key: %v: %s", err, output)
		}
		if _, err := own("oftestb"); err == nil {
			t.Error("two owners of one prefix")
		}
	})

	t.Run("power cut", func(t *testing.T) {
		boot := run(t, h11, "cat /proc/sys/kernel/random/boot_id")
		run(t, h11, "cd /root; echo old >name; echo kept >kept; sync; echo new >name.new; sync name.new; mv name.new name; echo lost >lost")
		connection, err := f.Dial(ctx, "tcp", net.JoinHostPort(h11.Address, "22"))
		must(t, err)
		defer connection.Close()
		must(t, h11.PowerCut(ctx))
		if _, err := h11.Inside(ctx, "true"); err == nil {
			t.Error("it runs without power")
		}
		name, err := os.ReadFile(filepath.Join(h11.Root(), "root/name"))
		must(t, err)
		wants(t, "a rename whose folder was not synced", string(name), "old\n")
		wants(t, "the peer of a connection hears", silence(connection), "nothing")
		must(t, h11.Boot(ctx))
		wants(t, "the disk", run(t, h11, "cd /root; cat kept; ls"), "kept\nkept\nname\nname.new")
		wants(t, "it is the same boot", run(t, h11, "cat /proc/sys/kernel/random/boot_id") == boot, false)
		_, err = h11.Run(ctx, "true") // with the same host key
		must(t, err)
	})

	t.Run("reboot", func(t *testing.T) {
		run(t, h12, "echo written >/root/late")
		must(t, h12.Reboot(ctx))
		wants(t, "what was not synced before an orderly restart", run(t, h12, "cat /root/late"), "written")
		over := make(chan error, 1)
		go func() { over <- ignore(h12.Inside(ctx, "echo >/root/waits; sleep 1000")) }()
		eventually(t, "somebody looks inside", func() bool { return ignore(h12.Inside(ctx, "rm /root/waits")) == nil })
		boot := run(t, h12, "cat /proc/sys/kernel/random/boot_id")
		run(t, h12, "systemctl reboot") // of its own will
		eventually(t, "the server comes back", func() bool {
			now, err := h12.Inside(ctx, "systemctl is-active --quiet multi-user.target && cat /proc/sys/kernel/random/boot_id")
			return err == nil && strings.TrimSpace(now) != boot
		})
		if err := <-over; err == nil { // who looked inside is not left hanging
			t.Error("what ran inside has ended well")
		}
	})

	t.Run("cable", func(t *testing.T) {
		must(t, h11.Cut(ctx))
		if output, err := f.Command(ctx, "ping", "-c", "1", "-W", "1", h11.Address).CombinedOutput(); err == nil {
			t.Errorf("reached with the cable out: %s", output)
		}
		wants(t, "looking inside", run(t, h11, "hostname"), "h11")
		must(t, h11.Heal(ctx))
		_, err := h11.Run(ctx, "true")
		must(t, err)
	})

	t.Run("cable cut in the middle of sending", func(t *testing.T) {
		const sent, until = 1 << 20, 100_000
		received := receive(t, f, h11, sent, func() {
			must(t, h11.CutAfterSending(ctx, until))
		})
		before := received()
		if before < until*8/10 || before > until {
			t.Errorf("%d bytes have arrived before the cable was cut, of at most %d", before, until)
		}
		must(t, h11.Heal(ctx))
		eventually(t, "the kernel sends the rest, however late", func() bool { return received() == sent })
	})

	t.Run("full disk", func(t *testing.T) {
		must(t, h11.Fill(ctx, 0))
		_, err := h11.Run(ctx, "head -c 4096 /dev/zero >/root/too-much")
		if err == nil || !strings.Contains(err.Error(), "No space left on device") {
			t.Errorf("writing to a full disk: %v", err)
		}
		run(t, h12, "head -c 4096 /dev/zero >/root/elsewhere")
		must(t, h11.Fill(ctx, 1<<20))
		run(t, h11, "head -c 100000 /dev/zero >/root/fits")
		must(t, h11.Unfill(ctx))
		run(t, h11, "head -c 50000000 /dev/zero >/root/much")
	})

	t.Run("slow disk", func(t *testing.T) {
		must(t, h11.Slow(ctx, 300*time.Millisecond))
		slow, neighbour := syncTime(t, h11), syncTime(t, h12)
		must(t, h11.Slow(ctx, 0))
		fast := syncTime(t, h11)
		t.Logf("a synced file takes %v slow, %v fast, %v on the neighbour", slow, fast, neighbour)
		if slow < 150*time.Millisecond || slow > 1200*time.Millisecond || neighbour > slow/2 || fast > slow/2 {
			t.Errorf("a synced file takes %v slow, %v fast, %v on the neighbour", slow, fast, neighbour)
		}
	})

	t.Run("snapshots", func(t *testing.T) {
		paths := []string{"/etc", "/root"}
		for _, host := range f.Hosts() {
			run(t, host, "echo before >/root/state; setfacl -m u:nobody:r /root/state; ln -sf state /root/link")
		}
		before, err := h11.Digest(ctx, paths...)
		must(t, err)
		must(t, f.Snapshot(ctx, "one"))
		run(t, h11, "echo after >/root/state; rm /root/link; chmod 600 /etc/issue; sync")
		must(t, h11.Cut(ctx))
		after, err := h11.Digest(ctx, paths...)
		must(t, err)
		changed := strings.Join(before.Without("/root/state").Diff(after.Without("/root/state")), "\n")
		if !strings.Contains(changed, "- /etc/issue -rw-r--r-- 0 0 ") || !strings.Contains(changed, "+ /etc/issue -rw------- 0 0 ") ||
			!strings.Contains(changed, "- /root/link Lrwxrwxrwx 0 0 5 state") || strings.Count(changed, "\n") != 2 {
			t.Errorf("what the digests show to be different:\n%s", changed)
		}
		must(t, f.Restore(ctx, "one"))
		_, err = h11.Run(ctx, "true")
		must(t, err)
		restored, err := h11.Digest(ctx, paths...)
		must(t, err)
		if lines := before.Diff(restored); lines != nil {
			t.Errorf("restored is not what was:\n%s", strings.Join(lines, "\n"))
		}
		must(t, f.Reset(ctx))
		wants(t, "what is there after a reset", run(t, h11, "ls /root"), "")
		output, err := h12.Run(ctx, "ls /root; systemctl is-system-running")
		must(t, err)
		wants(t, "the other host after a reset", output, "running\n")
	})
}

// systemCalls tries what the runtime on a server rests on.
const systemCalls = `perl -e '
use strict; my $here = -100; my @said;
sub text { open(my $f, "<", $_[0]) or die; join "", <$f> }
open(my $f, ">", "/etc/mine"); print $f "mine"; close $f;
my ($mine, $issue, $motd) = ("/etc/mine", "/etc/issue", "/etc/motd");
my $was = text($issue);
push @said, syscall(316, $here, $mine, $here, $issue, 2) == 0 && text($issue) eq "mine" && text($mine) eq $was ? "exchanged" : "not $!";
push @said, syscall(316, $here, $motd, $here, $mine, 2) == 0 && text($motd) eq $was ? "exchanged" : "not $!";
symlink "/etc/passwd", "/root/link"; my ($link, $how) = ("/root/link", pack("QQQ", 0, 0, 4));
push @said, syscall(437, $here, $link, $how, 24) == -1 && $!{ELOOP} ? "refused" : "not $!";
unlink "/root/link"; my ($etc, $tmp) = ("/etc", "/etc/linked");
my $fd = syscall(257, $here, $etc, 0x410002, 0600); my $proc = "/proc/self/fd/$fd";
push @said, syscall(265, $here, $proc, $here, $tmp, 0x400) == 0 && -e $tmp ? "linked" : "not $!";
my ($attribute, $value, $read) = ("user.fleet", "kept", " " x 4);
syscall(188, $tmp, $attribute, $value, 4, 0); syscall(191, $tmp, $attribute, $read, 4);
push @said, $read; unlink $tmp, $mine; print "@said"'`

// eventually waits until something is so.
func eventually(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !isSo(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

func ignore(_ string, err error) error { return err }

// silence says what comes over a connection after the banner of SSH.
func silence(connection net.Conn) string {
	if err := connection.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		return err.Error()
	}
	_, err := io.Copy(io.Discard, connection)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "nothing"
	}
	return fmt.Sprint("an end: ", err)
}

// receive sends so many bytes to the host while something is done to it. What it
// returns says how many have arrived up to now.
func receive(t *testing.T, f *Fleet, host *Host, count int, meanwhile func()) func() int {
	t.Helper()
	ctx := t.Context()
	run(t, host, "systemd-run --quiet --unit=receiver --property=StandardOutput=file:/root/received python3 -uc '"+
		"import socket, sys; s = socket.create_server((\"\", 7000)); c = s.accept()[0]\n"+
		"while b := c.recv(65536): sys.stdout.buffer.write(b)'; until ss -ltn | grep -q :7000; do sleep 0.05; done")
	connection, err := f.Dial(ctx, "tcp", net.JoinHostPort(host.Address, "7000"))
	must(t, err)
	t.Cleanup(func() { connection.Close() })
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		meanwhile()
	}()
	eventually(t, "the cut lies in wait", func() bool {
		output, err := f.Command(ctx, "tc", "qdisc", "show", "dev", host.Name).Output()
		return err == nil && bytes.Contains(output, []byte("tbf"))
	})
	payload := make([]byte, count)
	if _, err := rand.Read(payload); err != nil {
		t.Fatal(err)
	}
	go connection.Write(payload) // ends when the connection does
	<-cut
	return func() int {
		size, err := strconv.Atoi(run(t, host, "stat -c %s /root/received"))
		must(t, err)
		return size
	}
}

// syncTime is how long a small file, synced, takes inside the host: the median of three.
func syncTime(t *testing.T, host *Host) time.Duration {
	t.Helper()
	var times []float64
	must(t, json.Unmarshal([]byte(run(t, host, `python3 -c '
import os, time
times = []
for i in range(3):
    began = time.monotonic()
    fd = os.open("/root/probe%d" % i, os.O_CREAT | os.O_WRONLY)
    os.write(fd, b"x" * 4096)
    os.fsync(fd)
    times.append(time.monotonic() - began)
print(sorted(times))'`)), &times))
	return time.Duration(times[len(times)/2] * float64(time.Second)).Round(100 * time.Microsecond)
}

// A run of fleet.sh that is killed at any moment leaves nothing that clean does
// not find, and nothing in the way of the next.
func TestKilledRun(t *testing.T) {
	const prefix = "oftestk"
	f := New(t, Options{Prefix: prefix, Hosts: 1}) // so that the image is there
	ctx := t.Context()
	call := func(arguments ...string) *exec.Cmd {
		command := exec.CommandContext(ctx, f.script, arguments...)
		command.Env = append(os.Environ(), "ORCHESTRA_FLEET_PREFIX="+prefix)
		return command
	}
	for i, after := range []time.Duration{50, 150, 400, 800, 1200, 1600} {
		output, err := call("clean").CombinedOutput()
		if err != nil {
			t.Fatalf("clean: %v: %s", err, output)
		}
		if left := leftovers(t, prefix); left != "" {
			t.Fatalf("left behind after a kill:\n%s", left)
		}
		up := call("up", "2")
		up.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		must(t, up.Start())
		time.Sleep(after * time.Millisecond) // the moment of the kill is the point
		victim := up.Process.Pid
		if i%2 == 0 {
			victim = -victim // with what it has started
		}
		must(t, syscall.Kill(victim, syscall.SIGKILL))
		_ = up.Wait()
	}
	snapshot := call("snapshot", "half") // killed while the disks may be frozen
	must(t, snapshot.Start())
	time.Sleep(60 * time.Millisecond)
	must(t, snapshot.Process.Kill())
	_ = snapshot.Wait()
	for _, arguments := range [][]string{{"clean"}, {"up", "1"}, {"ssh", "h11", "true"}, {"down"}} {
		if output, err := call(arguments...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", arguments, err, output)
		}
	}
	if left := leftovers(t, prefix); left != "" {
		t.Errorf("left behind:\n%s", left)
	}
}

// leftovers lists what carries the prefix on this machine: processes, mounts, loop
// devices, networks, cgroups, folders.
func leftovers(t *testing.T, prefix string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "bash", "-c", `
		for file in $(grep -l "orchestra-fleet-$1/" /proc/[0-9]*/cgroup 2>/dev/null); do
			readlink "${file%cgroup}exe" # which the dead have no more
		done
		grep -h "orchestra-fleet-$1/\|$1-h" /proc/[0-9]*/mountinfo 2>/dev/null | sort -u
		losetup --list --noheadings | grep "/$1-h"
		ls -d "/run/netns/$1-"* /sys/fs/cgroup/{.,*}/"orchestra-fleet-$1" "/var/tmp/orchestra-fleet-$1" "/run/systemd/nspawn/propagate/$1-"* 2>/dev/null
		true`, "bash", prefix).Output()
	must(t, err)
	return string(output)
}

func TestDigestDiff(t *testing.T) {
	before := Digest{"/a": "1", "/b": "2", "/c/d": "3", "/cd": "4"}
	after := Digest{"/a": "1", "/b": "5", "/c/d": "6", "/e": "7"}
	wants(t, "all", strings.Join(before.Diff(after), ","), "- /b 2,+ /b 5,- /c/d 3,+ /c/d 6,- /cd 4,+ /e 7")
	wants(t, "without /c", strings.Join(before.Without("/c").Diff(after.Without("/c/")), ","), "- /b 2,+ /b 5,- /cd 4,+ /e 7")
	wants(t, "the same", len(before.Diff(before)), 0)
}

// A fleet that can't be had is said, and nothing is left of it.
func TestStartFails(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err) // TestFleet has said so loudly
	}
	_, err := Start(context.Background(), Options{Prefix: "oftestk", Hosts: 1, Role: "nonesuch"})
	if err == nil || !strings.Contains(err.Error(), "no role nonesuch; there are: dns pdns plain") {
		t.Errorf("an unknown role: %v", err)
	}
	if left := leftovers(t, "oftestk"); left != "" {
		t.Errorf("left behind:\n%s", left)
	}
}

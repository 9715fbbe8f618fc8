package runtime

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"orchestra/pkg/wire"
)

func TestAnAccessListDoesNotChangeTheDeclaredMode(t *testing.T) {
	root, options := realServer(t)
	must(t, os.WriteFile(root+"/etc/key", []byte("old"), 0o644))
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range [][3]uint32{{1, 6, 0xffffffff}, {2, 4, 4242}, {4, 4, 0xffffffff}, {0x10, 4, 0xffffffff}, {0x20, 4, 0xffffffff}} {
		list = binary.LittleEndian.AppendUint16(list, uint16(entry[0]))
		list = binary.LittleEndian.AppendUint16(list, uint16(entry[1]))
		list = binary.LittleEndian.AppendUint32(list, entry[2])
	}
	if err := unix.Setxattr(root+"/etc/key", "system.posix_acl_access", list, 0); err != nil {
		t.Skipf("LEFT OUT: no access lists here: %v", err)
	}
	before := tree(t, root)
	p := connect(t, options)
	stage := stageOf(1, aStep("x", d("file", "/etc/key", "root", "root", "0600", "new")))
	for _, word := range wordsOf(stage)[:2] {
		p.want(word.answer, word.word, word.content)
	}
	info, err := os.Stat(root + "/etc/key")
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	if difference := cmp.Diff(before, tree(t, root)); difference != "" {
		t.Error(difference)
	}
	must(t, p.close())
}

func TestSecretsOfWhatGoesAreNotShownAndDoNotStay(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	disk.Put("/etc/unknown.key", "hidden-one", Attributes{Mode: 0o600})
	disk.Put("/etc/dovecot-users", "old:{CRYPT}hidden-two\n", Attributes{Mode: 0o640})
	p := memorySession(t, disk, machine)
	p.perform(stageOf(1, aStep("x", d("file", "/etc/ours.key", "root", "root", "0644", "hidden-three", "secret"),
		d("file", "/etc/ours.conf", "root", "root", "0600", "to be seen"))))
	step := aStep("x", d("absent", "/etc/unknown.key"), d("absent", "/etc/ours.key"), d("absent", "/etc/ours.conf"),
		d("drop", "entry", "/etc/dovecot-users", "old", "colon"))
	report := p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: []wire.Step{step}})
	if text := describe(report); strings.Contains(text, "hidden") || !strings.Contains(text, "to be seen") || len(reasons(report)) != 4 {
		t.Error(text)
	}
	p.perform(stageOf(2, step))
	for name, text := range disk.Dump() {
		if strings.Contains(text, "hidden") {
			t.Errorf("%s still holds %q", name, text)
		}
	}
	must(t, p.close())
}

func TestTheTrashIsEmptiedAfterItsTime(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{Mounts: []string{"/home"}})
	clock := &testClock{now: time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC)}
	trash := func() (found []string) {
		for _, name := range keysOf(disk.Dump()) {
			if strings.Contains(name, "trash/2026") {
				found = append(found, name)
			}
		}
		return found
	}
	panel := clock.now
	perform := func(n int, declaration []string) {
		runner := machine.start(disk)
		p := connect(t, Options{Disk: runner.disk, Clock: clock, Runner: runner})
		stage := stageOf(n, aStep("x", declaration))
		stage.Sequence = panel.UnixMicro()
		p.perform(stage)
		must(t, p.close())
	}
	disk.Put("/home/acme/mail/1", "x", Attributes{Mode: 0o600})
	perform(1, d("park", "/home/acme"))
	disk.Put("/srv/www/x", "x", Attributes{Mode: 0o600})
	perform(2, d("park", "/srv/www"))
	if found := trash(); len(found) != 5 {
		t.Errorf("parked: %q", found)
	}
	clock.now = clock.now.Add(29 * 24 * time.Hour)
	perform(3, d("dir", "/srv/a", "root", "root", "0755"))
	if found := trash(); len(found) != 5 {
		t.Errorf("after 29 days: %q", found)
	}
	clock.now = clock.now.Add(2 * 24 * time.Hour)
	perform(4, d("dir", "/srv/b", "root", "root", "0755"))
	if found := trash(); len(found) != 5 {
		t.Errorf("after 31 days of a clock that the panel's does not agree with: %q", found)
	}
	panel = clock.now
	perform(5, d("dir", "/srv/c", "root", "root", "0755"))
	if found := trash(); len(found) != 0 {
		t.Errorf("after 31 days: %q", found)
	}
}

func TestNoPartOfASecretIsLeftWhereTheMiddleIsCutOut(t *testing.T) {
	const secret = "correct-horse-battery-staple"
	rapid.Check(t, func(t *rapid.T) {
		var out capped
		plain := newRedactor(&out, []string{secret, "x"})
		before := rapid.IntRange(0, outputHead+100).Draw(t, "before")
		text := strings.Repeat(".", before) + secret + strings.Repeat(",", rapid.IntRange(0, 2*outputTail).Draw(t, "after")) + secret
		for len(text) > 0 {
			n := rapid.IntRange(1, max(1, len(text))).Draw(t, "write")
			if written, err := plain.Write([]byte(text[:n])); written != n || err != nil {
				t.Fatal(written, err)
			}
			text = text[n:]
		}
		plain.flush()
		for size := 4; size <= len(secret); size += 4 {
			for at := 0; at+size <= len(secret); at += 4 {
				if bytes.Contains([]byte(out.String()), []byte(secret[at:at+size])) {
					t.Fatalf("%q is left", secret[at:at+size])
				}
			}
		}
	})
}

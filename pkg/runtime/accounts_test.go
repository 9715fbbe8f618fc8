package runtime

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

func read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	must(t, err)
	return string(data)
}

func TestAccountsAreWrittenAsShadowsToolsWould(t *testing.T) {
	root, options := realServer(t)
	odd := "# a comment\n\n+@netgroup::::::\n"
	must(t, os.WriteFile(root+pathPasswd, []byte(accountsOfTest[pathPasswd]+odd), 0o644),
		os.Chmod(root+pathShadow, 0o640), os.Chown(root+pathShadow, 0, 42))
	p := connect(t, options)
	step := aStep("users",
		d("group", "acme", "70000"), d("user", "acme", "70000", "70000", "/home/acme", "/bin/bash", "Acme & Söhne", Reference(1), "0"),
		d("group", "bob", "70001"), d("user", "bob", "70001", "70001", "/home/bob", "/bin/sh", "", "", "1"),
		d("group", "eve", "70002"), d("user", "eve", "70002", "70002", "/home/eve", "/bin/sh", "", "!", "0"),
		d("member", "acme", "bob"), d("member", "staff", "acme"), d("group", "orchestra-sftp", "-"), d("member", "orchestra-sftp", "bob"))
	step.Contents = []wire.ContentItem{{Reference: Reference(1), Data: []byte("$y$j9T$salt$hash"), Secret: true}}
	p.perform(stageOf(1, step))
	today := time.Now().Unix() / 86400
	lines := func(format string, arguments ...any) string { return fmt.Sprintf(format, arguments...) }
	for name, want := range map[string]string{
		pathPasswd: accountsOfTest[pathPasswd] + "# a comment\n\nacme:x:70000:70000:Acme & Söhne:/home/acme:/bin/bash\nbob:x:70001:70001::/home/bob:/bin/sh\neve:x:70002:70002::/home/eve:/bin/sh\n+@netgroup::::::\n",
		pathShadow: accountsOfTest[pathShadow] + lines("acme:$y$j9T$salt$hash:%d:0:99999:7:::\nbob:!:%[1]d:0:99999:7::1:\neve:!:%[1]d:0:99999:7:::\n", today),
		pathGroup: strings.Replace(accountsOfTest[pathGroup], "staff:x:50:\n", "staff:x:50:acme\n", 1) +
			"acme:x:70000:bob\nbob:x:70001:\neve:x:70002:\norchestra-sftp:x:999:bob\n",
		pathGshadow: strings.Replace(accountsOfTest[pathGshadow], "staff:*::\n", "staff:*::acme\n", 1) +
			"acme:!::bob\nbob:!::\neve:!::\norchestra-sftp:!::bob\n",
	} {
		if difference := cmp.Diff(want, read(t, root+name)); difference != "" {
			t.Errorf("%s: %s", name, difference)
		}
	}
	info, err := options.Disk.Stat(pathShadow)
	must(t, err)
	if info.Attributes != (Attributes{Owner: Owner{0, 42}, Mode: 0o640}) {
		t.Errorf("shadow is %+v", info.Attributes)
	}
	// Disabled: the password is locked, its hash stays; and back.
	for n, expired := range []string{"1", "0"} {
		step := aStep("users", d("user", "acme", "70000", "70000", "/home/acme", "/bin/bash", "Acme & Söhne", Reference(1), expired))
		step.Contents = []wire.ContentItem{{Reference: Reference(1), Data: []byte("$y$j9T$salt$hash"), Secret: true}}
		p.perform(stageOf(n+2, step))
		want := lines("acme:%s$y$j9T$salt$hash:%d:0:99999:7::%s:\n", map[string]string{"1": "!"}[expired], today, map[string]string{"1": "1"}[expired])
		if !strings.Contains(read(t, root+pathShadow), want) {
			t.Errorf("expired %s: no %q in\n%s", expired, want, read(t, root+pathShadow))
		}
	}
	// And all of it goes again.
	p.perform(stageOf(9, aStep("users",
		d("drop", "user", "acme", "70000"), d("drop", "user", "bob", "70001"), d("drop", "user", "eve", "70002"),
		d("drop", "group", "acme", "70000"), d("drop", "group", "bob", "70001"), d("drop", "group", "eve", "70002"), d("drop", "group", "orchestra-sftp", "999"))))
	for name, want := range accountsOfTest {
		if name == pathPasswd {
			want += odd
		}
		if difference := cmp.Diff(want, read(t, root+name)); difference != "" {
			t.Errorf("%s: %s", name, difference)
		}
	}
	must(t, p.close())
}

func TestAnIdOfSomebodyElseIsAConflict(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	p := memorySession(t, disk, machine)
	for n, test := range []struct {
		declaration []string
		says        string
	}{
		{d("user", "acme", "1000", "1000", "/home/acme", "/bin/sh", "", "", "0"), "anna"},
		{d("group", "acme", "1000"), "anna"},
		{d("user", "anna", "70000", "1000", "/home/anna", "/bin/sh", "", "", "0"), "1000"},
		{d("group", "staff", "70000"), "50"},
		{d("drop", "user", "anna", "70000"), "1000"},
		{d("drop", "group", "staff", "70000"), "50"},
	} {
		stage := stageOf(n+1, aStep("x", test.declaration))
		report := p.want(wire.WordConflict, wire.WordStage, stage)
		if report.Failure.Code != wire.CodeTaken || !strings.Contains(report.Failure.Message, test.says) {
			t.Errorf("%q: %s", test.declaration, describe(report))
		}
		p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	}
	// It is taken between staging and publishing.
	stage := stageOf(20, aStep("x", d("group", "acme", "70000"), d("user", "acme", "70000", "70000", "/home/acme", "/bin/sh", "", "", "0")))
	p.want(wire.WordStaged, wire.WordStage, stage)
	disk.Put(pathPasswd, accountsOfTest[pathPasswd]+"quick:x:70000:70000::/:/bin/sh\n", Attributes{Mode: 0o644})
	report := p.want(wire.WordConflict, wire.WordPublish, wire.Publish{Operation: stage.Operation, Steps: []string{"x"}})
	if !strings.Contains(report.Failure.Message, "quick") {
		t.Error(describe(report))
	}
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	must(t, p.close())
}

func TestTheLockOfShadowsToolsIsRespected(t *testing.T) {
	root, options := realServer(t)
	p := connect(t, options)
	step := aStep("x", d("group", "acme", "70000"))
	stage := stageOf(1, step)
	p.want(wire.WordStaged, wire.WordStage, stage)
	holder := exec.Command(os.Args[0], "hold", root+accountsLock)
	output, err := holder.StdoutPipe()
	must(t, err, holder.Start())
	_, err = io.ReadFull(output, make([]byte, 5))
	must(t, err)
	if _, err := options.Disk.Lock(accountsLock, true); !errors.Is(err, ErrLocked) {
		t.Fatalf("the lock was obtained: %v", err)
	}
	free := time.AfterFunc(300*time.Millisecond, func() { _ = holder.Process.Kill() })
	defer free.Stop()
	started := time.Now()
	p.want(wire.WordPublished, wire.WordPublish, wire.Publish{Operation: stage.Operation, Steps: []string{"x"}})
	if time.Since(started) < 250*time.Millisecond {
		t.Error("it did not wait")
	}
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	_ = holder.Wait()

	// A lock file of a process that lives is waited for, one left behind is not.
	n := 1
	for pid, waits := range map[int]bool{os.Getpid(): true, 999999999: false} {
		n++
		must(t, os.WriteFile(root+pathPasswd+".lock", fmt.Appendf(nil, "%d", pid), 0o600))
		stage := stageOf(n, step)
		p.want(wire.WordStaged, wire.WordStage, stage)
		started := time.Now()
		gone := time.AfterFunc(300*time.Millisecond, func() { os.Remove(root + pathPasswd + ".lock") })
		p.want(wire.WordPublished, wire.WordPublish, wire.Publish{Operation: stage.Operation, Steps: []string{"x"}})
		if waited := time.Since(started) > 250*time.Millisecond; waited != waits {
			t.Errorf("lock file of %d: waited %v", pid, time.Since(started))
		}
		gone.Stop()
		_ = os.Remove(root + pathPasswd + ".lock")
		p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	}
	must(t, p.close())
}

func TestOtherEditsOfAccountsMeanwhileStay(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	p := memorySession(t, disk, machine)
	stage := stageOf(1, aStep("x", d("group", "acme", "70000"), d("user", "acme", "70000", "70000", "/home/acme", "/bin/sh", "", "", "0"), d("member", "staff", "acme")))
	edit := func(name, from, to string) {
		data, info, err := disk.Process("admin").Read(name, 1<<20)
		must(t, err)
		if !strings.Contains(string(data), from) {
			t.Fatalf("no %q in %q", from, data)
		}
		disk.Put(name, strings.Replace(string(data), from, to, 1), info.Attributes)
	}
	p.want(wire.WordStaged, wire.WordStage, stage)
	edit(pathPasswd, ":Anna:", ":Anna B.:")
	edit(pathGroup, "staff:x:50:", "staff:x:50:anna")
	p.want(wire.WordPublished, wire.WordPublish, wire.Publish{Operation: stage.Operation, Steps: []string{"x"}})
	edit(pathGroup, "staff:x:50:anna,acme", "staff:x:50:anna,acme,root")
	edit(pathShadow, "anna:$y$j9T$x", "anna:$y$j9T$another")
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	all := disk.Dump()
	for name, want := range map[string]string{pathPasswd: ":Anna B.:", pathGroup: "staff:x:50:anna,root\n", pathShadow: "anna:$y$j9T$another:"} {
		if !strings.Contains(all[name], want) || strings.Contains(all[name], "acme") {
			t.Errorf("%s: %q", name, all[name])
		}
	}
	must(t, p.close())
}

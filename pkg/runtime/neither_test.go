package runtime

import (
	"strings"
	"testing"

	"orchestra/pkg/wire"
)

// What somebody changed while an operation was open can be put right by hand, by what
// the conflict says: what is there, what was, and what would have become.
func TestAConflictSaysAllThatAPersonNeedsToEndIt(t *testing.T) {
	user := func(shell, hash string) wire.Step {
		step := aStep("x", d("group", "acme", "70000"), d("user", "acme", "70000", "70000", "/home/acme", shell, "", Reference(1), "0"))
		step.Contents = []wire.ContentItem{{Reference: Reference(1), Data: []byte(hash), Secret: true}}
		return step
	}
	entry := func(value string) wire.Step { return aStep("x", d("entry", "/etc/map", "acme", value)) }
	for name, test := range map[string]struct {
		before, after wire.Step
		file          string
		from, to      string // what somebody makes of the file
		right         string // what puts it right
		says          []string
	}{
		"a shell": {
			user("/bin/sh", "$y$hidden"), user("/bin/bash", "$y$hidden"), pathPasswd, "/bin/bash", "/usr/sbin/nologin", "/bin/sh",
			[]string{`user acme`, `its line in /etc/passwd is "acme:x:70000:70000::/home/acme:/usr/sbin/nologin"`, `it was "acme:x:70000:70000::/home/acme:/bin/sh"`, `would have become "acme:x:70000:70000::/home/acme:/bin/bash"`},
		},
		"a password": {
			user("/bin/sh", "$y$hidden1"), user("/bin/sh", "$y$hidden2"), pathShadow, "$y$hidden2", "$y$hidden3", "$y$hidden2",
			[]string{"its line in /etc/shadow is \"acme:changed:", "it was \"acme:…:", "become \"acme:changed:"},
		},
		"an entry": {
			entry("one"), entry("two"), "/etc/map", "two", "three", "one",
			[]string{`its entry in /etc/map is "three"`, `it was "one"`, `become "two"`},
		},
		"a file": {
			aStep("x", d("file", "/etc/x", "root", "root", "0644", "one")), aStep("x", d("file", "/etc/x", "root", "root", "0640", "two!")),
			"/etc/x", "two!", "three", "two!",
			[]string{"it is a file of 0:0 with mode 0640 and 5 bytes", "it was a file of 0:0 with mode 0644 and 3 bytes, sha256sum 7692c3ad3540bb80…, which is kept as /etc/.orchestra.", "become a file of 0:0 with mode 0640 and 4 bytes"},
		},
		"a secret file": {
			aStep("x", d("file", "/etc/x", "root", "root", "0600", "one", "secret")), aStep("x", d("file", "/etc/x", "root", "root", "0600", "hidden", "secret")),
			"/etc/x", "hidden", "three", "hidden", []string{"and 5 bytes; before", "and 3 bytes, which is kept as", "and 6 bytes"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk, machine := memoryServer(MemoryOptions{})
			p := memorySession(t, disk, machine)
			p.perform(stageOf(1, test.before))
			stage := stageOf(2, test.after)
			p.want(wire.WordStaged, wire.WordStage, stage)
			p.want(wire.WordPublished, wire.WordPublish, wire.Publish{Operation: stage.Operation, Steps: []string{"x"}})
			by := func(from, to string) {
				t.Helper()
				data, info, err := disk.Process("somebody").Read(test.file, 1<<20)
				must(t, err)
				if !strings.Contains(string(data), from) {
					t.Fatalf("no %q in %s", from, data)
				}
				disk.Put(test.file, strings.ReplaceAll(string(data), from, to), info.Attributes)
			}
			by(test.from, test.to)
			report := p.want(wire.WordConflict, wire.WordUndo, undoOf(stage))
			if report.Failure.Code != wire.CodeChanged || len(report.Failure.Unrestored) != 1 {
				t.Fatal(describe(report))
			}
			for _, want := range test.says {
				if !strings.Contains(report.Failure.Unrestored[0], want) {
					t.Errorf("no %s in %s", want, report.Failure.Unrestored[0])
				}
			}
			if strings.Contains(describe(report), "hidden") || strings.Contains(test.after.Script.Declare, "secret") && strings.Contains(describe(report), "sha256") {
				t.Error("it tells a secret:", describe(report))
			}
			by(test.to, test.right)
			p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
			must(t, p.close())
		})
	}
}

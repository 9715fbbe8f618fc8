package runtime

import (
	"os"
	"strings"
	"testing"

	"orchestra/pkg/wire"
)

// TestADemonstrationNeedsNoRoot works as nobody in a scratch directory.
func TestADemonstrationNeedsNoRoot(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"/etc", "/home"} {
		must(t, os.Mkdir(root+name, 0o755))
	}
	for name, content := range accountsOfTest {
		must(t, os.WriteFile(root+name, []byte(content), 0o640))
	}
	for n := 1; n <= 2; n++ { // the second finds all as it should be, owners too
		disk, closer, err := NewRealDisk(root)
		must(t, err)
		runner, err := NewRealRunner(root, false)
		must(t, err)
		recorded, err := recordOwners(disk, DefaultDirectory)
		must(t, err)
		p := connect(t, Options{Disk: recorded, Clock: SystemClock{}, Runner: standIn{runner}, StandIns: true})
		step := aStep("x",
			d("need", "missing"), d("group", "acme", "70000"),
			d("user", "acme", "70000", "70000", "/home/acme", "/bin/sh", "", "", "0"),
			d("dir", "/home/acme", "70000", "70000", "0750"), d("file", "/home/acme/x", "70000", "70000", "0640", "x\n"),
			d("dir", "/srv", "root", "root", "0755"), d("link", "/home/acme/srv", "/srv"),
			d("dir", "/etc/maps", "root", "33", "0750"), d("entry", "/etc/maps/addresses", "a@example.org", "acme", "sqlite"),
			d("act", "mounts", "key", "probe", "do", "undo", "reversible"), d("check", "check_x"), d("reload", "ssh"))
		report := p.perform(stageOf(n, step))
		changed := report.Steps[0].Changed
		if n == 1 && changed != 8 || n == 2 && changed != 0 {
			t.Errorf("the %d. time: %d changed", n, changed)
		}
		info, err := recorded.Stat("/home/acme")
		must(t, err)
		if info.Attributes != (Attributes{Owner: Owner{70000, 70000}, Mode: 0o750}) {
			t.Errorf("%+v", info.Attributes)
		}
		if n == 1 {
			said := p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: []wire.Step{step}})
			if !strings.Contains(describe(said), "stand-in") {
				t.Error("what is missing does not announce itself")
			}
		}
		must(t, p.close(), closer.Close(), runner.Close())
	}
}

func TestArguments(t *testing.T) {
	for _, test := range []struct {
		arguments string
		root      string
		directory string
		standIns  bool
		good      bool
	}{
		{"--root /x --stand-ins", "/x", DefaultDirectory, true, true},
		{"--root /x --directory /var/lib/other --stand-ins", "/x", "/var/lib/other", true, true},
		{"--root x --stand-ins", "", "", false, false},
		{"--root", "", "", false, false},
		{"--directory / --stand-ins", "", "", false, false},
		{"--directory /a/../b --stand-ins", "", "", false, false},
		{"--verbose", "", "", false, false},
	} {
		root, options, err := parseArguments(strings.Fields(test.arguments))
		if (err == nil) != test.good {
			t.Errorf("%s: %v", test.arguments, err)
		} else if test.good && (root != test.root || options.Directory != test.directory || options.StandIns != test.standIns) {
			t.Errorf("%s: %s %+v", test.arguments, root, options)
		}
	}
}

package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"orchestra/pkg/wire"
)

const mallory = 4242

// malloryHome gives a machine a user of evil intent, and a treasure that is
// root's.
func malloryHome(t *testing.T) (root string, p *panel) {
	t.Helper()
	root, options := realServer(t)
	for _, name := range []string{"home/mallory", "home/mallory/web", "treasure", "treasure/below"} {
		must(t, os.Mkdir(filepath.Join(root, name), 0o700))
		if strings.HasPrefix(name, "home") {
			must(t, os.Chown(filepath.Join(root, name), mallory, mallory))
		}
	}
	must(t, os.WriteFile(filepath.Join(root, "treasure/gold"), []byte("gold\n"), 0o600))
	return root, connect(t, options)
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// owned makes something in mallory's home as mallory would have it.
func owned(t *testing.T, name string, err error) {
	t.Helper()
	must(t, err, os.Lchown(name, mallory, mallory))
}

func inHome(step string) [][]string {
	switch step {
	case "file":
		return [][]string{d("file", "/home/mallory/web/page", "4242", "4242", "0644", "page\n")}
	case "dir":
		return [][]string{d("dir", "/home/mallory/web/new", "4242", "4242", "0755")}
	case "change":
		return [][]string{d("dir", "/home/mallory/web", "4242", "4242", "0755")}
	case "link":
		return [][]string{d("link", "/home/mallory/web/page", "elsewhere")}
	case "entry":
		return [][]string{d("entry", "/home/mallory/web/page", "key", "value")}
	case "map":
		return [][]string{d("entry", "/home/mallory/web/page", "key", "value", "sqlite")}
	case "absent":
		return [][]string{d("absent", "/home/mallory/web/gold")}
	}
	return [][]string{d("park", "/home/mallory/web/gold")}
}

func TestRootFollowsNoLinkOfAUser(t *testing.T) {
	for _, verb := range []string{"file", "dir", "change", "link", "entry", "map", "absent", "park"} {
		for trap, set := range map[string]func(t *testing.T, root string){
			"the directory is a link to root's": func(t *testing.T, root string) {
				must(t, os.Remove(root+"/home/mallory/web"))
				owned(t, root+"/home/mallory/web", os.Symlink("/treasure", root+"/home/mallory/web"))
			},
			"a relative link": func(t *testing.T, root string) {
				must(t, os.Remove(root+"/home/mallory/web"))
				owned(t, root+"/home/mallory/web", os.Symlink("../../treasure", root+"/home/mallory/web"))
			},
			"the file is a link": func(t *testing.T, root string) {
				owned(t, root+"/home/mallory/web/page", os.Symlink("/treasure/gold", root+"/home/mallory/web/page"))
				owned(t, root+"/home/mallory/web/new", os.Symlink("/treasure/below", root+"/home/mallory/web/new"))
			},
			"the file is another name of root's": func(t *testing.T, root string) {
				must(t, os.Link(root+"/treasure/gold", root+"/home/mallory/web/page"))
			},
			"a fifo": func(t *testing.T, root string) {
				owned(t, root+"/home/mallory/web/page", syscall.Mkfifo(root+"/home/mallory/web/page", 0o600))
			},
		} {
			t.Run(verb+", "+trap, func(t *testing.T) {
				root, p := malloryHome(t)
				set(t, root)
				before := treasure(t, root)
				stage := stageOf(1, aStep("x", inHome(verb)...))
				for _, word := range wordsOf(stage) {
					answer, _ := p.say(word.word, word.content)
					if answer != word.answer {
						p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
						break
					}
				}
				if difference := cmp.Diff(before, treasure(t, root)); difference != "" {
					t.Errorf("root's own was touched: %s", difference)
				}
				must(t, p.close())
			})
		}
	}
}

// treasure describes root's own directory.
func treasure(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, text := range tree(t, root) {
		if strings.HasPrefix(name, "/treasure") {
			all[name] = text
		}
	}
	return all
}

func TestLinksOfTheAdministratorAreFollowedAboveATarget(t *testing.T) {
	root, options := realServer(t)
	must(t, os.Mkdir(root+"/data", 0o755), os.Mkdir(root+"/data/home", 0o755), os.Remove(root+"/home"),
		os.Symlink("data/home", root+"/home"), os.Symlink("/etc", root+"/var/conf"))
	p := connect(t, options)
	p.perform(stageOf(1, aStep("x",
		d("dir", "/home/acme", "70000", "70000", "0750"),
		d("file", "/var/conf/motd", "root", "root", "0644", "hello\n"))))
	if all := tree(t, root); all["/data/home/acme"] == "" || all["/etc/motd"] == "" {
		t.Error("not where the links point to")
	}
	// Where others than root may write on the way, it is not.
	must(t, os.Chmod(root+"/var", 0o777))
	report := p.want(wire.WordConflict, wire.WordStage, stageOf(2, aStep("x", d("file", "/var/conf/evil", "root", "root", "0644", "x"))))
	if !strings.Contains(report.Failure.Message, "not followed") {
		t.Error(describe(report))
	}
	must(t, p.close())
}

func TestInAUsersTreeEverythingIsDoneAsThatUser(t *testing.T) {
	root, p := malloryHome(t)
	p.perform(stageOf(1, aStep("x",
		d("file", "/home/mallory/web/page", "4242", "4242", "0640", "page\n"),
		d("dir", "/home/mallory/web/new", "4242", "4242", "0750"),
		d("file", "/home/mallory/web/new/x", "4242", "4242", "0600", "x\n"),
		d("link", "/home/mallory/web/link", "page"))))
	for name, mode := range map[string]os.FileMode{"page": 0o640, "new": 0o750, "new/x": 0o600, "link": 0o777} {
		info, err := os.Lstat(root + "/home/mallory/web/" + name)
		must(t, err)
		owner := info.Sys().(*syscall.Stat_t)
		if owner.Uid != mallory || owner.Gid != mallory || info.Mode().Perm() != mode {
			t.Errorf("%s: %d:%d %v", name, owner.Uid, owner.Gid, info.Mode())
		}
	}
	// What the user may not do there is not done either; nor does root give
	// something there to somebody else.
	must(t, os.Mkdir(root+"/home/mallory/roots", 0o755))
	for _, declaration := range [][]string{
		d("file", "/home/mallory/roots/x", "4242", "4242", "0644", "x"),
		d("file", "/home/mallory/web/roots", "0", "0", "04755", "x"),
		d("dir", "/home/mallory/roots", "4242", "4242", "0755"),
		d("dir", "/home/mallory/web/r", "0", "0", "0755"),
	} {
		stage := stageOf(10, aStep("x", declaration))
		stage.Operation = number(len(declaration[1]) + 100*len(declaration))
		answer, report := p.say(wire.WordStage, stage)
		if answer == wire.WordStaged {
			answer, report = p.say(wire.WordPublish, wire.Publish{Operation: stage.Operation, Steps: []string{"x"}})
		}
		if answer != wire.WordFailed && answer != wire.WordConflict {
			t.Errorf("%q: %s %s", declaration, answer, describe(report))
		}
		p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	}
	must(t, p.close())
}

// TestARaceWithAUserHarmsNobody lets a user swap a directory for a link to root's
// all the time, while files are put into it.
func TestARaceWithAUserHarmsNobody(t *testing.T) {
	root, p := malloryHome(t)
	before := treasure(t, root)
	home := root + "/home/mallory"
	owned(t, home+"/trap", os.Symlink("/treasure", home+"/trap"))
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			_ = unix.Renameat2(unix.AT_FDCWD, home+"/trap", unix.AT_FDCWD, home+"/web", unix.RENAME_EXCHANGE)
		}
	}()
	good := 0
	for n := 1; n <= 60; n++ {
		stage := stageOf(n, aStep("x",
			d("file", "/home/mallory/web/gold", "4242", "4242", "0644", "mine\n"),
			d("dir", "/home/mallory/web/below", "4242", "4242", "0777"),
			d("absent", "/home/mallory/web/old")))
		for _, word := range wordsOf(stage)[:2] {
			if answer, _ := p.say(word.word, word.content); answer != word.answer {
				break
			}
			if word.word == wire.WordPublish {
				good++
			}
		}
		if answer, report := p.say(wire.WordUndo, undoOf(stage)); answer != wire.WordUndone {
			t.Log(describe(report)) // the user has made a mess of his own
			break
		}
	}
	stop.Store(true)
	<-done
	t.Logf("%d published in the race", good)
	if difference := cmp.Diff(before, treasure(t, root)); difference != "" {
		t.Errorf("root's own was touched: %s", difference)
	}
	_ = p.close()
}

func TestPathsThatNoBackendMayDeclare(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	p := memorySession(t, disk, machine)
	before := disk.Dump(DefaultDirectory)
	for i, name := range []string{
		"", "/", "etc/x", "./x", "/etc/../x", "/etc//x", "/etc/x/", "/etc/.", "/..", "-rf", "/etc/\x01/..",
		DefaultDirectory, DefaultDirectory + "/panel", DefaultDirectory + "/open/x", strings.Repeat("/x", 3000), "/" + strings.Repeat("x", 300),
	} {
		for j, declaration := range [][]string{d("file", name, "root", "root", "0644", "x"), d("dir", name, "root", "root", "0755"), d("park", name), d("absent", name), d("link", name, "x"), d("entry", name, "a", "b"), d("entry", name, "a", "b", "sqlite")} {
			stage := stageOf(1000+100*i+j, aStep("x", declaration))
			answer, report := p.say(wire.WordStage, stage)
			if answer == wire.WordStaged {
				t.Errorf("%q was staged: %s", declaration, describe(report))
			}
			p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
		}
	}
	if difference := cmp.Diff(before, disk.Dump(DefaultDirectory)); difference != "" {
		t.Error(difference)
	}
	must(t, p.close())
}

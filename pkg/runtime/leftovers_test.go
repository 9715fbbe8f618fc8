package runtime

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

// keptServer is a machine where a setup and two backends have kept something.
func keptServer(t *testing.T) (*Memory, *panel) {
	t.Helper()
	disk, machine := memoryServer(MemoryOptions{})
	p := memorySession(t, disk, machine)
	setup := aStep("users", d("group", "sftp-only", "-"), d("dir", "/etc/keys", "root", "root", "0711"), d("entry", "/etc/jail", "root", "x:0", "colon"))
	setup.Setup = true
	p.perform(stageOf(1, setup))
	p.perform(stageOf(2, keptUsers()))
	p.perform(stageOf(3, keptSites()))
	return disk, p
}

func keptUsers() wire.Step {
	return aStep("users",
		d("group", "acme", "70000"), d("user", "acme", "70000", "70000", "/home/acme", "/bin/sh", "Acme", "!", "0"),
		d("member", "sftp-only", "acme"), d("file", "/etc/keys/acme", "root", "root", "0640", "key"),
		d("entry", "/etc/jail", "acme", "x:70000", "colon"))
}

func keptSites() wire.Step {
	return aStep("sites", d("member", "acme", "www-data"), d("file", "/etc/keys/site", "root", "root", "0644", "of the site"), d("file", "/etc/site", "root", "root", "0644", "site"))
}

// owning adds to a step what it calls its own.
func owning(step wire.Step, scopes ...[]string) wire.Step {
	for _, own := range scopes {
		step.Script.Declare += scriptOf([][]string{append([]string{"own"}, own...)})
	}
	return step
}

var usersOwn = [][]string{
	{"user", "70000-99999"}, {"group", "70000-99999"}, {"member", "sftp-only"}, {"member", "acme"},
	{"file", "/etc/keys", "all"}, {"entry", "/etc/jail", "all", "colon"},
}

func drift(p *panel, leftovers bool, steps ...wire.Step) map[string]string {
	p.t.Helper()
	return reasons(p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: steps, Drift: true, Leftovers: leftovers}))
}

func TestWhatIsOursAndAccountedForIsNotLeftOver(t *testing.T) {
	_, p := keptServer(t)
	if found := drift(p, true, owning(keptUsers(), usersOwn...), owning(keptSites(), []string{"file", "/etc"})); len(found) != 0 {
		t.Error(found)
	}
	// What another backend or the setup keeps is not left over either, where only one is asked.
	if found := drift(p, true, owning(keptUsers(), usersOwn...)); len(found) != 0 {
		t.Error(found)
	}
	must(t, p.close())
}

func TestABackendWithoutObjectsFindsAllThatIsLeftOver(t *testing.T) {
	disk, p := keptServer(t)
	want := map[string]string{
		"user acme": "left-over", "group acme": "left-over", "member sftp-only acme": "left-over",
		"file /etc/keys/acme": "left-over", "entry /etc/jail: acme": "left-over",
	}
	before := disk.Dump()
	if difference := cmp.Diff(want, drift(p, true, owning(aStep("users"), usersOwn...))); difference != "" {
		t.Error(difference)
	}
	if found := drift(p, false, owning(aStep("users"), usersOwn...)); len(found) != 0 {
		t.Error("leftovers were not asked for", found)
	}
	// Another range, as a setting may have become: what was kept is known all the same.
	if difference := cmp.Diff(map[string]string{"user acme": "left-over"}, drift(p, true, owning(aStep("users"), []string{"user", "80000-99999"}))); difference != "" {
		t.Error(difference)
	}
	if difference := cmp.Diff(before, disk.Dump()); difference != "" {
		t.Error(difference)
	}
	must(t, p.close())
}

func TestStrayThingsInOurPlacesAreLeftOver(t *testing.T) {
	disk, p := keptServer(t)
	admin := disk.Process("admin")
	add := func(path, text string) {
		t.Helper()
		data, _, err := admin.Read(path, 1<<20)
		must(t, err)
		must(t, admin.Overwrite(path, append(data, text...)))
	}
	add(pathPasswd, "stray:x:70009:70009::/:/bin/sh\nlocal:x:60000:60000::/:/bin/sh\n")
	add(pathGroup, "stray:x:70009:\n")
	add("/etc/jail", "stray:x:70009\n# a comment\n")
	group, _, err := admin.Read(pathGroup, 1<<20)
	must(t, err)
	must(t, admin.Overwrite(pathGroup, []byte(strings.Replace(string(group), ":acme\n", ":acme,anna\n", 1))))
	must(t, admin.Create("/etc/keys/stray", []byte("ssh-ed25519 SECRET"), Attributes{Mode: 0o600}), admin.MakeLink("/etc/keys/link", "/etc/shadow", Owner{}))
	must(t, admin.Create("/etc/keys/"+tempPrefix+"0.1", nil, Attributes{Mode: 0o600}))
	must(t, admin.Create("/etc/theirs", nil, Attributes{Mode: 0o644}))
	report := p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Drift: true, Leftovers: true, Steps: []wire.Step{owning(keptUsers(), append(usersOwn, []string{"file", "/etc"})...)}})
	want := map[string]string{
		"user stray": "left-over", "group stray": "left-over", "member sftp-only anna": "left-over",
		"file /etc/keys/stray": "left-over", "link /etc/keys/link": "left-over", "entry /etc/jail: stray": "left-over",
	}
	if difference := cmp.Diff(want, reasons(report)); difference != "" {
		t.Error(difference)
	}
	for _, one := range report.Steps[0].Differences {
		if one.Before == "" || strings.Contains(one.Before, "SECRET") {
			t.Errorf("%+v", one)
		}
	}
	must(t, p.close())
}

func TestDriftSaysWhoMadeADifference(t *testing.T) {
	disk, p := keptServer(t)
	admin := disk.Process("admin")
	must(t, admin.Remove("/etc/keys/acme"))
	for path, change := range map[string][2]string{
		pathPasswd:  {"/home/acme:/bin/sh", "/home/acme:/bin/bash"},
		pathGroup:   {"acme:x:70000:www-data", "acme:x:70000:"},
		pathGshadow: {"acme:!::www-data", "acme:!::"},
	} {
		data, _, err := admin.Read(path, 1<<20)
		must(t, err)
		must(t, admin.Overwrite(path, []byte(strings.Replace(string(data), change[0], change[1], 1))))
	}
	sites := keptSites()
	sites.Script.Declare = strings.Replace(sites.Script.Declare, "'of the site'", "'another'", 1) + scriptOf([][]string{d("file", "/etc/fresh", "root", "root", "0644", "x"), d("absent", "/etc/site")})
	sites.Script.Declare = strings.Replace(sites.Script.Declare, "file '/etc/site' 'root' 'root' '0644' 'site'\n", "", 1)
	want := map[string]string{
		"file /etc/keys/acme": "removed", "user acme": "hand-edited", "member acme www-data": "removed",
		"file /etc/keys/site": "stale", "file /etc/site": "stale", "file /etc/fresh": "missing",
	}
	if difference := cmp.Diff(want, drift(p, true, keptUsers(), owning(sites, []string{"file", "/etc"}))); difference != "" {
		t.Error(difference)
	}
	must(t, p.close())
}

func TestAConflictOfAnEntryIsItsOwn(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	disk.Put("/etc/twice", "a:1\nb:1\na:2\nc:1\n", Attributes{Mode: 0o600})
	disk.Put("/etc/well", "a:1\n", Attributes{Mode: 0o600})
	disk.Put("/etc/none.sqlite", "this is no map", Attributes{Mode: 0o600})
	p := memorySession(t, disk, machine)
	step := aStep("x",
		d("entry", "/etc/well", "a", "1", "colon"), d("entry", "/missing/map", "a", "1", "colon"), d("entry", "/missing/map", "b", "1", "colon"), d("drop", "entry", "/missing/map", "c", "colon"),
		d("entry", "/etc/twice", "c", "1", "colon"), d("entry", "/etc/twice", "a", "2", "colon"), d("entry", "/etc/twice", "b", "2", "colon"),
		d("entry", "/etc/none.sqlite", "a", "1", "sqlite"), d("entry", "/etc/none.sqlite", "b", "1", "sqlite"))
	want := map[string]string{
		"entry /missing/map: a": "conflict", "entry /missing/map: b": "conflict", "entry /etc/twice: a": "conflict", "entry /etc/twice: b": "changed",
		"entry /etc/none.sqlite: a": "conflict", "entry /etc/none.sqlite: b": "conflict",
	}
	if difference := cmp.Diff(want, drift(p, true, step)); difference != "" {
		t.Error(difference)
	}
	must(t, p.close())
}

func TestAMapThatOthersCouldWriteToIsRefusedWhateverIsSaidOfItFirst(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	disk.PutDirectory("/etc/theirs", Attributes{Owner: Owner{33, 33}, Mode: 0o755})
	p := memorySession(t, disk, machine)
	for n, file := range []string{"/etc/theirs/map", "/missing/map"} {
		stage := stageOf(n+1, aStep("x", d("drop", "entry", file, "a", "sqlite"), d("entry", file, "b", "1", "sqlite")))
		if word, report := p.say(wire.WordStage, stage); report.Failure == nil || report.Failure.Code != wire.CodeTaken && report.Failure.Code != wire.CodeMissing {
			t.Error(file, word, describe(report))
		}
		p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	}
	must(t, p.close())
}

func TestAConflictHidesNoOtherDifference(t *testing.T) {
	disk, p := keptServer(t)
	admin := disk.Process("admin")
	data, _, err := admin.Read(pathPasswd, 1<<20)
	must(t, err)
	must(t, admin.Overwrite(pathPasswd, []byte(strings.Replace(string(data), "acme:x:70000", "acme:x:1001", 1))))
	must(t, admin.Remove("/etc/keys/acme"), admin.MakeDirectory("/etc/keys/acme", Attributes{Mode: 0o755}), admin.Remove("/etc/site"))
	steps := []wire.Step{owning(keptUsers(), usersOwn...), keptSites()}
	want := map[string]string{"user acme": "conflict", "file /etc/keys/acme": "conflict", "file /etc/site": "removed"}
	report := p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: steps, Drift: true, Leftovers: true})
	if difference := cmp.Diff(want, reasons(report)); difference != "" {
		t.Error(difference)
	}
	if text := describe(report); !strings.Contains(text, "with the id 1001 instead of 70000") || !strings.Contains(text, "a directory is in its place") {
		t.Error(text)
	}
	// An operation is refused as before, and a dry run of one says so too.
	p.want(wire.WordConflict, wire.WordObserve, wire.Observe{Steps: steps})
	p.want(wire.WordConflict, wire.WordStage, stageOf(4, steps...))
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stageOf(4, steps...)))
	must(t, p.close())
}

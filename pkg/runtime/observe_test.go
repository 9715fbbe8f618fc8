package runtime

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

// reasons are the differences of a report, by resource.
func reasons(report wire.Report) map[string]string {
	found := map[string]string{}
	for _, step := range report.Steps {
		for _, difference := range step.Differences {
			found[difference.Kind+" "+difference.Resource] = difference.Reason
		}
	}
	return found
}

func TestADryRunShowsAndChangesNothing(t *testing.T) {
	m := newCrashMachine(t, 1)
	p := m.connect()
	before := m.disk.Dump()
	report := p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: secondOperation().Steps})
	if difference := cmp.Diff(before, m.disk.Dump()); difference != "" {
		t.Error(difference)
	}
	want := map[string]string{
		"group carol": "missing", "user carol": "missing", "member carol acme": "missing", "member staff carol": "missing",
		"user acme": "changed", "user bob": "left-over", "group bob": "left-over", "member acme bob": "left-over", "member staff bob": "left-over",
		"park /home/bob": "left-over", "directory /home/carol": "missing", "directory /home/acme": "changed",
		"file /etc/keys/acme": "changed", "file /home/carol/.profile": "missing", "file /etc/keys/bob": "left-over",
		"link /etc/keys/main": "changed", "link /home/carol/keys": "missing",
		"entry /etc/aliases: acme": "changed", "entry /etc/aliases: carol": "missing", "entry /etc/newmap: carol": "missing", "entry /etc/aliases: bob": "left-over",
		"act quota carol": "changed", "file /etc/web.conf": "missing",
		"entry /etc/maps/addresses: acme@example.org": "changed", "entry /etc/maps/addresses: carol@example.org": "missing", "entry /etc/maps/new: carol": "missing",
		"entry /etc/maps/addresses: bob@example.org": "left-over", "park database bob_shop": "left-over", "park database bob_wiki": "left-over",
	}
	if difference := cmp.Diff(want, reasons(report)); difference != "" {
		t.Error(difference)
	}
	text := describe(report)
	for _, secret := range []string{"$y$j9T$one", "$y$j9T$two"} {
		if strings.Contains(text, secret) {
			t.Errorf("the hash %s is shown", secret)
		}
	}
	for _, shown := range []string{"acme, carol", "password locked (changed)", "shell /bin/sh", "ssh-ed25519 BBBB two", "mode 0700", "reload cron"} {
		if !strings.Contains(text, shown) {
			t.Errorf("%q is not shown in\n%s", shown, text)
		}
	}
	must(t, p.close())
}

func TestASecretIsNotShown(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	disk.Put("/etc/key", "old secret", Attributes{Mode: 0o600})
	p := memorySession(t, disk, machine)
	step := aStep("x", d("file", "/etc/key", "root", "root", "0600", "new secret", "secret"),
		d("file", "/etc/other", "root", "root", "0600", Reference(1)), d("entry", "/etc/map", "key", Reference(1)))
	step.Contents = []wire.ContentItem{{Reference: Reference(1), Data: []byte("third secret"), Secret: true}}
	report := p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: []wire.Step{step}})
	if text := describe(report); strings.Contains(text, " secret") && (strings.Contains(text, "old secret") || strings.Contains(text, "new secret") || strings.Contains(text, "third secret")) {
		t.Error(text)
	}
	if len(reasons(report)) != 3 {
		t.Error(describe(report))
	}
	must(t, p.close())
}

func TestDriftTellsAHandEditFromAStaleObject(t *testing.T) {
	m := newCrashMachine(t, 1)
	admin := m.disk.Process("admin")
	// By hand: the key of acme, bob's home; a stray user in our range; one alias.
	must(t, admin.Overwrite("/etc/keys/acme", []byte("ssh-ed25519 EVIL\n")), admin.Change("/home/bob", Attributes{Owner: Owner{70001, 70001}, Mode: 0o777}))
	passwd, info, err := admin.Read(pathPasswd, 1<<20)
	must(t, err)
	m.disk.Put(pathPasswd, string(passwd)+"stray:x:70009:70009::/:/bin/sh\n", info.Attributes)
	p := m.connect()
	// On the panel meanwhile: bob has another key, and acme's alias is gone.
	steps := firstOperation().Steps
	steps[0].Script.Declare = strings.Replace(steps[0].Script.Declare, "file '/etc/keys/bob' 'root' 'root' '0644' '"+Reference(2)+"'", "file '/etc/keys/bob' 'root' 'root' '0644' 'another'", 1)
	steps[0].Script.Declare = strings.Replace(steps[0].Script.Declare, "entry '/etc/aliases' 'acme' 'acme@example.org'\n", "", 1)
	// Of the map: by hand acme's address, on the panel bob's is gone.
	steps[0].Script.Declare = strings.Replace(steps[0].Script.Declare, "entry '/etc/maps/addresses' 'bob@example.org' 'bob' 'sqlite'\n", "", 1)
	meddled := "by hand"
	must(t, admin.EditMap("/etc/maps/addresses", nil, func(map[string]string) (map[string]*string, error) {
		return map[string]*string{"acme@example.org": &meddled, "stranger": &meddled}, nil
	}))
	steps[0].Script.Declare += "own 'user' '70000-99999'\nown 'entry' '/etc/aliases'\nown 'entry' '/etc/maps'\nown 'file' '/etc/keys'\nown 'group' '70000-99999'\nown 'member' 'staff'\n"
	report := p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: steps, Drift: true, Leftovers: true})
	want := map[string]string{
		"file /etc/keys/acme": "hand-edited", "directory /home/bob": "hand-edited", "file /etc/keys/bob": "stale",
		"user stray": "left-over", "entry /etc/aliases: acme": "left-over",
		"entry /etc/maps/addresses: acme@example.org": "hand-edited", "entry /etc/maps/addresses: bob@example.org": "left-over",
	}
	if difference := cmp.Diff(want, reasons(report)); difference != "" {
		t.Error(difference)
	}
	must(t, p.close())
}

func TestAFileThatIsNotOursIsNotReplacedWhereNewIsAsked(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	disk.Put("/etc/site.conf", "the administrator's\n", Attributes{Mode: 0o644})
	p := memorySession(t, disk, machine)
	theirs := stageOf(1, aStep("x", d("file", "/etc/site.conf", "root", "root", "0644", "ours", "new")))
	report := p.want(wire.WordConflict, wire.WordStage, theirs)
	if report.Failure.Code != wire.CodeTaken {
		t.Error(describe(report))
	}
	p.want(wire.WordUndone, wire.WordUndo, undoOf(theirs))
	for n, text := range []string{"ours", "ours, changed"} {
		p.perform(stageOf(n+2, aStep("x", d("file", "/etc/other.conf", "root", "root", "0644", text, "new"))))
	}
	p.perform(stageOf(5, aStep("x", d("absent", "/etc/other.conf"))))
	disk.Put("/etc/other.conf", "now theirs\n", Attributes{Mode: 0o644})
	gone := stageOf(6, aStep("x", d("file", "/etc/other.conf", "root", "root", "0644", "ours", "new")))
	p.want(wire.WordConflict, wire.WordStage, gone)
	p.want(wire.WordUndone, wire.WordUndo, undoOf(gone))
	must(t, p.close())
}

package operation

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/message"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// The whole of what is to be done with a restored backup, on the real runtime:
// see what differs, adopt, and give no number a second time.
func TestARestoredBackupIsSeenAdoptedAndGivesNoNumberTwice(t *testing.T) {
	directory := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, directory, 1, &simTally{})
		defer w.end()
		ctx := context.Background()
		for _, text := range simBeginning("alike") {
			must(w.begin(text))
		}
		p := w.newPanel()
		run := func(p *simPanel, text string) *Outcome {
			t.Helper()
			operation, err := parseOperation(text)
			must(err)
			o, err := p.Run(ctx, Request{Command: text, Mutate: operation.mutate})
			if err != nil {
				t.Fatal(text, err)
			}
			return o
		}
		run(p, "add one acme v1")
		backup := filepath.Join(directory, "backup.db")
		must(p.store.Backup(ctx, backup))
		lost := run(p, "add two acme v1")
		run(p, "add three acme v1")
		run(p, "set one v2")
		p.close()
		for _, name := range []string{"orchestra.db", "orchestra.db-wal", "orchestra.db-shm"} {
			_ = os.Remove(filepath.Join(directory, name))
		}
		must(os.Rename(backup, filepath.Join(directory, "orchestra.db")))

		q := w.newPanel()
		defer q.close()
		before := w.machines[0].memory.Dump()
		differences, err := q.AdoptPreview(ctx, "h11")
		if err != nil || len(differences) != 1 || differences[0].Err != nil {
			t.Fatalf("%v %+v", err, differences)
		}
		said := map[string]string{}
		for _, step := range differences[0].Steps {
			for _, one := range step.Differences {
				said[one.Resource] = one.Reason
			}
		}
		if want := map[string]string{
			"/srv/data/one": "stale", "/srv/data/two": "left-over", "/srv/data/three": "left-over",
			"/etc/map: one": "stale", "/etc/map: two": "left-over", "/etc/map: three": "left-over",
		}; !subset(want, said) {
			t.Errorf("it says %v", said)
		}
		if diff := cmp.Diff(before, w.machines[0].memory.Dump()); diff != "" {
			t.Error("to look has changed something:", diff)
		}
		for _, server := range []string{"h11", "h12", "h13"} {
			o, err := q.Adopt(ctx, server, Request{Command: "server adopt " + server})
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, warning := range o.Warnings {
				text += warning.String() + "\n"
			}
			if !strings.Contains(text, "changes owed to it: 3") || strings.Contains(text, "(id.item)") != (server == "h11") {
				t.Errorf("%s: %s", server, text)
			}
		}
		o := run(q, "add four acme v1")
		if now, then := o.Changes[0].ID, lost.Changes[0].ID; now <= then+1 {
			t.Errorf("the next item has number %d, and one that was lost had %d", now, then)
		}
		files := w.machines[0].content().Files
		if !strings.Contains(files["one"], "v1") || files["four"] == "" || files["two"] == "" {
			t.Error("what the database says is not there, or more than that is gone:", files)
		}
	})
}

func subset(want, all map[string]string) bool {
	for key, value := range want {
		if all[key] != value {
			return false
		}
	}
	return true
}

func TestAServerThatSaysNumbersOutOfAllReasonRaisesNothing(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, threeServers(1), connectTo(servers))
	p.must("account", addAccount("acme"))
	p.must("add", addItem("one", "acme", "v1"))
	servers[0].says = func(word wire.Word, report *wire.Report) {
		if word == wire.WordAdopted {
			report.Counters = map[string]int64{
				"id.item": wire.MaxNumber + 1, "id.part": wire.MaxNumber, "unix_id": 100_000, "serial.example.org": 1<<32 - 1, "serial.example.net": 2026112601, "id.account": -1, "": 3, "a b": 3, "x\x1b[2J": 3, strings.Repeat("x", 5000): 3, "ok": 7,
			}
		}
	}
	o, err := p.Adopt(context.Background(), "h11", Request{Command: "server adopt h11"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"id.part", "unix_id", "serial.example.org"} { // one that was given may be meant: say so
		if !slices.ContainsFunc(o.Warnings, func(warning message.Text) bool {
			return strings.Contains(warning.String(), "h11 says that numbers of "+name)
		}) {
			t.Errorf("%s is ignored in silence: %v", name, o.Warnings)
		}
	}
	counters := map[string]int64{}
	if err := p.store.View(context.Background(), func(tx *store.Tx) error {
		for _, name := range []string{"id.item", "id.part", "unix_id", "serial.example.org", "serial.example.net", "id.account", "ok", "a b", ""} {
			last, err := tx.Counter(context.Background(), name)
			if err != nil {
				return err
			}
			counters[name] = last
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{
		"id.item": 1, "id.part": 0, "unix_id": 0, "serial.example.org": 0, "serial.example.net": 2026112601, "id.account": 1, "ok": 7, "a b": 0, "": 0,
	}, counters); diff != "" {
		t.Error(diff)
	}
}

// Another panel's server tells its numbers too: here they may be of somebody.
func TestNumbersOfAnotherPanelAreNotGivenEither(t *testing.T) {
	servers := fakes(1)
	p := newTestPanel(t, threeServers(1), connectTo(servers))
	p.must("account", addAccount("acme"))
	for _, name := range []string{"a", "b", "c"} {
		p.must("add", addItem(name, "acme", "v1"))
	}
	q := newTestPanel(t, threeServers(1), connectTo(servers))
	q.must("account", addAccount("acme"))
	if _, err := q.Adopt(context.Background(), "h11", Request{Command: "server adopt h11"}); err != nil {
		t.Fatal(err)
	}
	if o := q.must("add", addItem("d", "acme", "v1")); o.Changes[0].ID != 4 {
		t.Errorf("number %d", o.Changes[0].ID)
	}
}

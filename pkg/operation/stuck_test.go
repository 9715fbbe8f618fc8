package operation

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"orchestra/pkg/fault"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// What can't come to its end says what is blocked and what ends it.
func TestAnOperationThatStaysOpenSaysWhatEndsIt(t *testing.T) {
	conflict := func(heard wire.Word) *wire.Failure {
		switch heard {
		case wire.WordReload:
			return &wire.Failure{Phase: "reload", Message: "no"}
		case wire.WordUndo:
			return &wire.Failure{Phase: "undo", Code: wire.CodeChanged, Message: "1 could not be put back", Unrestored: []string{"user one: it is X; it was Y"}}
		}
		return nil
	}
	for name, test := range map[string]struct {
		hinder func(*fakeServer)
		mend   func(*testPanel, *fakeServer)
		says   []string
	}{
		"somebody else changed it": {
			func(s *fakeServer) { s.answer = conflict }, func(_ *testPanel, s *fakeServer) { s.answer = nil },
			[]string{"could not be undone on h12; until it ends, nothing else can be changed there, nor of account acme", "h12: user one: it is X; it was Y", "either what it was or what it would have become", "orchestra recover"},
		},
		"it is gone before the commit": {
			func(s *fakeServer) { losing(s, wire.WordReload, false) }, func(p *testPanel, _ *fakeServer) { p.topology.servers[1].Enabled = false },
			[]string{"nor of account acme", "bring h12 back, then: orchestra recover; where it stays away: orchestra server disable h12, then orchestra recover"},
		},
		"it is gone after the commit": {
			func(s *fakeServer) { losing(s, wire.WordKeep, true) }, func(p *testPanel, _ *fakeServer) { p.topology.servers[1].Enabled = false },
			[]string{"is committed", "nor of account acme", "orchestra server disable h12, then orchestra recover"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				servers := fakes(2)
				p := newTestPanel(t, threeServers(2), connectTo(servers))
				p.must("account", addAccount("acme"))
				p.must("account", addAccount("other"))
				test.hinder(servers[1])
				o, err := p.run("add", addItem("one", "acme", "v1"))
				for _, err := range []error{err, recoverError(p)} {
					if !fault.Is(err, fault.Unrecovered) {
						t.Fatal(err)
					}
					said := err.Error() + "\n" + fault.HintOf(err).String()
					for _, want := range test.says {
						if !strings.Contains(said, want) {
							t.Errorf("no %q in %s", want, said)
						}
					}
				}
				if p.state(o.Number).Ended() {
					t.Fatal("it has ended")
				}
				test.mend(p, servers[1])
				if err := recoverError(p); err != nil || !p.state(o.Number).Ended() {
					t.Error("what is said does not end it:", err)
				}
			})
		})
	}
}

// recoverError is what is said of the first operation that stays open.
func recoverError(p *testPanel) error {
	results, _, err := p.Recover(context.Background())
	for _, result := range results {
		if result.Err != nil {
			return result.Err
		}
	}
	return err
}

func TestOnlyWhatNobodyRunsIsInterrupted(t *testing.T) {
	p := newTestPanel(t, threeServers(1), connectTo(fakes(1)))
	o := &store.Operation{ID: store.NewOperationID(), Kind: "change"}
	if err := p.store.Update(t.Context(), func(tx *store.Tx) error { return tx.BeginOperation(t.Context(), o) }); err != nil {
		t.Fatal(err)
	}
	interrupted := func(want int) {
		t.Helper()
		if found, err := p.Interrupted(t.Context()); err != nil || len(found) != want {
			t.Fatal(found, err)
		}
	}
	interrupted(1)
	locks, err := p.locks()
	if err != nil {
		t.Fatal(err)
	}
	set, err := locks.begin(o.ID, "a command")
	if err != nil || set == nil {
		t.Fatal(err)
	}
	set.note()
	interrupted(0)
	set.close(false)
	interrupted(1)
	if err := recoverError(p); err != nil {
		t.Fatal(err)
	}
	interrupted(0)
}

// A failure says what is to be done about it, where that is known.
func TestAFailureHintsAtWhatMendsIt(t *testing.T) {
	for code, want := range map[string]string{
		wire.CodeFull:    "free space on h11, where df -h; df -i shows what is full",
		wire.CodeTaken:   "orchestra drift --server h11 shows what is there",
		wire.CodeMissing: "orchestra server check h11",
		wire.CodeChild:   "orchestra log show 2",
	} {
		servers := fakes(1)
		p := newTestPanel(t, threeServers(1), connectTo(servers))
		p.must("account", addAccount("acme"))
		servers[0].answer = func(heard wire.Word) *wire.Failure {
			if heard == wire.WordStage {
				return &wire.Failure{Phase: "stage", Code: code, Message: "no"}
			}
			return nil
		}
		_, err := p.run("add", addItem("one", "acme", "v1"))
		if hint := fault.HintOf(err).String(); !fault.Is(err, fault.Failed) || !strings.Contains(hint, want) {
			t.Errorf("%s: %v: %s", code, err, hint)
		}
	}
	why := fault.New(fault.Unreachable, "no root").WithHint("orchestra config show")
	if hint := fault.HintOf(unreachable(Server{Name: "h11"}, why)).String(); hint != "orchestra config show" {
		t.Errorf("what is known better is hidden: %s", hint)
	}
}

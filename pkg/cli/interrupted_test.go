package cli

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// An operation whose runner was killed is no work in progress, and not as it should be.
func TestAnInterruptedOperationIsNamed(t *testing.T) {
	p := newPanel(t)
	p.must("account", "add", "acme")
	p.must("check")
	if said := p.errs.String(); !strings.Contains(said, "as it should be") {
		t.Fatal(said)
	}
	registry, err := noun.NewRegistry((&app{}).nouns()...)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := store.Open(t.Context(), store.Options{Path: filepath.Join(p.process.Directory, "orchestra.db"), Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	o := &store.Operation{ID: store.NewOperationID(), Kind: "change", Actor: "ana", Command: "user add x"}
	if err := opened.Update(t.Context(), func(tx *store.Tx) error { return tx.BeginOperation(context.Background(), o) }); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "log list --limit 1", "log show 2", "log show"} {
		if said := p.must(strings.Fields(command)...); !strings.Contains(said, "interrupted") || strings.Contains(said, "running") {
			t.Errorf("%s: %s", command, said)
		}
	}
	if said := p.must("check"); !strings.Contains(said, "orchestra recover") || !strings.Contains(said, "operation") {
		t.Error(said)
	}
	for command, filter := range map[string]string{"log list --limit 1": ".[0].state", "log show": ".state", "log list --state running": ".[0].state"} {
		if said := p.must(append(strings.Fields(command), "--jq", filter)...); strings.TrimSpace(said) != "running" {
			t.Errorf("%s: a program is told %s", command, said)
		}
	}
	p.must("recover")
	p.must("check")
	if said := p.errs.String(); !strings.Contains(said, "as it should be") {
		t.Error(said)
	}
}

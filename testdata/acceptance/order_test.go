package acceptance

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestADirectoryIsMadeOnlyOnceTheMasterHasTheUser runs a backend on h12 whose
// route says "after" the one on h11: it wants the user to be there already,
// and undo goes the other way.
func TestADirectoryIsMadeOnlyOnceTheMasterHasTheUser(t *testing.T) {
	p := shared.panel
	master, second := shared.fleet.Host(0), shared.fleet.Host(1)
	copyTree(t, filepath.Join("backends", "ordered"), filepath.Join(p.directory, "backends", "ordered"))
	for _, host := range []string{master.Name, second.Name} {
		arguments := []string{"route", "add", "ordered", "--server", host, "--match", `account.name == "inorder"`}
		if host == second.Name {
			arguments = append(arguments, "--after", "ordered@"+master.Name)
		}
		p.must(t, arguments...)
		onHost(t, shared.fleet.Host(0), "mkdir -p /run/ordered")
		onHost(t, shared.fleet.Host(1), "mkdir -p /run/ordered")
	}
	t.Cleanup(func() {
		p.must(t, "account", "delete", "inorder", "--yes")
		p.must(t, "route", "delete", "ordered@"+second.Name, "--yes")
		p.must(t, "route", "delete", "ordered@"+master.Name, "--yes")
		onHost(t, master, "rm -rf /run/ordered")
		onHost(t, second, "rm -rf /run/ordered")
	})
	p.must(t, "account", "add", "inorder", "--full-name", "In Order")
	first := stamp(t, onHost(t, master, "cat /run/ordered/done"))
	if then := stamp(t, onHost(t, second, "cat /run/ordered/done")); then <= first {
		t.Errorf("%s was published at %d, before %s at %d", second.Name, then, master.Name, first)
	}

	// A failure on the last of the order: what was made last is undone first.
	onHost(t, master, "rm /run/ordered/*")
	onHost(t, second, "rm /run/ordered/*; touch /run/ordered/refuse")
	p.fails(t, 8, "user", "add", "inorder-one", "--account", "inorder")
	undoneSecond := stamp(t, onHost(t, second, "cat /run/ordered/undone"))
	if undoneMaster := stamp(t, onHost(t, master, "cat /run/ordered/undone")); undoneMaster <= undoneSecond {
		t.Errorf("%s was undone at %d, before %s at %d", master.Name, undoneMaster, second.Name, undoneSecond)
	}
	onHost(t, second, "rm /run/ordered/refuse")
}

// stamp reads nanoseconds since the epoch: all hosts share one clock.
func stamp(t *testing.T, text string) int64 {
	t.Helper()
	var nanoseconds int64
	if _, err := fmt.Sscan(strings.TrimSpace(text), &nanoseconds); err != nil {
		t.Fatalf("%q is no time: %v", text, err)
	}
	return nanoseconds
}

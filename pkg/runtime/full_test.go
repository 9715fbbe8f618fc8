package runtime

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

func TestUndoingNeedsNoSpace(t *testing.T) {
	for words := 1; words <= 3; words++ {
		t.Run(fmt.Sprintf("full after %d words", words), func(t *testing.T) {
			m := newCrashMachine(t, 1)
			old := m.everything()
			stage := secondOperation()
			p := m.connect()
			for _, word := range wordsOf(stage)[:words] {
				p.want(word.answer, word.word, word.content)
			}
			m.disk.SetCapacity(m.disk.Used())
			p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
			if difference := cmp.Diff(old, m.everything()); difference != "" {
				t.Error(difference)
			}
			m.nothingLeft()
			// The next one is refused, and does no harm either.
			next := secondOperation()
			next.Operation, next.Sequence = number(3), 3
			report := p.want(wire.WordFailed, wire.WordStage, next)
			if report.Failure.Code != wire.CodeFull {
				t.Error(describe(report))
			}
			p.want(wire.WordUndone, wire.WordUndo, undoOf(next))
			if difference := cmp.Diff(old, m.everything()); difference != "" {
				t.Error(difference)
			}
			must(t, p.close())
		})
	}
}

func TestPublishingNeedsNoSpaceEither(t *testing.T) {
	m := newCrashMachine(t, 1)
	stage := secondOperation()
	p := m.connect()
	for i, word := range wordsOf(stage) {
		p.want(word.answer, word.word, word.content)
		if i == 0 {
			m.disk.SetCapacity(m.disk.Used())
		}
	}
	m.nothingLeft()
	must(t, p.close())
}

// TestOnAFullFileSystem uses a real one of a few pages for /etc.
func TestOnAFullFileSystem(t *testing.T) {
	root, options := realServer(t)
	files := map[string][]byte{}
	for name := range accountsOfTest {
		data, err := os.ReadFile(root + name)
		must(t, err)
		files[name] = data
	}
	if err := syscall.Mount("tmpfs", root+"/etc", "tmpfs", 0, "size=2m,mode=0755"); err != nil {
		t.Skipf("LEFT OUT: no tmpfs can be mounted: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(root+"/etc", syscall.MNT_DETACH)) })
	for name, data := range files {
		must(t, os.WriteFile(root+name, data, 0o640))
	}
	// A passwd of some size: writing it anew needs as much.
	fill(t, root, 3000)
	p := connect(t, options)
	p.perform(withoutUnits(firstOperation()))
	before := tree(t, root)
	for words := 1; words <= 3; words++ {
		stage := withoutUnits(secondOperation())
		stage.Operation, stage.Sequence = number(10+words), int64(10+words)
		for _, word := range wordsOf(stage)[:words] {
			p.want(word.answer, word.word, word.content)
		}
		ballast := fillUp(t, root+"/etc/ballast")
		p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
		must(t, os.Remove(ballast))
		if difference := cmp.Diff(before, tree(t, root)); difference != "" {
			t.Errorf("after %d words: %s", words, difference)
		}
	}
	// Staging on a full one fails and leaves nothing.
	ballast := fillUp(t, root+"/etc/ballast")
	stage := withoutUnits(secondOperation())
	stage.Operation, stage.Sequence = number(20), 20
	report := p.want(wire.WordFailed, wire.WordStage, stage)
	if report.Failure.Code != wire.CodeFull {
		t.Error(describe(report))
	}
	p.want(wire.WordUndone, wire.WordUndo, undoOf(stage))
	must(t, os.Remove(ballast))
	if difference := cmp.Diff(before, tree(t, root)); difference != "" {
		t.Error(difference)
	}
	must(t, p.close())
}

// fillUp takes all the space that there is.
func fillUp(t *testing.T, name string) string {
	t.Helper()
	file, err := os.Create(name)
	must(t, err)
	for size := 64 << 10; size > 0; {
		_, err := file.WriteString(strings.Repeat("x", size))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			t.Fatal(err)
		}
	}
	must(t, file.Close())
	return name
}

package runtime

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

// zonesStep is a step of so many files of a size each.
func zonesStep(count, size int) wire.Step {
	var records strings.Builder
	records.WriteString("#\x1f1\x1e0\x1ezone\x1e\x1f.\n")
	step := wire.Step{Name: "zones", Timeout: 5 * time.Minute, Script: wire.Script{Declare: `
one_zone() { file "/etc/zones/$name" root root 0644 "${fact[zone]}" new; }
dir /etc/zones root root 0755
each_object one_zone
`}}
	for i := range count {
		name := fmt.Sprintf("zone%d", i)
		step.Contents = append(step.Contents, wire.ContentItem{Reference: Reference(i + 1), Data: bytes.Repeat([]byte(name+"\n"), size/(len(name)+1))})
		records.WriteString("\x1f" + strings.Join([]string{"save", "zone", fmt.Sprint(i + 1), name, Reference(i + 1)}, "\x1f") + "\x1f.\n")
	}
	step.Objects = records.String()
	return step
}

// mostMemory is how many bytes a process had in memory at most.
func mostMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int
	if _, err := fmt.Sscan(line, &kilobytes); err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// Ten thousand lines of a batch are more than one frame holds, and must not
// take more memory than a small server can spare.
func TestTenThousandObjectsFitIntoMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("LEFT OUT: it takes a while")
	}
	root, _ := realServer(t)
	p := startRuntime(t, root)
	const count, size = 10_000, 7 << 10
	stage := stageOf(1, zonesStep(count, size))
	if all := wire.Size(stage.Steps); all <= wire.MaxPayload {
		t.Fatalf("only %d bytes", all)
	}
	report := p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: stage.Steps})
	if len(report.Steps[0].Differences) != count+1 {
		t.Errorf("%d differences", len(report.Steps[0].Differences))
	}
	for _, word := range wordsOf(stage) {
		began := time.Now()
		p.want(word.answer, word.word, word.content)
		t.Logf("%-8s %v, at most %d MiB so far", word.word, time.Since(began).Round(time.Millisecond), mostMemory(t, p.pid)>>20)
	}
	if most := mostMemory(t, p.pid); most > 256<<20 {
		t.Errorf("%d MiB", most>>20)
	}
	if files, err := os.ReadDir(root + "/etc/zones"); err != nil || len(files) != count {
		t.Errorf("%d files, %v", len(files), err)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
}

// large is a stage that goes in several frames.
func large(n int) wire.Stage {
	step := aStep("one", d("file", "/etc/large", "root", "root", "0644", Reference(1)))
	step.Contents = contents(strings.Repeat("x", 5*wire.PartSize))
	return stageOf(n, step)
}

// sent returns the frames of a word.
func sent(t *testing.T, word wire.Word, content any) [][]byte {
	t.Helper()
	var frames writes
	if err := wire.NewConn(nil, &frames).Send(word, content); err != nil {
		t.Fatal(err)
	}
	return frames
}

type writes [][]byte

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, bytes.Clone(p))
	return len(p), nil
}

// A word of which not all parts have arrived, or not in their order, leaves
// nothing, not even a trace of the operation.
func TestPartsWithoutTheirWordLeaveNothing(t *testing.T) {
	frames := sent(t, wire.WordStage, large(1))
	if len(frames) < 5 {
		t.Fatalf("%d frames", len(frames))
	}
	last := len(frames) - 1
	for name, say := range map[string][][]byte{
		"cut between two parts":   frames[:2],
		"cut within a part":       {frames[0], frames[1][:1000]},
		"cut before the word":     frames[:last],
		"the word without a part": append(append([][]byte{}, frames[:2]...), frames[last]),
		"two parts exchanged":     append([][]byte{frames[1], frames[0]}, frames[2:]...),
	} {
		disk, machine := memoryServer(MemoryOptions{})
		before := disk.Dump()
		p := memorySession(t, disk, machine)
		for _, frame := range say {
			if _, err := p.raw.Write(frame); err != nil {
				break // it has gone already
			}
		}
		if strings.HasPrefix(name, "cut") {
			_ = p.out.Close()
		} // otherwise it ends by itself
		if <-p.done == nil {
			t.Errorf("%s: the session says nothing of it", name)
		}
		_ = p.out.Close()
		if diff := cmp.Diff(before, disk.Dump()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAStageInPartsIsStaged(t *testing.T) {
	disk, machine := memoryServer(MemoryOptions{})
	p := memorySession(t, disk, machine)
	stage := large(1)
	if report := p.want(wire.WordObserved, wire.WordObserve, wire.Observe{Steps: stage.Steps}); len(report.Steps[0].Differences) != 1 {
		t.Error(describe(report))
	}
	p.perform(stage)
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	if got := disk.Dump()["/etc/large"]; !strings.HasSuffix(got, strings.Repeat("x", 5*wire.PartSize)) {
		t.Errorf("%d bytes", len(got))
	}
}

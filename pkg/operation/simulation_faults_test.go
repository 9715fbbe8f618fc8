package operation

import (
	"fmt"
	"math/rand/v2"
	"time"

	"orchestra/pkg/runtime"
)

// faultsOf breaks something in a world while a command runs on a panel.
type faultsOf func(*simWorld, *simPanel)

// faultKind is one way in which something breaks. Its sentence is the text of
// such a fault in a story: each %d is a number, with the range it is chosen from.
type faultKind struct {
	weight   int
	sentence string
	ranges   [][2]int
	of       func(n []int) faultsOf
}

// The ranges of numbers. Servers are called by the last digit of their names;
// an operation of the panel makes five writes, sends about forty frames, and
// changes a disk some ninety times.
var (
	ofServers      = [2]int{1, 3}
	ofWrites       = [2]int{1, 5}
	ofFrames       = [2]int{1, 40}
	ofChanges      = [2]int{1, 95}
	ofSeconds      = [2]int{0, 180}
	ofMilliseconds = [2]int{0, 60}
	ofDays         = [2]int{1, 500}
)

// faultKinds are all of them; weight says how often each is chosen.
var faultKinds = []faultKind{
	{1, "the panel is killed before write %d", [][2]int{ofWrites}, func(n []int) faultsOf { return crashAtWrite(n[0], false) }},
	{1, "the panel is killed after write %d", [][2]int{ofWrites}, func(n []int) faultsOf { return crashAtWrite(n[0], true) }},
	{2, "the panel is killed at frame %d", [][2]int{ofFrames}, func(n []int) faultsOf { return crashAtFrame(n[0]) }},
	{1, "write %d fails and is not made", [][2]int{ofWrites}, func(n []int) faultsOf { return errorAtWrite(n[0], false) }},
	{1, "write %d fails and is made", [][2]int{ofWrites}, func(n []int) faultsOf { return errorAtWrite(n[0], true) }},
	{1, "write %d fails and the database can't be opened", [][2]int{ofWrites}, func(n []int) faultsOf { return unreadable(n[0], false) }},
	{1, "write %d is made and the database can't be opened", [][2]int{ofWrites}, func(n []int) faultsOf { return unreadable(n[0], true) }},
	{1, "the disk of the panel is full from write %d on", [][2]int{ofWrites}, func(n []int) faultsOf { return panelFull(n[0]) }},
	{1, "the disk of the panel is nearly full", nil, func([]int) faultsOf { return panelCramped }},
	{1, "a write of the panel takes %d seconds", [][2]int{{1, 40}}, func(n []int) faultsOf { return panelSlow(seconds(n[0])) }},
	{2, "the connection of frame %d is reset", [][2]int{ofFrames}, func(n []int) faultsOf { return resetAtFrame(n[0]) }},
	{3, "the cable of frame %d is cut for %d seconds", [][2]int{ofFrames, ofSeconds}, func(n []int) faultsOf { return cutAtFrame(n[0], seconds(n[1])) }},
	{1, "from frame %d on its connection loses what the panel says", [][2]int{ofFrames}, func(n []int) faultsOf { return halfOpen(n[0], true, false) }},
	{1, "from frame %d on its connection loses what the server says", [][2]int{ofFrames}, func(n []int) faultsOf { return halfOpen(n[0], false, true) }},
	{1, "from frame %d on its connection loses everything", [][2]int{ofFrames}, func(n []int) faultsOf { return halfOpen(n[0], true, true) }},
	{2, "h1%d refuses %d connections", [][2]int{ofServers, {1, 12}}, func(n []int) faultsOf { return refuses(n[0], n[1]) }},
	{2, "a runtime on h1%d is killed before change %d", [][2]int{ofServers, ofChanges}, func(n []int) faultsOf { return killedAtChange(n[0], n[1]) }},
	{3, "h1%d loses power before change %d for %d seconds", [][2]int{ofServers, ofChanges, ofSeconds}, func(n []int) faultsOf { return powerAtChange(n[0], n[1], seconds(n[2])) }},
	{1, "the declaring part fails on h1%d", [][2]int{ofServers}, func(n []int) faultsOf { return childFails(n[0], runtime.ChildDeclare, "", 1000) }},
	{1, "the declaring part hangs on h1%d", [][2]int{ofServers}, func(n []int) faultsOf { return childHangs(n[0], runtime.ChildDeclare, "") }},
	{1, "a reload fails on h1%d", [][2]int{ofServers}, func(n []int) faultsOf { return childFails(n[0], runtime.ChildProgram, "", 1000) }},
	{1, "a reload hangs on h1%d", [][2]int{ofServers}, func(n []int) faultsOf { return childHangs(n[0], runtime.ChildProgram, "") }},
	{1, "making data fails %d times on h1%d", [][2]int{{1, 3}, ofServers}, func(n []int) faultsOf { return childFails(n[1], runtime.ChildAct, makeData, n[0]) }},
	{1, "making data hangs on h1%d", [][2]int{ofServers}, func(n []int) faultsOf { return childHangs(n[0], runtime.ChildAct, makeData) }},
	{2, "destroying data fails %d times on h1%d", [][2]int{{1, 9}, ofServers}, func(n []int) faultsOf { return childFails(n[1], runtime.ChildAct, destroy, n[0]) }},
	{1, "destroying data hangs on h1%d", [][2]int{ofServers}, func(n []int) faultsOf { return childHangs(n[0], runtime.ChildAct, destroy) }},
	{1, "the pivot fails", nil, func([]int) faultsOf { return childFails(1, runtime.ChildAct, setList, 1000) }},
	{1, "the pivot hangs", nil, func([]int) faultsOf { return childHangs(1, runtime.ChildAct, setList) }},
	{1, "the panel is killed before the pivot", nil, func([]int) faultsOf { return atPivot((*simPanel).crash, nil, false) }},
	{1, "the panel is killed after the pivot", nil, func([]int) faultsOf { return atPivot((*simPanel).crash, nil, true) }},
	{1, "the runtime is killed before the pivot", nil, func([]int) faultsOf { return atPivot(nil, (*simProcess).kill, false) }},
	{1, "the runtime is killed after the pivot", nil, func([]int) faultsOf { return atPivot(nil, (*simProcess).kill, true) }},
	{1, "the disk of h1%d is full but for %d KiB", [][2]int{ofServers, {0, 200}}, func(n []int) faultsOf { return diskFull(n[0], int64(n[1])<<10) }},
	{1, "a change of the disk of h1%d takes %d milliseconds", [][2]int{ofServers, {10, 9000}}, func(n []int) faultsOf { return diskSlow(n[0], time.Duration(n[1])*time.Millisecond) }},
	{2, "the clock of h1%d goes forward %d days after %d milliseconds", [][2]int{ofServers, ofDays, ofMilliseconds}, func(n []int) faultsOf { return clockJumps(n[0], days(n[1]), n[2]) }},
	{2, "the clock of h1%d goes back %d days after %d milliseconds", [][2]int{ofServers, ofDays, ofMilliseconds}, func(n []int) faultsOf { return clockJumps(n[0], -days(n[1]), n[2]) }},
	{1, "the clock of h1%d goes back %d seconds after %d milliseconds", [][2]int{ofServers, ofSeconds, ofMilliseconds}, func(n []int) faultsOf { return clockJumps(n[0], -seconds(n[1]), n[2]) }},
	{1, "the clock of the panel goes forward %d days after %d milliseconds", [][2]int{ofDays, ofMilliseconds}, func(n []int) faultsOf { return clockJumps(0, days(n[0]), n[1]) }},
	{1, "the clock of the panel goes back %d days after %d milliseconds", [][2]int{ofDays, ofMilliseconds}, func(n []int) faultsOf { return clockJumps(0, -days(n[0]), n[1]) }},
	{1, "it is interrupted after %d milliseconds", [][2]int{ofMilliseconds}, func(n []int) faultsOf { return interruptAfter(time.Duration(n[0]) * time.Millisecond) }},
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
func days(n int) time.Duration    { return time.Duration(n) * 24 * time.Hour }

func (k faultKind) text(n []int) string {
	args := make([]any, len(n))
	for i := range n {
		args[i] = n[i]
	}
	return fmt.Sprintf(k.sentence, args...)
}

// parseFault reads the text of a fault.
func parseFault(text string) (faultsOf, error) {
	for _, kind := range faultKinds {
		n := make([]int, len(kind.ranges))
		into := make([]any, len(n))
		for i := range n {
			into[i] = &n[i]
		}
		if len(n) > 0 {
			if _, err := fmt.Sscanf(text, kind.sentence, into...); err != nil {
				continue
			}
		}
		if kind.text(n) == text {
			return kind.of(n), nil
		}
	}
	return nil, fmt.Errorf("no fault is %q", text)
}

// randomFault chooses the text of one.
func randomFault(random *rand.Rand) string {
	total := 0
	for _, kind := range faultKinds {
		total += kind.weight
	}
	at := random.IntN(total)
	for _, kind := range faultKinds {
		if at -= kind.weight; at >= 0 {
			continue
		}
		n := make([]int, len(kind.ranges))
		for i, between := range kind.ranges {
			n[i] = between[0] + random.IntN(between[1]-between[0]+1)
		}
		return kind.text(n)
	}
	panic("unreachable")
}

// breakAll has all faults strike that are named.
func (w *simWorld) breakAll(faults []string, p *simPanel) {
	for _, text := range faults {
		w.trace("fault: %s", text)
		fault, err := parseFault(text)
		must(err)
		fault(w, p)
	}
}

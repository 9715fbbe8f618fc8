package operation

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	stdruntime "runtime"
	"sync/atomic"
	"testing"
	"time"
)

// go test ./pkg/operation -run Simulation -seeds=N runs N seeds, from -from on; -seed=N replays
// one of them, -story='…' a story; a failure is shrunk for at most -shrink.
var (
	oneSeed    = flag.Int64("seed", 0, "the one seed to simulate, told step by step")
	manySeeds  = flag.Int("seeds", 0, "how many seeds to simulate")
	firstSeed  = flag.Int64("from", 1, "the first of the seeds to simulate")
	oneStory   = flag.String("story", "", "the one story to simulate, told step by step")
	shrinkTime = flag.Duration("shrink", time.Minute, "how long to make a story that fails shorter")
)

// storyRounds is how many commands the story of a seed has.
const storyRounds = 6

func TestSimulationSeeds(t *testing.T) {
	if *oneStory != "" {
		t.Skip("one story is asked for")
	}
	if *oneSeed != 0 {
		replay(t, randomStory(uint64(*oneSeed), storyRounds))
		return
	}
	seeds := 60
	if *manySeeds > 0 {
		seeds = *manySeeds
	}
	if testing.Short() {
		seeds = 20
	}
	stories(t, seeds, func(i int) simStory { return randomStory(uint64(*firstSeed)+uint64(i), storyRounds) })
}

// TestSimulationStories replays stories that once found a hole, or would find
// one if a rule were broken: each says which.
func TestSimulationStories(t *testing.T) {
	if *oneStory != "" {
		story, err := parseStory(*oneStory)
		if err != nil {
			t.Fatal(err)
		}
		replay(t, story)
		return
	}
	if *oneSeed != 0 {
		t.Skip("one seed is asked for")
	}
	names, err := filepath.Glob("testdata/stories/*.story")
	if err != nil || len(names) == 0 {
		t.Fatal("there are no stories", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			story, err := parseStory(string(text))
			if err != nil {
				t.Fatal(err)
			}
			if told, failure := simulate(t, story, &simTally{}); failure != nil {
				t.Fatalf("%s\n\n%v", told, failure)
			}
		})
	}
}

// replay tells a story step by step.
func replay(t *testing.T, story simStory) {
	t.Log("\n" + story.String())
	told, failure := simulate(t, story, &simTally{})
	t.Log("\n" + told)
	if failure != nil {
		t.Fatal(failure)
	}
}

// stories simulates n of them, on all processors. The first failure ends it: it
// is shrunk, and told.
func stories(t *testing.T, n int, of func(i int) simStory) {
	var total simTally
	t.Run("workers", func(t *testing.T) {
		var next atomic.Int64
		var failed atomic.Bool
		for range stdruntime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for i := int(next.Add(1)) - 1; i < n && !failed.Load(); i = int(next.Add(1)) - 1 {
					var tally simTally
					told, failure := simulate(t, of(i), &tally)
					total.add(&tally)
					if failure != nil && failed.CompareAndSwap(false, true) {
						t.Error(explainFailure(t, of(i), told, failure))
					}
				}
			})
		}
	})
	t.Logf("%d stories; %s", n, &total)
}

// explainFailure makes a story that fails short, and says how to see it again.
func explainFailure(t *testing.T, story simStory, told string, failure error) string {
	short := shrink(story, *shrinkTime, func(candidate simStory) bool {
		retold, again := simulate(t, candidate, &simTally{})
		if again != nil {
			told, failure = retold, again
		}
		return again != nil
	})
	return fmt.Sprintf("%s\n\n%v\n\nfound by\n%s\nand shrunk to what can be committed in testdata/stories:\n\n%s\nreplay: %s",
		told, failure, story, short, short.command())
}

// TestSimulationEveryPoint breaks at every numbered point in turn: every write
// of the panel, before and after it; every frame; every change of every
// server's disk; each once more while the first is being recovered.
func TestSimulationEveryPoint(t *testing.T) {
	if *oneSeed != 0 || *oneStory != "" {
		t.Skip("one story is asked for")
	}
	var points []string
	for number := 1; number <= 4; number++ {
		for _, sentence := range []string{
			"the panel is killed before write %d", "the panel is killed after write %d", "write %d fails and is not made", "write %d fails and is made",
		} {
			points = append(points, fmt.Sprintf(sentence, number))
		}
	}
	for number := 1; number <= 34; number++ {
		for _, sentence := range []string{
			"the panel is killed at frame %d", "the connection of frame %d is reset", "the cable of frame %d is cut for 0 seconds",
		} {
			points = append(points, fmt.Sprintf(sentence, number))
		}
	}
	for number := 1; number <= 66; number++ {
		server := number%3 + 1
		points = append(points, fmt.Sprintf("a runtime on h1%d is killed before change %d", server, number),
			fmt.Sprintf("h1%d loses power before change %d for 0 seconds", server, number))
	}
	short := 1
	if testing.Short() {
		short = 8
	}
	commands := []string{"add item1 acme v1", "delete a0", "set a0 p1 & add item1 acme v1", "password a0 s3cret1", "delete b0 & label acme l1"}
	stories(t, len(points)/short, func(i int) simStory {
		i *= short
		point, second := points[i], points[(i*7+3)%len(points)]
		return simStory{seed: uint64(1000 + i), shape: simShapes[i%3], rounds: []simRound{
			{do: commands[i%len(commands)], faults: []string{point}, later: []string{second}},
		}}
	})
}

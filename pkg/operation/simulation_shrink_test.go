package operation

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// shrink makes a story that fails as short as it can within a time: it leaves
// out commands and faults, one after the other, while what is left still fails.
// The threads of a simulation do not always meet in the same order, so that
// each shorter story is tried several times.
func shrink(story simStory, limit time.Duration, fails func(simStory) bool) simStory {
	const tries = 3
	end := time.Now().Add(limit)
	for shorter := true; shorter; {
		shorter = false
		for _, candidate := range smaller(story) {
			for range tries {
				if time.Now().After(end) {
					return story
				}
				if fails(candidate) {
					story, shorter = candidate, true
					break
				}
			}
			if shorter {
				break
			}
		}
	}
	return story
}

// smaller returns the stories with one thing less, those with the most less first.
func smaller(story simStory) []simStory {
	var all []simStory
	without := func(change func(*simStory)) {
		less := story.clone()
		change(&less)
		all = append(all, less)
	}
	for at := len(story.rounds) - 1; at > 0; at-- {
		without(func(s *simStory) { s.rounds = s.rounds[:at] })
	}
	for i := range story.rounds {
		if len(story.rounds) > 1 {
			without(func(s *simStory) { s.rounds = slices.Delete(s.rounds, i, i+1) })
		}
	}
	for i, round := range story.rounds {
		if round.beside != "" {
			without(func(s *simStory) { s.rounds[i].beside = "" })
		}
		for j := range round.faults {
			without(func(s *simStory) { s.rounds[i].faults = slices.Delete(s.rounds[i].faults, j, j+1) })
		}
		for j := range round.later {
			without(func(s *simStory) { s.rounds[i].later = slices.Delete(s.rounds[i].later, j, j+1) })
		}
	}
	if story.shape != simShapes[0] {
		without(func(s *simStory) { s.shape = simShapes[0] })
	}
	return all
}

func TestAStoryIsShrunkToWhatMakesItFail(t *testing.T) {
	story := randomStory(5, 6)
	story.rounds[3].faults = append(story.rounds[3].faults, "the panel is killed at frame 9")
	tried := 0
	short := shrink(story, time.Minute, func(s simStory) bool {
		tried++
		for _, round := range s.rounds {
			if slices.Contains(round.faults, "the panel is killed at frame 9") {
				return true
			}
		}
		return false
	})
	if len(short.rounds) != 1 || len(short.rounds[0].faults) != 1 || len(short.rounds[0].later) != 0 || short.rounds[0].beside != "" || short.shape != "alike" {
		t.Errorf("after %d tries:\n%s", tried, short)
	}
}

func TestTheTextOfAStoryIsTheStory(t *testing.T) {
	for seed := range uint64(500) {
		story := randomStory(seed, 6)
		for _, text := range []string{story.String(), "# why; and how\n\n" + story.String(), strings.ReplaceAll(story.String(), "\n", "; ")} {
			read, err := parseStory(text)
			if err != nil || read.String() != story.String() {
				t.Fatalf("%v: %s\nwas read as\n%s", err, story, read)
			}
		}
	}
	for _, text := range []string{"do nothing at all", "fault the panel is killed at frame 9", "do add a acme x\nfault nonsense", "shape round", "seed x"} {
		if read, err := parseStory(text); err == nil {
			t.Errorf("%q was read as %s", text, read)
		}
	}
}

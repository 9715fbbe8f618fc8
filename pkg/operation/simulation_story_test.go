package operation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// simStory is all that is decided beforehand of one simulation: what commands
// run, and what breaks meanwhile. The seed decides the rest: how long things
// take, and what a power cut leaves of a disk. Its text is one line each, so
// that it can be committed, or one line in all, so that it can be typed:
//
//	seed 7
//	shape queue
//	do add item1 acme v1
//	beside label bob gold
//	fault the connection of frame 12 is reset
//	later the panel is killed before write 1
//
// A fault strikes while the command runs, one that comes later during the
// recovery behind it.
type simStory struct {
	seed   uint64
	shape  string
	rounds []simRound
}

// simRound is a command, at times another one beside it, and what breaks.
type simRound struct {
	do     string
	beside string // "": nothing
	faults []string
	later  []string
}

// The shapes of the routes to begin with: all servers alike; one after the
// other; the last one with a queue route.
var simShapes = []string{"alike", "waves", "queue"}

func (s simStory) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "seed %d\nshape %s\n", s.seed, s.shape)
	for _, round := range s.rounds {
		fmt.Fprintf(&out, "do %s\n", round.do)
		if round.beside != "" {
			fmt.Fprintf(&out, "beside %s\n", round.beside)
		}
		for _, fault := range round.faults {
			fmt.Fprintf(&out, "fault %s\n", fault)
		}
		for _, fault := range round.later {
			fmt.Fprintf(&out, "later %s\n", fault)
		}
	}
	return out.String()
}

// command returns what replays the story.
func (s simStory) command() string {
	line := strings.ReplaceAll(strings.TrimSpace(s.String()), "\n", "; ")
	return "go test ./pkg/operation -run SimulationStories -v -story='" + line + "'"
}

// parseStory reads what String writes; lines end with a newline or with "; ",
// and one that begins with # says something to people.
func parseStory(text string) (simStory, error) {
	s := simStory{shape: simShapes[0]}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for part := range strings.SplitSeq(line, "; ") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			word, rest, _ := strings.Cut(part, " ")
			if err := s.take(word, rest); err != nil {
				return s, fmt.Errorf("%q: %w", part, err)
			}
		}
	}
	return s, nil
}

func (s *simStory) take(word, rest string) (err error) {
	last := len(s.rounds) - 1
	switch {
	case word == "seed":
		s.seed, err = strconv.ParseUint(rest, 10, 64)
	case word == "shape" && slices.Contains(simShapes, rest):
		s.shape = rest
	case word == "do":
		s.rounds = append(s.rounds, simRound{do: rest})
		_, err = parseOperation(rest)
	case word == "beside" && last >= 0:
		s.rounds[last].beside = rest
		_, err = parseOperation(rest)
	case word == "fault" && last >= 0:
		s.rounds[last].faults = append(s.rounds[last].faults, rest)
		_, err = parseFault(rest)
	case word == "later" && last >= 0:
		s.rounds[last].later = append(s.rounds[last].later, rest)
		_, err = parseFault(rest)
	default:
		err = fmt.Errorf("no line of a story begins with %q here", word)
	}
	return err
}

// clone returns a copy that shares nothing.
func (s simStory) clone() simStory {
	s.rounds = slices.Clone(s.rounds)
	for i := range s.rounds {
		s.rounds[i].faults = slices.Clone(s.rounds[i].faults)
		s.rounds[i].later = slices.Clone(s.rounds[i].later)
	}
	return s
}

package operation

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// randomStory is the story of a seed. What is done makes sense where nothing
// fails; where something does, a command may find nothing to do it to, as
// commands of people do.
func randomStory(seed uint64, rounds int) simStory {
	g := &generator{random: rand.New(rand.NewPCG(seed, 7)), model: newModel()}
	story := simStory{seed: seed, shape: simShapes[seed%uint64(len(simShapes))]}
	for _, text := range simBeginning(story.shape) {
		g.does(text)
	}
	for number := 1; number <= rounds; number++ {
		g.number = number
		round := simRound{do: g.command()}
		g.does(round.do)
		if g.random.IntN(3) == 0 && !lonely(round.do) {
			if other := g.beside(); !lonely(other) {
				round.beside = other
				g.does(other)
			}
		}
		round.faults, round.later = g.faults(), g.faults()
		story.rounds = append(story.rounds, round)
	}
	return story
}

// generator chooses commands and faults.
type generator struct {
	random *rand.Rand
	model  *simModel
	number int
	backup *simModel // what was last backed up
}

// does notes what a command comes to where it is done.
func (g *generator) does(text string) {
	operation, err := parseOperation(text)
	must(err)
	operation.apply(g.model)
	switch text {
	case "backup":
		g.backup = g.model.clone()
	case "restore":
		g.model = g.backup.clone()
	}
}

func (g *generator) one(from []string) string { return from[g.random.IntN(len(from))] }

func (g *generator) account() string { return g.one([]string{"acme", "acme", "bob"}) }

// value is what an item is set to: one that begins with p wants the act without a way back.
func (g *generator) value(prefix string) string {
	if g.random.IntN(6) == 0 {
		return fmt.Sprintf("p%s%d", prefix, g.number)
	}
	return fmt.Sprintf("v%s%d", prefix, g.number)
}

func (g *generator) command() string {
	switch g.random.IntN(14) {
	case 0, 1:
		return g.ofTheWorld()
	case 2:
		return g.one([]string{"stranger", "adopt h11", "adopt h12", "adopt h13"})
	case 3:
		if g.backup != nil {
			return "restore"
		}
		return "backup"
	}
	return g.ofItems("")
}

// ofItems is a command about accounts and what they have.
func (g *generator) ofItems(prefix string) string {
	add := fmt.Sprintf("add item%s%d %s %s", prefix, g.number, g.account(), g.value(prefix))
	names := sortedKeys(g.model.items)
	if len(names) == 0 {
		return add
	}
	name := g.one(names)
	set := fmt.Sprintf("set %s %s", name, g.value(prefix))
	switch g.random.IntN(9) {
	case 0, 1:
		return set
	case 2, 3:
		return "delete " + name
	case 4:
		return fmt.Sprintf("label %s l%s%d", g.account(), prefix, g.number)
	case 5:
		if wantsPivot(add) && wantsPivot(set) {
			return add // one act without a way back is all that an operation may have
		}
		return add + " & " + set
	case 6:
		return fmt.Sprintf("password %s s3cret%s%d", name, prefix, g.number)
	}
	return add
}

// wantsPivot tells whether the value that a command ends with wants an act without a way back.
func wantsPivot(text string) bool { return pivots(text[strings.LastIndexByte(text, ' ')+1:]) }

// ofTheWorld is a command about servers and routes.
func (g *generator) ofTheWorld() string {
	server := g.one([]string{"h11", "h12", "h13"})
	enabled, exists := g.model.servers[server]
	if !exists {
		return "server-add " + server
	}
	var choices []string
	if enabled {
		choices = append(choices, "disable "+server)
	} else {
		choices = append(choices, "enable "+server, "enable "+server)
	}
	var routes []string
	for _, name := range sortedKeys(g.model.routes) {
		if g.model.routes[name].server == server {
			routes = append(routes, name)
		}
	}
	if len(routes) == 0 {
		choices = append(choices, fmt.Sprintf("route-add r%s %s *", server[2:], server), fmt.Sprintf("route-add r%s %s bob", server[2:], server))
	} else {
		choices = append(choices, "route-match "+routes[0]+" bob", "route-match "+routes[0]+" *", "route-delete "+routes[0])
		if g.random.IntN(3) == 0 {
			choices = append(choices, "server-delete "+server)
		}
	}
	return g.one(choices)
}

// beside is what another administrator does at the same moment: at times to the very same thing.
func (g *generator) beside() string {
	if g.random.IntN(6) == 0 {
		return g.ofTheWorld()
	}
	return g.ofItems("x")
}

// lonely tells whether a command has nothing beside it.
func lonely(text string) bool {
	operation, err := parseOperation(text)
	must(err)
	return operation.alone
}

// faults chooses one fault, at times none or two.
func (g *generator) faults() []string {
	var faults []string
	for range []int{0, 1, 1, 1, 1, 2, 2}[g.random.IntN(7)] {
		faults = append(faults, randomFault(g.random))
	}
	return faults
}

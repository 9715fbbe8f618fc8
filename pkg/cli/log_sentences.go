package cli

import (
	"slices"
	"time"

	"orchestra/pkg/message"
	"orchestra/pkg/output"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// logSentences says what an operation did on each server, a sentence a step.
func logSentences(d logDocument) []message.Text {
	var sentences []message.Text
	for _, server := range d.Servers {
		story := serverStory{logServer: server, ended: store.OperationState(d.State).Ended()}
		for _, phase := range d.Phases {
			if phase.Server == server.Server {
				story.phases = append(story.phases, phase)
			}
		}
		sentences = append(sentences, story.tell()...)
	}
	return sentences
}

// serverStory is what is known of an operation on one server.
type serverStory struct {
	logServer
	phases []phaseDocument
	ended  bool // the operation
}

func (s serverStory) tell() []message.Text {
	name := s.Server
	switch store.ServerOutcome(s.Outcome) {
	case store.OutcomeKept:
		return s.did()
	case store.OutcomeOwing:
		return append(s.did(), message.New("%s: hears the end of it when it is reached again", name))
	case store.OutcomeQueued:
		if len(s.phases) > 0 {
			return []message.Text{message.New("%s: was out of reach; what it missed is owed to it", name)}
		}
		return []message.Text{message.New("%s: was out of reach, or disabled; what it missed is owed to it", name)}
	case store.OutcomeAbandoned:
		return []message.Text{message.New("%s: was given up: it has been adopted, or taken out of service, meanwhile", name)}
	case store.OutcomeUndone, store.OutcomeUntouched:
		return s.didNot()
	}
	return append(s.failures(s.outcomeClause()), s.openEnd()...)
}

// openEnd says that a server has not given its proof, where nothing else was said.
func (s serverStory) openEnd() []message.Text {
	if s.failed() || s.ended {
		return nil
	}
	return []message.Text{message.New("%s: has not come to its end", s.Server)}
}

// did says what each step did.
func (s serverStory) did() []message.Text {
	if len(s.Steps) == 0 {
		return []message.Text{message.New("%s: was through in %s", s.Server, output.Duration(s.duration("")))}
	}
	var sentences []message.Text
	for _, step := range s.Steps {
		deeds, took := s.deeds(step.Backend), output.Duration(s.duration(step.Backend))
		if len(deeds) == 0 {
			sentences = append(sentences, message.New("%s: %s found everything as it is to be, in %s", s.Server, step.Backend, took))
			continue
		}
		sentences = append(sentences, message.New("%s: %s %s in %s", s.Server, step.Backend, joinTexts(deeds), took))
	}
	return sentences
}

// didNot says why there is nothing new on a server.
func (s serverStory) didNot() []message.Text {
	if s.failed() {
		return s.failures(s.outcomeClause())
	}
	if store.ServerOutcome(s.Outcome) == store.OutcomeUntouched {
		return []message.Text{message.New("%s: nothing had been sent to it", s.Server)}
	}
	var sentences []message.Text
	for _, step := range s.Steps {
		deeds := s.deeds(step.Backend)
		switch {
		case len(deeds) == 0:
			sentences = append(sentences, message.New("%s: %s had changed nothing", s.Server, step.Backend))
		case s.reached("publish"):
			sentences = append(sentences, message.New("%s: %s %s; all of it was put back", s.Server, step.Backend, joinTexts(deeds)))
		default:
			sentences = append(sentences, message.New("%s: %s had made everything ready; it was taken away before anything was live", s.Server, step.Backend))
		}
	}
	if len(sentences) == 0 {
		sentences = append(sentences, message.New("%s: everything is as before", s.Server))
	}
	return sentences
}

// outcomeClause says, behind a failure, how a server was left.
func (s serverStory) outcomeClause() message.Text {
	switch store.ServerOutcome(s.Outcome) {
	case store.OutcomeUndone:
		return message.New("everything was put back")
	case store.OutcomeUntouched:
		return message.New("nothing was changed there")
	}
	return message.New("it has not come to its end: orchestra recover")
}

// failed tells whether something went wrong on the server itself.
func (s serverStory) failed() bool { return slices.ContainsFunc(s.phases, phaseDocument.failed) }

// failed tells whether a phase went wrong: an end that came from before is an answer.
func (p phaseDocument) failed() bool {
	return p.Outcome != "ok" && p.Outcome != "kept" && p.Outcome != "undone"
}

// failures says what went wrong, each thing once: a try that is repeated fails
// in the same way.
func (s serverStory) failures(end message.Text) []message.Text {
	var sentences []message.Text
	said := map[string]bool{}
	for _, phase := range s.phases {
		if !phase.failed() {
			continue
		}
		sentence := s.failure(phase, end)
		if text := sentence.String(); !said[text] {
			said[text] = true
			sentences = append(sentences, sentence)
		}
	}
	return sentences
}

func (s serverStory) failure(phase phaseDocument, end message.Text) message.Text {
	during := phase.Phase
	if phase.During != "" {
		during = phase.During
	}
	doing, why := phaseText(during), message.New("%s", phase.Message)
	if phase.Resource != "" {
		why = message.New("%s: %s", phase.Resource, phase.Message)
	}
	switch {
	case phase.Outcome == "unreachable":
		return message.New("%s: could not be reached: %s; %s", s.Server, why, end)
	case phase.Outcome == "lost":
		return message.New("%s: the connection was lost while %s: %s; %s", s.Server, doing, why, end)
	case phase.Outcome == "interrupted":
		return message.New("%s: was interrupted while %s; %s", s.Server, doing, end)
	case phase.Backend != "":
		return message.New("%s: %s failed while %s: %s; %s", s.Server, phase.Backend, doing, why, end)
	}
	return message.New("%s: failed while %s: %s; %s", s.Server, doing, why, end)
}

// reached tells whether a phase went well.
func (s serverStory) reached(name string) bool {
	return slices.ContainsFunc(s.phases, func(p phaseDocument) bool { return p.Phase == name && p.Outcome == "ok" })
}

// duration adds up a step's phases, all phases where there is no step.
func (s serverStory) duration(backend string) time.Duration {
	var total float64
	for _, phase := range s.phases {
		if backend == "" || phase.Backend == backend {
			total += phase.Seconds
		}
	}
	return time.Duration(total * float64(time.Second))
}

// deeds says what a step did: "made 3 users and 2 directories", "reloaded ssh".
func (s serverStory) deeds(backend string) []message.Text {
	var kinds []wire.KindCount
	var reloaded []string
	changed := 0
	for _, phase := range s.phases {
		if phase.Backend == backend {
			kinds = append(kinds, phase.Kinds...)
			changed = max(changed, phase.Changed)
			reloaded = append(reloaded, phase.Reloaded...)
		}
	}
	deeds := kindDeeds(kinds)
	if len(deeds) == 0 && changed > 0 { // from before kinds were counted
		deeds = append(deeds, message.New("changed %d things", changed))
	}
	if len(reloaded) > 0 {
		deeds = append(deeds, message.New("reloaded %s", joinWords(reloaded)))
	}
	return deeds
}

// kindDeeds says what was made, changed and removed.
func kindDeeds(kinds []wire.KindCount) []message.Text {
	var made, changed, removed, parked, acted []message.Text
	acts := 0
	for _, one := range kinds {
		count := func(into *[]message.Text, n int) {
			if n > 0 {
				*into = append(*into, kindText(one.Kind, n))
			}
		}
		switch one.Kind {
		case "act":
			acts += one.Made + one.Changed + one.Removed
		case "park":
			count(&parked, one.Removed)
		default:
			count(&made, one.Made)
			count(&changed, one.Changed)
			count(&removed, one.Removed)
		}
	}
	if acts > 0 {
		acted = append(acted, kindText("act", acts))
	}
	var deeds []message.Text
	for _, deed := range []struct {
		what []message.Text
		text func(message.Text) message.Text
	}{
		{made, func(what message.Text) message.Text { return message.New("made %s", what) }},
		{changed, func(what message.Text) message.Text { return message.New("changed %s", what) }},
		{removed, func(what message.Text) message.Text { return message.New("removed %s", what) }},
		{parked, func(what message.Text) message.Text { return message.New("moved %s to the trash", what) }},
		{acted, func(what message.Text) message.Text { return message.New("did %s", what) }},
	} {
		if len(deed.what) > 0 {
			deeds = append(deeds, deed.text(joinTexts(deed.what)))
		}
	}
	return deeds
}

// kindText counts resources of a kind.
func kindText(kind string, n int) message.Text {
	switch kind {
	case "user":
		return message.New("%d users", n)
	case "group":
		return message.New("%d groups", n)
	case "member":
		return message.New("%d memberships", n)
	case "file":
		return message.New("%d files", n)
	case "directory":
		return message.New("%d directories", n)
	case "park":
		return message.New("%d files or directories", n)
	case "link":
		return message.New("%d links", n)
	case "entry":
		return message.New("%d entries", n)
	case "act":
		return message.New("%d further actions", n)
	}
	return message.New("%d × %s", n, kind)
}

// joinTexts joins parts of a sentence: "one, two and three".
func joinTexts(parts []message.Text) message.Text {
	if len(parts) == 0 {
		return message.Text{}
	}
	joined := parts[0]
	for i, part := range parts[1:] {
		if i == len(parts)-2 {
			joined = message.New("%s and %s", joined, part)
		} else {
			joined = message.New("%s, %s", joined, part)
		}
	}
	return joined
}

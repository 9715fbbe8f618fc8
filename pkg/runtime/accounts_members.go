package runtime

import "slices"

// memberList answers who is a member of a group, for one name as for thousands:
// it is searched at first, and indexed once it has been asked often.
type memberList struct {
	names   []string
	place   map[string]int // from 0, by name; the first where one is there twice
	asked   int
	changed map[string]bool // who came or went since
}

func newMemberList(names []string) *memberList {
	return &memberList{names: slices.Clone(names), changed: map[string]bool{}}
}

// find tells whether somebody was a member, and behind whom; "" for the first.
func (l *memberList) find(name string) (behind string, is bool) {
	if l == nil {
		return "", false
	}
	at := l.index(name)
	if at > 0 {
		behind = l.names[at-1]
	}
	return behind, at >= 0
}

func (l *memberList) index(name string) int {
	if l.asked++; l.asked <= fewNames {
		return slices.Index(l.names, name)
	}
	if l.place == nil {
		l.place = make(map[string]int, len(l.names))
		for i, name := range slices.Backward(l.names) {
			l.place[name] = i
		}
	}
	if at, is := l.place[name]; is {
		return at
	}
	return -1
}

// has tells whether somebody is a member, after what was set.
func (l *memberList) has(name string) bool {
	if l == nil {
		return false
	}
	if is, changed := l.changed[name]; changed {
		return is
	}
	return l.index(name) >= 0
}

// set says that somebody is a member from here on, or is none.
func (l *memberList) set(name string, is bool) { l.changed[name] = is }

package noun

// Net joins the changes of each row into one, from what it was first to what it
// became last, in the order of the first. A row that was made and deleted
// again, or that is as it was, has none. It is for facts and for people; the
// journal and the commit take the changes as they were made, whose order
// references rely on.
func Net(changes []Change) []Change {
	type key struct {
		noun string
		id   int64
	}
	at := make(map[key]int, len(changes))
	net := make([]Change, 0, len(changes))
	for _, change := range changes {
		k := key{change.Noun, change.ID}
		if i, ok := at[k]; ok {
			net[i].After, net[i].Name, net[i].Account = change.After, change.Name, change.Account
			if net[i].Former == 0 {
				net[i].Former = change.Former
			}
			continue
		}
		at[k] = len(net)
		net = append(net, change)
	}
	kept := net[:0]
	for _, change := range net {
		if change.Before == nil && change.After == nil ||
			change.Before != nil && change.After != nil && change.Before.Equal(change.After) {
			continue
		}
		kept = append(kept, change)
	}
	return kept
}

// Invert returns the changes that take these back, last first.
func Invert(changes []Change) []Change {
	inverted := make([]Change, len(changes))
	for i, change := range changes {
		change.Before, change.After = change.After, change.Before
		inverted[len(changes)-1-i] = change
	}
	return inverted
}

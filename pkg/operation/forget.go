package operation

import (
	"context"
	"slices"
	"strings"

	"orchestra/pkg/message"
	"orchestra/pkg/store"
)

// maxForgotten is how many objects are named.
const maxForgotten = 5

// warnForgotten says of servers that go what was still owed to them: nobody will tell
// them, so that it stays there as it is.
func (p *plan) warnForgotten(ctx context.Context, tx *store.Tx, old topology) error {
	if len(p.forget) == 0 {
		return nil
	}
	owed, err := tx.Owed(ctx)
	if err != nil {
		return err
	}
	for _, id := range p.forget {
		if owed[id] == 0 {
			continue
		}
		marks, err := tx.DirtyMarks(ctx, []int64{id})
		if err != nil {
			return err
		}
		var names []string
		for _, mark := range marks {
			name := mark.Noun + " " + mark.Name
			if mark.Facts == nil || slices.Contains(names, name) {
				continue // it has never heard of it
			}
			if len(names) == maxForgotten {
				names = append(names, "…")
				break
			}
			names = append(names, name)
		}
		p.warnings = append(p.warnings, message.New("%s goes with changes owed to it, which it will not be told: %d", old.servers[id].Name, owed[id]))
		if len(names) > 0 {
			p.warnings = append(p.warnings, message.New("what %s has of these stays there as it is: %s", old.servers[id].Name, strings.Join(names, ", ")))
		}
	}
	return nil
}

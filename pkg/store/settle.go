package store

import (
	"context"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// settle lets the nouns judge the outcome of the whole plan.
func (p *Planner) settle(ctx context.Context) error {
	for _, n := range p.Nouns() {
		if n.Settle == nil {
			continue
		}
		rows, err := p.settled(ctx, n)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			continue
		}
		changes := len(p.changes)
		if err := n.Settle(ctx, p, rows); err != nil {
			return err
		}
		if len(p.changes) > changes {
			return fault.New(fault.Internal, "the noun %s changes objects where it may only judge", n.Name)
		}
	}
	return nil
}

// settled returns the objects that a noun has to judge, those that still exist.
func (p *Planner) settled(ctx context.Context, n *noun.Noun) ([]noun.Row, error) {
	seen := map[int64]bool{}
	var ids []any
	add := func(id int64) {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	for _, change := range p.changes {
		if change.Noun == n.Name {
			add(change.ID)
		}
	}
	if n.IsAccount() {
		for _, id := range p.Written() {
			add(id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return p.Tx.Select(ctx, n.Name, noun.Where("id", ids...))
}

package store

import (
	"context"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// company finds the objects that go to another account together with row: those
// of its account that reference it, and those that reference these. It names
// what prevents the move: something that one of them uses and that stays, or
// something that stays and uses one of them. row is as it is to be.
func (p *Planner) company(ctx context.Context, row noun.Row, from int64) ([]noun.Row, error) {
	p.moving = map[object]bool{{row.Noun, row.ID}: true}
	all, written := []noun.Row{row}, []noun.Row(nil)
	var staying []noun.Row
	for i := 0; i < len(all); i++ {
		for _, dependent := range p.Registry().Dependents(all[i].Noun) {
			rows, err := p.Tx.Select(ctx, dependent.Noun.Name, noun.Where(dependent.Field.Name, all[i].ID))
			if err != nil {
				return nil, err
			}
			for _, other := range rows {
				owner, err := p.Account(ctx, other)
				if err != nil {
					return nil, err
				}
				if owner != from || p.moving[object{other.Noun, other.ID}] {
					continue
				}
				switch {
				case dependent.Field.Name == dependent.Noun.Owner:
					// Owned through what moves: nothing of its row changes.
				case len(p.Registry().OwnerPath(other.Noun)) == 2:
					written = append(written, other)
				default:
					staying = append(staying, other) // unless what owns it moves as well
					continue
				}
				p.moving[object{other.Noun, other.ID}] = true
				all = append(all, other)
			}
		}
	}
	for _, other := range staying {
		if !p.moving[object{other.Noun, other.ID}] {
			return nil, p.stays(row, other)
		}
	}
	for _, other := range all {
		if err := p.usesNothingElse(ctx, row, other, from); err != nil {
			return nil, err
		}
	}
	return written, nil
}

// usesNothingElse refuses the move where other references something of the old
// account that does not move.
func (p *Planner) usesNothingElse(ctx context.Context, row, other noun.Row, from int64) error {
	n := p.Noun(other.Noun)
	for _, f := range n.Fields {
		if f.Reference == "" || f.Name == n.Owner || other.Int(f.Name) == 0 || !f.Stored() {
			continue
		}
		target, err := p.get(ctx, f.Reference, other.Int(f.Name))
		if err != nil {
			return err
		}
		owner, err := p.Account(ctx, target)
		if err != nil {
			return err
		}
		if owner == from && !p.moving[object{target.Noun, target.ID}] {
			return fault.New(fault.Conflict, "%s %s can't go to another account: %s %s uses %s %s, which stays",
				row.Noun, p.nameOf(row), other.Noun, p.nameOf(other), target.Noun, p.nameOf(target)).
				WithHint("Move %s %s, or let %s %s use another.", target.Noun, p.nameOf(target),
					other.Noun, p.nameOf(other))
		}
	}
	return nil
}

func (p *Planner) stays(row, other noun.Row) error {
	return fault.New(fault.Conflict, "%s %s can't go to another account: %s %s uses it and stays",
		row.Noun, p.nameOf(row), other.Noun, p.nameOf(other))
}

// prevented names the object of the company that could not be moved.
func (p *Planner) prevented(row, other noun.Row, err error) error {
	return fault.New(fault.KindOf(err), "%s %s would have to go to the other account with %s %s",
		other.Noun, p.nameOf(other), row.Noun, p.nameOf(row)).Because(err)
}

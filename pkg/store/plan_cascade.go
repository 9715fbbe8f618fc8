package store

import (
	"context"
	"slices"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// scope is what the hooks of one change may write: cascades never cross accounts.
type scope struct {
	cause    string // "account acme"
	accounts []int64
}

// made records a change and what it brings with it. A change without Before
// and After only sends.
func (p *Planner) made(ctx context.Context, n *noun.Noun, change noun.Change, sent Sent, accounts ...int64) error {
	row := noun.Row{Noun: change.Noun, ID: change.ID, Values: change.After}
	if change.Before != nil || change.After != nil {
		p.changes = append(p.changes, change)
		p.world = p.world || n.World
		if change.After != nil {
			p.remember(row)
		}
	}
	if len(sent.Values) > 0 {
		sent.Noun, sent.ID, sent.Name, sent.Account = change.Noun, change.ID, change.Name, change.Account
		p.sent = append(p.sent, sent)
		if change.Account != 0 {
			p.written[change.Account] = true
		}
	}
	if n.Cascade == nil || change.Before == nil && change.After == nil {
		return nil
	}
	if p.scope == nil {
		p.scope = &scope{cause: change.Noun + " " + change.Name, accounts: accounts}
		defer func() { p.scope = nil }()
	}
	change.Before, change.After = change.Before.Clone(), change.After.Clone()
	return n.Cascade(ctx, p, change)
}

// touch counts an account as written, unless the change comes from a hook and
// the account is another one.
func (p *Planner) touch(ctx context.Context, row noun.Row, owner int64) error {
	if owner == 0 {
		return nil
	}
	if p.scope != nil && !slices.Contains(p.scope.accounts, owner) {
		return fault.New(fault.Conflict, "%s would change %s %s, which belongs to account %s",
			p.scope.cause, row.Noun, p.nameOf(row), p.accountName(ctx, owner))
	}
	p.written[owner] = true
	return nil
}

// accountName returns the name of an account for a message.
func (p *Planner) accountName(ctx context.Context, id int64) string {
	for _, n := range p.Registry().Nouns() {
		if n.IsAccount() {
			if row, err := p.get(ctx, n.Name, id); err == nil {
				return p.nameOf(row)
			}
		}
	}
	return noun.Integer{}.Format(id)
}

// Delete implements noun.Planner. The verb delete asks the noun's Guard before.
func (p *Planner) Delete(ctx context.Context, row noun.Row) error {
	root, err := p.get(ctx, row.Noun, row.ID)
	if err != nil {
		return err
	}
	d := deletion{planner: p, root: root, going: map[object]bool{}}
	defer func() {
		for going := range d.going {
			delete(p.deleting, going)
		}
	}()
	if d.owner, err = p.Account(ctx, root); err != nil {
		return err
	}
	if err := d.collect(ctx, root); err != nil {
		return err
	}
	if err := d.release(ctx); err != nil {
		return err
	}
	for _, going := range d.order {
		if err := d.remove(ctx, going); err != nil {
			return err
		}
	}
	return nil
}

// deletion is one object with all that goes with it.
type deletion struct {
	planner *Planner
	root    noun.Row
	owner   int64
	going   map[object]bool
	order   []noun.Row // those that reference come before what they reference
}

// collect finds what goes with row. A cascade to another account's object, or
// from nobody's to an account's, is refused.
func (d *deletion) collect(ctx context.Context, row noun.Row) error {
	p := d.planner
	d.going[object{row.Noun, row.ID}], p.deleting[object{row.Noun, row.ID}] = true, true
	for _, dependent := range p.Registry().Dependents(row.Noun) {
		if dependent.Field.OnDelete != noun.Cascade {
			continue
		}
		rows, err := p.Tx.Select(ctx, dependent.Noun.Name, noun.Where(dependent.Field.Name, row.ID))
		if err != nil {
			return err
		}
		for _, other := range rows {
			if d.going[object{other.Noun, other.ID}] {
				continue
			}
			if err := d.sameAccount(ctx, other); err != nil {
				return err
			}
			if err := d.collect(ctx, other); err != nil {
				return err
			}
		}
	}
	d.order = append(d.order, row)
	return nil
}

func (d *deletion) sameAccount(ctx context.Context, other noun.Row) error {
	p := d.planner
	owner, err := p.Account(ctx, other)
	if err != nil || owner == 0 || owner == d.owner {
		return err
	}
	return fault.New(fault.Conflict, "%s %s can't be deleted: %s %s of account %s depends on it",
		d.root.Noun, p.nameOf(d.root), other.Noun, p.nameOf(other), p.accountName(ctx, owner))
}

// release refuses the deletion where something that stays depends on what goes,
// and empties the references that may be forgotten.
func (d *deletion) release(ctx context.Context) error {
	p := d.planner
	for _, row := range d.order {
		var holders []string
		for _, dependent := range p.Registry().Dependents(row.Noun) {
			if dependent.Field.OnDelete == noun.Cascade {
				continue
			}
			rows, err := p.Tx.Select(ctx, dependent.Noun.Name, noun.Where(dependent.Field.Name, row.ID))
			if err != nil {
				return err
			}
			for _, other := range rows {
				if d.going[object{other.Noun, other.ID}] {
					continue
				}
				if dependent.Field.OnDelete == noun.Restrict {
					holders = append(holders, other.Noun+" "+p.nameOf(other))
					continue
				}
				if err := d.sameAccount(ctx, other); err != nil {
					return err
				}
				if _, err := p.Set(ctx, other, noun.Values{dependent.Field.Name: nil}); err != nil {
					return err
				}
			}
		}
		if len(holders) > 0 {
			noun, name, _ := strings.Cut(holders[0], " ")
			return fault.New(fault.Conflict, "%s %s can't be deleted: it is used by %s",
				row.Noun, p.nameOf(row), some(holders)).
				WithHint("what uses it goes first, or is changed: orchestra %s delete %s, or orchestra %s set %s …", noun, name, noun, name)
		}
	}
	return nil
}

// some names the first of many.
func some(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + ", +" + noun.Integer{}.Format(int64(len(names)-most))
}

func (d *deletion) remove(ctx context.Context, going noun.Row) error {
	p := d.planner
	table, err := p.table(going.Noun)
	if err != nil {
		return err
	}
	// A hook may have deleted or changed it meanwhile.
	row, err := p.get(ctx, going.Noun, going.ID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	owner, err := p.Account(ctx, row)
	if err != nil {
		return err
	}
	if err := p.touch(ctx, row, owner); err != nil {
		return err
	}
	if err := p.deleteRow(ctx, table, row.ID); err != nil {
		return err
	}
	p.forget(row)
	return p.made(ctx, table.noun, noun.Change{
		Noun: row.Noun, ID: row.ID, Name: p.nameOf(row), Account: owner, Before: row.Values,
	}, Sent{}, owner)
}

package store

import (
	"context"
	"fmt"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// Apply writes journaled changes, in order. A row that is not as its change
// says it was before is a fault of kind Conflict: then nothing of this
// transaction may be committed.
func (t *Tx) Apply(ctx context.Context, changes []noun.Change) error {
	for _, change := range changes {
		if err := t.apply(ctx, change); err != nil {
			return fmt.Errorf("%s %s: %w", change.Noun, change.Name, err)
		}
	}
	return nil
}

func (t *Tx) apply(ctx context.Context, change noun.Change) error {
	table, err := t.table(change.Noun)
	if err != nil {
		return err
	}
	row := noun.Row{Noun: change.Noun, ID: change.ID, Values: change.After}
	if change.Before == nil {
		if change.After == nil {
			return nil
		}
		return t.insertRow(ctx, table, row)
	}
	found, err := t.read(ctx, table, table.all+" WHERE id = ?", change.ID)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fault.New(fault.Conflict, "%s %s exists no longer", change.Noun, change.Name)
	}
	for _, c := range table.columns {
		if !noun.EqualValue(found[0].Values[c.field.Name], change.Before[c.field.Name]) {
			return fault.New(fault.Conflict, "%s %s was changed meanwhile", change.Noun, change.Name).
				About(change.Noun + "." + c.field.Name)
		}
	}
	if change.After == nil {
		return t.deleteRow(ctx, table, change.ID)
	}
	return t.updateRow(ctx, table, row)
}

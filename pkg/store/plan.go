package store

import (
	"context"
	"errors"
)

// errPlanned rolls the savepoint of a plan back.
var errPlanned = errors.New("planned")

// Plan runs mutate with a Planner in a savepoint that is always rolled back:
// nothing of it stays but what the Planner gathered. What needs the state after
// the changes, such as facts, is computed inside mutate.
func (t *Tx) Plan(ctx context.Context, mutate func(context.Context, *Planner) error) (*Planner, error) {
	planner := NewPlanner(t)
	err := t.Savepoint(ctx, func(ctx context.Context) error {
		if err := mutate(ctx, planner); err != nil {
			return err
		}
		if err := planner.settle(ctx); err != nil {
			return err
		}
		return errPlanned
	})
	if !errors.Is(err, errPlanned) {
		return nil, err
	}
	if err != errPlanned { //nolint:errorlint // anything around it says that the rollback failed
		return nil, err
	}
	return planner, nil
}

package operation

import (
	"context"
	"fmt"
	"slices"

	"orchestra/pkg/message"
	"orchestra/pkg/store"
)

// atWork notices operations that change servers while these are compared: no lock
// keeps them away, since nobody waits for a look.
type atWork struct {
	open []store.Operation // when it began
	last int64             // the newest operation then
}

func (w *atWork) before(ctx context.Context, tx *store.Tx) error {
	newest, err := tx.Operations(ctx, store.LogQuery{Limit: 1})
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	for _, operation := range newest {
		w.last = operation.Number
	}
	w.open, err = tx.OpenOperations(ctx)
	return err
}

// meanwhile says of servers that differ which operation may be why.
func (w *atWork) meanwhile(ctx context.Context, tx *store.Tx, servers []ServerDifferences) ([]message.Text, error) {
	begun, err := tx.OperationsAfter(ctx, w.last)
	if err != nil {
		return nil, err
	}
	var warnings []message.Text
	for _, server := range servers {
		if !server.Differs() {
			continue
		}
		for _, operation := range append(slices.Clone(w.open), begun...) {
			if slices.ContainsFunc(operation.Servers, func(s store.OperationServer) bool {
				return s.Name == server.Server && (operation.Number > w.last || s.Outcome == store.OutcomeOpen)
			}) {
				warnings = append(warnings, message.New("%s: operation %d (%s) was at work there: what differs may be its doing", server.Server, operation.Number, operation.Command))
			}
		}
	}
	return warnings, nil
}

package operation

import (
	"context"
	"fmt"

	"orchestra/pkg/noun"
)

// facts returns what backends are told about rows, all of one noun, in their
// order: what the noun computes, or all fields that are not secret with
// references by name. The number of statements does not grow with the rows.
func facts(ctx context.Context, view noun.View, name string, rows []noun.Row) ([]noun.Facts, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	if view.Noun(name) == nil {
		return nil, fmt.Errorf("there is no noun %s", name)
	}
	computed, err := noun.FactsOf(ctx, view, rows)
	if err == nil && len(computed) != len(rows) {
		err = fmt.Errorf("%d facts for %d objects", len(computed), len(rows))
	}
	if err != nil {
		return nil, fmt.Errorf("computing the facts of %s: %w", name, err)
	}
	return computed, nil
}

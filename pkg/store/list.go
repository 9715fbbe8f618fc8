package store

import (
	"context"

	"orchestra/pkg/noun"
)

// Query says which rows of a noun List returns, and what of them.
type Query struct {
	Filter  string   // an expression over the noun's fields; "" for all
	Sort    []string // fields, "-field" downwards; none: by the key
	Limit   int      // 0 for all
	Columns []string // fields wanted; none: all that are not secret
	Account string   // only objects of the account of that name; "" for all
}

// List returns rows whose references are names, with computed fields. The
// number of statements does not depend on the number of rows.
func (t *Tx) List(ctx context.Context, name string, query Query) ([]noun.Row, error) {
	panic("todo")
}

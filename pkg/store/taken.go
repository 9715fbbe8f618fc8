package store

import (
	"context"
	"database/sql"
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

// taken turns a violated uniqueness into a fault that names the field and who
// has the value. Other errors pass as they are.
func (t *Tx) taken(ctx context.Context, table *table, row noun.Row, err error) error {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
	default:
		return err
	}
	for _, index := range table.indexes() {
		if !index.unique {
			continue
		}
		value := encode(row.Values[index.field])
		var holder string
		scanned := t.QueryRow(ctx, "SELECT "+table.key+" FROM "+table.name+" WHERE "+quote(index.field)+
			" = ? AND id <> ?", value, row.ID).Scan(&holder)
		if errors.Is(scanned, sql.ErrNoRows) {
			continue
		}
		if scanned != nil {
			return scanned
		}
		about := table.noun.Name + "." + index.field
		if index.field == table.noun.Key {
			return fault.New(fault.Conflict, "there is a %s %q already", table.noun.Name, holder).About(about).
				WithHint("orchestra %s show %s", table.noun.Name, holder)
		}
		field, _ := table.noun.Field(index.field)
		return fault.New(fault.Conflict, "%q is taken by %s %s", noun.Excerpt(field.Format(row.Values[index.field])),
			table.noun.Name, holder).About(about).WithHint("orchestra %s show %s", table.noun.Name, holder)
	}
	return fault.New(fault.Conflict, "there is a %s with the number %d already", table.noun.Name, row.ID)
}

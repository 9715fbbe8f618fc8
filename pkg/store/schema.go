package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"

	"orchestra/pkg/noun"
)

// schema is what follows from the declarations for the database.
type schema struct {
	tables map[string]*table // by noun
	order  []*table          // referenced ones first, where there is no circle
	hash   string
}

// table is the table of one noun.
type table struct {
	noun    *noun.Noun
	name    string // the plural, quoted
	columns []column
	key     string       // quoted
	path    []*noun.Noun // up to the account
	fields  []noun.Field // all, computed ones too
	// Statements that do not depend on what is asked.
	all, insert, update, remove string
}

// column is one stored field.
type column struct {
	field    noun.Field
	name     string // quoted
	holds    noun.Holds
	sqlType  string
	required bool
}

// index is one index that follows from a field.
type index struct {
	name, statement string
	unique          bool
	field           string
}

func newSchema(registry *noun.Registry) (*schema, error) {
	s := &schema{tables: make(map[string]*table, len(registry.Nouns()))}
	for _, n := range registry.Nouns() {
		t := newTable(registry, n)
		s.tables[n.Name] = t
		s.order = append(s.order, t)
	}
	sum := sha256.New()
	for _, t := range s.order {
		for _, statement := range t.create(s) {
			sum.Write([]byte(statement))
			sum.Write([]byte{0})
		}
	}
	s.hash = hex.EncodeToString(sum.Sum(nil))
	return s, nil
}

func newTable(registry *noun.Registry, n *noun.Noun) *table {
	t := &table{noun: n, name: tableName(n), key: quote(n.Key), path: registry.OwnerPath(n.Name), fields: n.AllFields()}
	for _, f := range t.fields {
		if !f.Stored() {
			continue
		}
		c := column{field: f, name: quote(f.Name), holds: f.Holds(), sqlType: "TEXT", required: f.Name == n.Key}
		switch c.holds {
		case noun.HoldsInteger, noun.HoldsBoolean, noun.HoldsReference:
			c.sqlType = "INTEGER"
		}
		t.columns = append(t.columns, c)
	}
	names := make([]string, len(t.columns))
	sets := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i], sets[i] = c.name, c.name+" = ?"
	}
	list := strings.Join(names, ", ")
	t.all = "SELECT id, " + list + " FROM " + t.name
	t.insert = "INSERT INTO " + t.name + " (id, " + list + ") VALUES (?" + strings.Repeat(", ?", len(names)) + ")"
	t.update = "UPDATE " + t.name + " SET " + strings.Join(sets, ", ") + " WHERE id = ?"
	t.remove = "DELETE FROM " + t.name + " WHERE id = ?"
	return t
}

// tableName returns the quoted name of a noun's table. Names of nouns are
// words of lower-case letters: checked by the registry.
func tableName(n *noun.Noun) string { return quote(strings.ReplaceAll(n.Plural, "-", "_")) }

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// definition returns the column as CREATE TABLE and ADD COLUMN take it. Only the
// key is NOT NULL: what is added to a table with rows can't be, and both ways
// are to end in the same table.
func (c column) definition(s *schema) string {
	text := c.name + " " + c.sqlType
	if c.required {
		text += " NOT NULL"
	}
	if c.holds == noun.HoldsReference {
		text += " REFERENCES " + s.tables[c.field.Reference].name + " (id)"
	}
	return text
}

// create returns the statements that make the table from nothing.
func (t *table) create(s *schema) []string {
	lines := []string{"id INTEGER PRIMARY KEY"}
	for _, c := range t.columns {
		lines = append(lines, c.definition(s))
	}
	statements := []string{"CREATE TABLE " + t.name + " (\n    " + strings.Join(lines, ",\n    ") + "\n) STRICT"}
	for _, i := range t.indexes() {
		statements = append(statements, i.statement)
	}
	return statements
}

// indexes returns those of unique fields, and of references, which deletions
// look up backwards.
func (t *table) indexes() []index {
	var indexes []index
	for _, c := range t.columns {
		unique := c.required || c.field.Unique
		if !unique && c.holds != noun.HoldsReference {
			continue
		}
		i := index{name: strings.Trim(t.name, `"`) + "_" + c.field.Name, unique: unique, field: c.field.Name}
		kind := "INDEX "
		if unique {
			kind = "UNIQUE INDEX "
		}
		i.statement = "CREATE " + kind + quote(i.name) + " ON " + t.name + " (" + c.name + ")"
		indexes = append(indexes, i)
	}
	return indexes
}

// extend adds the tables, columns and indexes that are missing. Whatever else
// differs is the affair of a numbered migration.
func (s *schema) extend(ctx context.Context, tx *sql.Tx) error {
	for _, t := range s.order {
		have, err := columnsOf(ctx, tx, t.name)
		if err != nil {
			return err
		}
		statements := t.create(s)
		if len(have) > 0 {
			statements = nil
			for _, c := range t.columns {
				if !have[c.field.Name] {
					statements = append(statements, "ALTER TABLE "+t.name+" ADD COLUMN "+c.definition(s))
				}
			}
			missing, err := t.missingIndexes(ctx, tx)
			if err != nil {
				return err
			}
			statements = append(statements, missing...)
		}
		for _, statement := range statements {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("extend the schema by %s: %w", statement, err)
			}
		}
	}
	_, err := tx.ExecContext(ctx,
		"INSERT INTO system_schema (id, hash) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET hash = excluded.hash", s.hash)
	return err
}

func (t *table) missingIndexes(ctx context.Context, tx *sql.Tx) ([]string, error) {
	have := map[string]bool{}
	rows, err := tx.QueryContext(ctx, "SELECT name FROM sqlite_schema WHERE type = 'index'")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		have[name] = true
	}
	var missing []string
	for _, i := range t.indexes() {
		if !have[i.name] {
			missing = append(missing, i.statement)
		}
	}
	return missing, rows.Err()
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// columnsOf returns the columns of a table, none where there is no such table.
func columnsOf(ctx context.Context, db querier, table string) (map[string]bool, error) {
	rows, err := db.QueryContext(ctx, "SELECT name FROM pragma_table_info(?)", strings.Trim(table, `"`))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	columns := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		columns[name] = true
	}
	return columns, rows.Err()
}

// refuseNewer refuses a database whose tables know fields that this program
// does not: it would write rows without them.
func (s *schema) refuseNewer(ctx context.Context, db *sql.DB) error {
	for _, t := range s.order {
		have, err := columnsOf(ctx, db, t.name)
		if err != nil {
			return err
		}
		delete(have, "id")
		for _, c := range t.columns {
			delete(have, c.field.Name)
		}
		if len(have) > 0 {
			return newer(mainFile(ctx, db))
		}
	}
	return nil
}

func mainFile(ctx context.Context, db *sql.DB) (file string) {
	_ = db.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&file) // for a message
	return file
}

package store

import (
	"context"
	"database/sql"
	"fmt"
	"sort"
	"strings"
)

// Dump returns the whole content of the database as text, table by table.
func (s *Store) Dump(ctx context.Context) (string, error) {
	return dump(ctx, s.db)
}

// DB returns the pool, to do by hand what the store would not.
func (s *Store) DB() *sql.DB { return s.db }

// SchemaHash returns the hash of the declarations.
func (s *Store) SchemaHash() string { return s.schema.hash }

// Latest returns the version that the embedded migrations lead to.
func Latest() (int, error) { return latest() }

// Connect opens a file with our pragmas.
func Connect(path string) (*sql.DB, error) { return connect(path) }

func dump(ctx context.Context, db querier) (string, error) {
	tables, err := texts(ctx, db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, table := range tables {
		rows, err := db.QueryContext(ctx, "SELECT * FROM "+quote(table))
		if err != nil {
			return "", err
		}
		columns, err := rows.Columns()
		if err != nil {
			return "", err
		}
		var lines []string
		cells, pointers := buffer(len(columns))
		for rows.Next() {
			if err := rows.Scan(pointers...); err != nil {
				return "", err
			}
			lines = append(lines, fmt.Sprintf("%s%#v", table, cells))
		}
		if err := rows.Err(); err != nil {
			return "", err
		}
		_ = rows.Close()
		sort.Strings(lines)
		out.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return out.String(), nil
}

// Schema returns the statements of the schema, sorted by kind and name.
func (s *Store) Schema(ctx context.Context) (string, error) {
	statements, err := texts(ctx, s.db, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name")
	return strings.Join(statements, ";\n\n") + ";\n", err
}

func texts(ctx context.Context, db querier, query string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var found []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		found = append(found, text)
	}
	return found, rows.Err()
}

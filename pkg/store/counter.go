package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Counter returns the last number that a counter gave, 0 where it gave none.
func (t *Tx) Counter(ctx context.Context, name string) (int64, error) {
	var last int64
	err := t.QueryRow(ctx, "SELECT last FROM system_counters WHERE name = ?", name).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return last, err
}

// SetCounters makes counters durable: each becomes the greater of what it was
// and what is given, so that it never goes back.
func (t *Tx) SetCounters(ctx context.Context, last map[string]int64) error {
	for _, name := range slices.Sorted(maps.Keys(last)) {
		if _, err := t.Exec(ctx, `INSERT INTO system_counters (name, last) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET last = MAX(last, excluded.last)`, name, last[name]); err != nil {
			return fmt.Errorf("counter %s: %w", name, err)
		}
	}
	return nil
}

// DeclaredCounters returns the last numbers of the counters of all nouns: those of
// their ids, and those of their fields. Counters of single objects are not
// among them: there are as many as objects.
func (t *Tx) DeclaredCounters(ctx context.Context) (map[string]int64, error) {
	var names []string
	for _, table := range t.store.schema.order {
		names = append(names, idCounter(table.noun.Name))
		for _, c := range table.columns {
			if c.field.Counter != "" {
				names = append(names, c.field.Counter)
			}
		}
	}
	list, err := json.Marshal(names)
	if err != nil {
		return nil, wrap(err, "reading the counters")
	}
	counters := map[string]int64{}
	err = t.each(ctx, func(rows *sql.Rows) error {
		var name string
		var last int64
		err := rows.Scan(&name, &last)
		counters[name] = last
		return err
	}, "SELECT name, last FROM system_counters WHERE name IN (SELECT value FROM json_each(?))", string(list))
	return counters, err
}

// idCounter returns the counter that numbers the objects of a noun.
func idCounter(noun string) string { return "id." + noun }

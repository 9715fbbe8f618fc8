package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"
)

// Placement says that an object is on a server, by one backend.
type Placement struct {
	Noun    string
	Object  int64
	Backend string
	Server  int64
}

// Placements returns where objects of a noun are; of all its objects where ids
// is nil. One statement.
func (t *Tx) Placements(ctx context.Context, noun string, ids []int64) ([]Placement, error) {
	query := "SELECT object, backend, server FROM system_placement WHERE noun = ?"
	args := []any{noun}
	if ids != nil {
		list, err := json.Marshal(ids)
		if err != nil {
			return nil, wrap(err, "reading placements")
		}
		query += " AND object IN (SELECT value FROM json_each(?))"
		args = append(args, string(list))
	}
	var placements []Placement
	err := t.each(ctx, func(rows *sql.Rows) error {
		placement := Placement{Noun: noun}
		err := rows.Scan(&placement.Object, &placement.Backend, &placement.Server)
		placements = append(placements, placement)
		return err
	}, query, args...)
	return placements, err
}

// Places implements noun.View.
func (t *Tx) Places(ctx context.Context, noun string, id int64) (map[string][]int64, error) {
	placed, err := t.Placements(ctx, noun, []int64{id})
	if err != nil {
		return nil, err
	}
	places := map[string][]int64{}
	for _, one := range placed {
		places[one.Backend] = append(places[one.Backend], one.Server)
	}
	return places, nil
}

// Place records that objects are on servers now.
func (t *Tx) Place(ctx context.Context, placements []Placement) error {
	for _, p := range placements {
		_, err := t.Exec(ctx, "INSERT OR IGNORE INTO system_placement (noun, object, backend, server) VALUES (?, ?, ?, ?)",
			p.Noun, p.Object, p.Backend, p.Server)
		if err != nil {
			return wrap(err, "recording placements")
		}
	}
	return nil
}

// Unplace records that objects are on servers no longer.
func (t *Tx) Unplace(ctx context.Context, placements []Placement) error {
	for _, p := range placements {
		_, err := t.Exec(ctx, "DELETE FROM system_placement WHERE noun = ? AND object = ? AND backend = ? AND server = ?",
			p.Noun, p.Object, p.Backend, p.Server)
		if err != nil {
			return wrap(err, "recording placements")
		}
	}
	return nil
}

// ForgetServer removes all that is known of a server that exists no longer.
func (t *Tx) ForgetServer(ctx context.Context, server int64) error {
	for _, query := range []string{
		"DELETE FROM system_placement WHERE server = ?",
		"DELETE FROM system_dirty WHERE server = ?",
		"DELETE FROM system_debt WHERE server = ?",
		"DELETE FROM system_outage WHERE server = ?",
	} {
		if _, err := t.Exec(ctx, query, server); err != nil {
			return wrap(err, "forgetting a server")
		}
	}
	return nil
}

// Dirty says that a server has not heard of an object's last change yet.
type Dirty struct {
	Server  int64
	Backend string
	Noun    string
	Object  int64
	Name    string
	Account int64
	// Version is the number of the operation that left the mark.
	Version int64
	// Facts are the last ones that the server has heard of the object, without
	// secrets; nil where it has heard of none.
	Facts map[string]any
	Since time.Time
}

// DirtyMarks returns the marks of servers, of all of them where servers is nil.
func (t *Tx) DirtyMarks(ctx context.Context, servers []int64) ([]Dirty, error) {
	query := "SELECT server, backend, noun, object, name, account, version, facts, since FROM system_dirty"
	var args []any
	if servers != nil {
		list, err := json.Marshal(servers)
		if err != nil {
			return nil, wrap(err, "reading dirty marks")
		}
		query += " WHERE server IN (SELECT value FROM json_each(?))"
		args = append(args, string(list))
	}
	var marks []Dirty
	err := t.each(ctx, func(rows *sql.Rows) error {
		var mark Dirty
		var facts sql.NullString
		var since string
		err := rows.Scan(&mark.Server, &mark.Backend, &mark.Noun, &mark.Object, &mark.Name, &mark.Account, &mark.Version, &facts, &since)
		if err != nil {
			return err
		}
		mark.Since = parseTime(since)
		if facts.Valid {
			values, err := decodeValues(facts.String)
			if err != nil {
				return err
			}
			mark.Facts = values
		}
		marks = append(marks, mark)
		return nil
	}, query+" ORDER BY server, version, backend, noun, object", args...)
	return marks, err
}

// MarkDirty leaves marks. A newer one takes the place of an older one, but for
// what the server knows of the object.
func (t *Tx) MarkDirty(ctx context.Context, marks []Dirty) error {
	for _, mark := range marks {
		var facts any
		if mark.Facts != nil {
			text, err := json.Marshal(mark.Facts)
			if err != nil {
				return wrap(err, "leaving a dirty mark")
			}
			facts = string(text)
		}
		_, err := t.Exec(ctx, `INSERT INTO system_dirty (server, backend, noun, object, name, account, version, facts, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET name = excluded.name, account = excluded.account, version = excluded.version, since = excluded.since`,
			mark.Server, mark.Backend, mark.Noun, mark.Object, mark.Name, mark.Account, mark.Version, facts, formatTime(t.instant()))
		if err != nil {
			return wrap(err, "leaving a dirty mark")
		}
	}
	return nil
}

// Clean removes marks that are of the versions given; a mark that was left
// meanwhile stays.
func (t *Tx) Clean(ctx context.Context, marks []Dirty) error {
	for _, mark := range marks {
		_, err := t.Exec(ctx, "DELETE FROM system_dirty WHERE server = ? AND backend = ? AND noun = ? AND object = ? AND version <= ?",
			mark.Server, mark.Backend, mark.Noun, mark.Object, mark.Version)
		if err != nil {
			return wrap(err, "removing a dirty mark")
		}
	}
	return nil
}

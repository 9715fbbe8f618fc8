package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"
)

// Outage says since when a server has been out of reach, and when it was last tried.
type Outage struct{ Since, Tried time.Time }

// Outages returns the servers that were out of reach when they were last tried.
func (t *Tx) Outages(ctx context.Context) (map[int64]Outage, error) {
	outages := map[int64]Outage{}
	err := t.each(ctx, func(rows *sql.Rows) error {
		var server, since, tried int64
		err := rows.Scan(&server, &since, &tried)
		outages[server] = Outage{Since: time.UnixMicro(since), Tried: time.UnixMicro(tried)}
		return err
	}, "SELECT server, since, tried FROM system_outage")
	return outages, err
}

// BeginOutages records that servers were tried now and are out of reach. What
// began in the future, by a clock that was set back, begins now.
func (t *Tx) BeginOutages(ctx context.Context, servers []int64, now time.Time) error {
	for _, server := range servers {
		_, err := t.Exec(ctx, `INSERT INTO system_outage (server, since, tried) VALUES (?1, ?2, ?2)
			ON CONFLICT (server) DO UPDATE SET since = MIN(since, excluded.since), tried = excluded.tried`, server, now.UnixMicro())
		if err != nil {
			return wrap(err, "recording a server out of reach")
		}
	}
	return nil
}

// EndOutages records that servers have answered.
func (t *Tx) EndOutages(ctx context.Context, servers []int64) error {
	if len(servers) == 0 {
		return nil
	}
	list, err := json.Marshal(servers)
	if err == nil {
		_, err = t.Exec(ctx, "DELETE FROM system_outage WHERE server IN (SELECT value FROM json_each(?))", string(list))
	}
	return wrap(err, "recording a server that has answered")
}

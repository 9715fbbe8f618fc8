package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"

	"orchestra/pkg/message"
	"orchestra/pkg/noun"
)

// maxProblems bounds what SQLite's own checks report.
const maxProblems = 100

// Check looks for damage and for what should not be, and changes nothing. Its
// cost grows with the database.
func (s *Store) Check(ctx context.Context) ([]noun.Finding, error) {
	var findings []noun.Finding
	err := s.View(ctx, func(t *Tx) error {
		checks := []func(context.Context, *Tx) ([]noun.Finding, error){
			checkIntegrity, checkReferences, checkOwners, checkCounters,
		}
		for _, check := range checks {
			found, err := check(ctx, t)
			if err != nil {
				return err
			}
			findings = append(findings, found...)
		}
		for _, n := range s.Registry().Nouns() {
			if n.Check == nil {
				continue
			}
			found, err := n.Check(ctx, t)
			if err != nil {
				return fmt.Errorf("check %s: %w", n.Plural, err)
			}
			findings = append(findings, found...)
		}
		return nil
	})
	return findings, err
}

func checkIntegrity(ctx context.Context, t *Tx) ([]noun.Finding, error) {
	answer, err := t.Query(ctx, "PRAGMA integrity_check("+strconv.Itoa(maxProblems)+")")
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Close() }()
	var findings []noun.Finding
	for answer.Next() {
		var line string
		if err := answer.Scan(&line); err != nil {
			return nil, err
		}
		if line != "ok" {
			findings = append(findings, noun.Finding{Severe: true, Text: message.New("the database is damaged: %s", line)})
		}
	}
	return findings, answer.Err()
}

// checkReferences finds rows that reference what does not exist.
func checkReferences(ctx context.Context, t *Tx) ([]noun.Finding, error) {
	answer, err := t.Query(ctx, "SELECT \"table\", rowid, parent FROM pragma_foreign_key_check LIMIT "+strconv.Itoa(maxProblems))
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Close() }()
	var findings []noun.Finding
	for answer.Next() {
		var table, parent string
		var id sql.NullInt64
		if err := answer.Scan(&table, &id, &parent); err != nil {
			return nil, err
		}
		findings = append(findings, noun.Finding{
			Severe: true,
			Text:   message.New("row %d of %s references a row of %s that does not exist", id.Int64, table, parent),
		})
	}
	return findings, answer.Err()
}

// checkOwners finds orphans: objects that belong to an account and have none.
func checkOwners(ctx context.Context, t *Tx) ([]noun.Finding, error) {
	var findings []noun.Finding
	for _, table := range t.store.schema.order {
		n := table.noun
		owner, ok := n.Field(n.Owner)
		if !ok || !owner.Required {
			continue
		}
		rows, err := t.Select(ctx, n.Name, noun.Where(n.Owner, nil))
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			findings = append(findings, noun.Finding{
				Severe: true, Noun: n.Name, Name: row.Text(n.Key),
				Text: message.New("%s %s belongs to no %s", n.Name, row.Text(n.Key), owner.Reference),
			})
		}
	}
	return findings, nil
}

// checkCounters finds numbers that a counter would give a second time.
func checkCounters(ctx context.Context, t *Tx) ([]noun.Finding, error) {
	var findings []noun.Finding
	for _, table := range t.store.schema.order {
		counters := map[string]string{idCounter(table.noun.Name): "id"}
		for _, c := range table.columns {
			if c.field.Counter != "" {
				counters[c.field.Counter] = c.field.Name
			}
		}
		for counter, field := range counters {
			last, err := t.Counter(ctx, counter)
			if err != nil {
				return nil, err
			}
			var highest sql.NullInt64
			if err := t.QueryRow(ctx, "SELECT MAX("+quote(field)+") FROM "+table.name).Scan(&highest); err != nil {
				return nil, err
			}
			if highest.Int64 > last {
				findings = append(findings, noun.Finding{
					Severe: true, Noun: table.noun.Name,
					Text: message.New("%s of %s has reached %d, but its counter says %d", field, table.noun.Plural,
						highest.Int64, last),
				})
			}
		}
	}
	return findings, nil
}

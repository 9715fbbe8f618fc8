package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"orchestra/pkg/noun"
)

// Claim is a unique value: no other operation may use it until its holder has
// ended, whichever way that ends.
type Claim struct{ Kind, Value string }

// claims returns what changes claim: each object itself, and every unique
// value that comes or goes. One that goes is claimed too: it comes back where
// the operation is undone.
func (t *Tx) claims(changes []noun.Change) []Claim {
	seen := make(map[Claim]bool, 3*len(changes))
	claims := make([]Claim, 0, 3*len(changes))
	claim := func(kind string, value any) {
		if value == nil || value == "" {
			return
		}
		c := Claim{Kind: kind, Value: fmt.Sprint(value)}
		if !seen[c] {
			seen[c] = true
			claims = append(claims, c)
		}
	}
	for _, change := range changes {
		claim(change.Noun+".id", change.ID)
		declared := t.Noun(change.Noun)
		if declared == nil {
			continue
		}
		if declared.Claims != nil {
			for _, value := range declared.Claims(change) {
				claim(change.Noun, value)
			}
		}
		for _, field := range declared.Fields {
			if !field.Unique && field.Name != declared.Key && field.Counter == "" {
				continue
			}
			before, after := change.Before[field.Name], change.After[field.Name]
			if before != after || change.Before == nil || change.After == nil {
				claim(change.Noun+"."+field.Name, before)
				claim(change.Noun+"."+field.Name, after)
			}
		}
	}
	return claims
}

// ClaimHolders returns the operations, not ended, that hold a claim which
// changes need, with one value for each to tell it by.
func (t *Tx) ClaimHolders(ctx context.Context, changes []noun.Change) (map[int64]Claim, error) {
	holders := map[int64]Claim{}
	var any bool
	if err := t.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM system_claim)").Scan(&any); err != nil || !any {
		return holders, wrap(err, "looking for claims")
	}
	for _, claim := range t.claims(changes) {
		var holder int64
		err := t.QueryRow(ctx, "SELECT operation FROM system_claim WHERE kind = ? AND value = ?", claim.Kind, claim.Value).Scan(&holder)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, wrap(err, "looking for claims")
		}
		if _, known := holders[holder]; !known {
			holders[holder] = claim
		}
	}
	return holders, nil
}

func (t *Tx) insertClaims(ctx context.Context, number int64, changes []noun.Change) error {
	for _, claim := range t.claims(changes) {
		_, err := t.Exec(ctx, "INSERT INTO system_claim (kind, value, operation) VALUES (?, ?, ?)", claim.Kind, claim.Value, number)
		if err != nil {
			return wrap(err, "claiming "+claim.Kind+" "+claim.Value)
		}
	}
	return nil
}

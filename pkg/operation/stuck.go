package operation

import (
	"context"
	"errors"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// An operation that can't come to its end on a server stays open, and blocks that
// server and its accounts. Whoever hears of it must hear what ends it, too: recover
// alone would say the same for ever where somebody has to do something first.

// maxBlocked is how many accounts are named.
const maxBlocked = 5

// noteBlocked reads, in the transaction that leaves the operation open, the names of
// the accounts that it keeps from others.
func (r *run) noteBlocked(ctx context.Context, tx *store.Tx) {
	r.blocked = nil
	for _, account := range r.operation.Accounts {
		if account.Shared {
			continue
		}
		if len(r.blocked) == maxBlocked {
			r.blocked = append(r.blocked, "…")
			return
		}
		if name := accountName(ctx, tx, account.Account); name != "" {
			r.blocked = append(r.blocked, name)
		}
	}
}

// blockedText says what waits until the operation ends.
func (r *run) blockedText() message.Text {
	if len(r.blocked) == 0 {
		return message.New("until it ends, nothing else can be changed there")
	}
	return message.New("until it ends, nothing else can be changed there, nor of %s", strings.Join(r.blocked, ", "))
}

// stuck adds to the fault of an operation that stays open because of servers what
// ends that.
func (r *run) stuck(told *fault.Error, errs map[int64]error) error {
	var away []string
	changed := false
	for _, id := range sortedKeys(errs) {
		var lost *lostError
		var refused *refusedError
		switch {
		case errors.As(errs[id], &lost) && !fault.Is(errs[id], fault.Conflict):
			away = append(away, r.plan.servers[id].Name)
		case errors.As(errs[id], &refused) && refused.failure.Code == wire.CodeChanged:
			changed = true
		case fault.Is(errs[id], fault.Conflict): // another host key, say: it knows best
			if hint := fault.HintOf(errs[id]); !hint.IsZero() {
				told.Hint = hint
				return told
			}
		}
	}
	switch {
	case changed:
		return told.WithHint("make what is named either what it was or what it would have become, by hand on the server; then: %s", "orchestra recover")
	case len(away) > 0:
		return told.WithHint("bring %s back, then: %s; where it stays away: %s, then %s",
			strings.Join(away, ", "), "orchestra recover", "orchestra server disable "+away[0], "orchestra recover")
	}
	return told.WithHint("orchestra recover")
}

func (r *run) serverNames(errs map[int64]error) []string {
	var names []string
	for _, id := range sortedKeys(errs) {
		names = append(names, r.plan.servers[id].Name)
	}
	return names
}

package operation

import (
	"context"

	"orchestra/pkg/fault"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// checkHello refuses a server that does not follow this database. It follows
// it where it names this panel and a sequence that this database gave out: a
// database that was restored from a backup does not know the later ones, and
// never gives them out again.
func (r *run) checkHello(ctx context.Context, s *session, hello wire.Hello) error {
	state := r.states[s.server.ID]
	switch {
	case hello.PanelID == "" && state.Seen == 0:
		return nil // first contact
	case hello.PanelID == "":
		return refuseServer(s.server, "the server %s knows nothing of this panel any more: it was installed anew, or restored")
	case hello.PanelID != r.panel:
		return refuseServer(s.server, "the server %s follows another panel")
	}
	if known, err := r.knowsOpen(ctx, hello.Open); err != nil || !known {
		if err != nil {
			return err
		}
		return refuseServer(s.server, restored)
	}
	if hello.Sequence == state.Seen {
		return nil
	}
	// A sequence of this very operation is a stranger's too, before it was sent.
	except := r.operation.ID
	if s.sent {
		except = ""
	}
	var known bool
	err := r.c.view(ctx, r.store, func(tx *store.Tx) error {
		var err error
		known, err = tx.KnowsSequence(ctx, s.server.ID, hello.Sequence, except)
		return err
	})
	if err != nil {
		return err
	}
	if !known {
		return refuseServer(s.server, restored)
	}
	return nil
}

const restored = "the server %s has heard of operations that this database does not know: it was restored from a backup"

// maxOpen is how many of a server's open operations are looked up. They are few:
// a panel ends one before it begins the next on the same objects.
const maxOpen = 1000

// knowsOpen tells whether this database knows the operations that are open on a
// server that follows it. One may be there before its sequence is: a server
// that crashed in between has only that to show.
func (r *run) knowsOpen(ctx context.Context, open []wire.OpenOperation) (bool, error) {
	if len(open) == 0 {
		return true, nil
	}
	known := true
	err := r.c.view(ctx, r.store, func(tx *store.Tx) error {
		for _, one := range open[:min(len(open), maxOpen)] {
			state, err := tx.OperationState(ctx, one.Operation)
			if err != nil {
				return err
			}
			known = known && state != ""
		}
		return nil
	})
	return known, err
}

func refuseServer(server Server, format string) error {
	return fault.New(fault.Conflict, format, server.Name).WithHint("orchestra server adopt %s", server.Name)
}

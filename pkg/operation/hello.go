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
	case hello.Sequence == state.Seen:
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
		return refuseServer(s.server, "the server %s has heard of operations that this database does not know: it was restored from a backup")
	}
	return nil
}

func refuseServer(server Server, format string) error {
	return fault.New(fault.Conflict, format, server.Name).WithHint("orchestra server adopt %s", server.Name)
}

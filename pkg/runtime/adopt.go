package runtime

import (
	"context"
	"errors"

	"orchestra/pkg/wire"
)

// adopt makes the server follow another panel, or a restored one. That panel
// knows nothing of operations that are open here: what is not kept is undone.
// It is told how far the counters were that this server has heard of.
func (s *session) adopt(ctx context.Context, word wire.Adopt) error {
	started := s.machine.clock.Now()
	err := s.follow(context.WithoutCancel(ctx), word)
	if s.operation == nil {
		s.dropLock()
	}
	if err == nil {
		var counters map[string]int64
		if counters, err = s.machine.counters(); err == nil {
			return s.conn.Send(wire.WordAdopted, wire.Report{Counters: counters, Duration: s.machine.clock.Now().Sub(started)})
		}
	}
	return s.answer(wire.WordAdopted, "adopt", nil, started, err)
}

func (s *session) follow(ctx context.Context, word wire.Adopt) error {
	m := s.machine
	if word.PanelID == "" || len(word.PanelID) > 100 || printable(word.PanelID) != word.PanelID || word.Sequence < 0 {
		return fail(wire.CodePanel, "", "a panel without a name")
	}
	if err := m.prepare(); err != nil {
		return err
	}
	ids, err := m.open()
	if err != nil {
		return err
	}
	for _, id := range ids {
		o, err := s.find(ctx, id)
		if err != nil {
			return err
		}
		if o.state == wire.StateKept {
			err = s.finishKept(ctx, o)
		} else {
			err = s.undoAll(ctx, o)
		}
		if err != nil && !onlyPivots(err) {
			return err
		}
	}
	unsynced, err := m.setPanel(panelLine{PanelID: word.PanelID, Sequence: word.Sequence})
	return errors.Join(err, m.disk.Sync(unsynced...))
}

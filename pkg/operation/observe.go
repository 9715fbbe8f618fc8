package operation

import (
	"context"
	"errors"
	"slices"

	"orchestra/pkg/fault"
	"orchestra/pkg/store"
	"orchestra/pkg/wire"
)

// Preview plans what is requested and asks the servers what it would change
// there. It writes nothing anywhere.
func (c *Coordinator) Preview(ctx context.Context, request Request) (*Preview, error) {
	return c.preview(ctx, func(ctx context.Context, tx *store.Tx) (*plan, error) { return c.plan(ctx, tx, request.Mutate) })
}

func (c *Coordinator) preview(ctx context.Context, make func(context.Context, *store.Tx) (*plan, error)) (*Preview, error) {
	r := c.newRun(&job{kind: "preview", rests: true})
	defer r.close()
	// A plan writes, in a savepoint, and is rolled back.
	err := r.store.Update(ctx, func(tx *store.Tx) error {
		var err error
		if r.plan, err = make(ctx, tx); err != nil {
			return err
		}
		if err := r.known(ctx, tx, r.plan); err != nil {
			return err
		}
		if err := r.rest(ctx, tx, r.plan); err != nil {
			return err
		}
		if err := r.c.encode(r.plan); err != nil {
			return err
		}
		return errNothing
	})
	if !errors.Is(err, errNothing) {
		return nil, interrupted(ctx, err)
	}
	r.leaveAlone()
	preview := &Preview{Changes: r.plan.changes, Warnings: r.plan.warnings}
	preview.Servers = r.observe(ctx, wire.Observe{})
	r.previewOwed(preview)
	return preview, interrupted(ctx, ctx.Err())
}

// observe asks the servers how what the plan's steps declare differs from what
// is there.
func (r *run) observe(ctx context.Context, how wire.Observe) []ServerDifferences {
	ids := r.plan.serverIDs()
	answers := make([]ServerDifferences, len(ids))
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = r.plan.servers[id].Name
	}
	r.c.report(Event{Kind: EventPlanned, Servers: names})
	errs := r.on(ids, func(s *session) error {
		r.c.report(Event{Kind: EventPhase, Server: s.server.Name, Phase: "connect"})
		if err := s.open(ctx); err != nil {
			r.c.report(Event{Kind: EventServer, Server: s.server.Name, Phase: "unanswered"})
			return err
		}
		word := how
		for _, step := range r.stepsOn(s.server.ID) {
			word.Steps = append(word.Steps, step.wire)
		}
		report, err := s.ask(ctx, r.patience(s.server.ID), question{outgoing{wire.WordObserve, word}, wire.WordObserved, "observe"})
		answers[slices.Index(ids, s.server.ID)].Steps = report.Steps
		outcome := "compared"
		if err != nil {
			outcome = "unanswered"
		}
		r.c.report(Event{Kind: EventServer, Server: s.server.Name, Phase: outcome})
		return err
	})
	for i, id := range ids {
		answers[i].Server = r.plan.servers[id].Name
		if err := errs[id]; err != nil {
			answers[i].Err = r.observed(err)
		}
	}
	return answers
}

// observed turns the failure of a question into the fault that a person sees.
func (r *run) observed(err error) error {
	var refused *refusedError
	var lost *lostError
	switch {
	case errors.As(err, &refused):
		return refused.observeFault()
	case errors.As(err, &lost):
		return fault.New(fault.Unreachable, "the server %s can't be reached", lost.server.Name).
			Because(lost.cause).WithHint("orchestra server check %s", lost.server.Name)
	}
	return err
}

// observeFault is what a person sees where a question could not be answered.
func (e *refusedError) observeFault() error {
	f := e.failure
	told := fault.New(fault.Failed, "%s on server %s, phase %s: %s", f.Step, e.server.Name, f.Phase, f.Message)
	if f.Output != "" {
		return told.Because(errors.New(f.Output))
	}
	return told
}

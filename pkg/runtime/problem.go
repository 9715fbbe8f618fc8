package runtime

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"orchestra/pkg/wire"
)

// problem is a failure as it will be told to the panel.
type problem struct {
	code     string // a wire.Code constant
	phase    string // where it is not the word's own: check, lock, adopt
	resource string
	about    []*resource // while looking: those that can't be brought about
	message  string
	output   string
	timeout  bool
	// unrestored are what could not be put back.
	unrestored []string
	cause      error
}

// Error implements error.
func (p *problem) Error() string {
	text := p.message
	if p.resource != "" {
		text = p.resource + ": " + text
	}
	if p.cause != nil {
		text += ": " + p.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (p *problem) Unwrap() error { return p.cause }

// conflict says that something here is not as it must be, and nobody's fault.
func (p *problem) conflict() bool {
	switch p.code {
	case wire.CodePanel, wire.CodeExists, wire.CodeBusy, wire.CodeChanged, wire.CodeTaken:
		return true
	}
	return false
}

// fail returns a problem; because gives its cause.
func fail(code, resource, format string, args ...any) *problem {
	return &problem{code: code, resource: resource, message: fmt.Sprintf(format, args...)}
}

func (p *problem) because(err error) *problem {
	p.cause = err
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		p.code = wire.CodeFull
	}
	return p
}

// failureOf returns what the panel is told about err.
func failureOf(err error, phase string) *wire.Failure {
	failure := &wire.Failure{Code: wire.CodeInternal, Phase: phase, Message: printable(err.Error())}
	var p *problem
	if errors.As(err, &p) {
		failure.Code, failure.Resource, failure.Timeout = p.code, printable(p.resource), p.timeout
		if p.phase != "" {
			failure.Phase = p.phase
		}
		failure.Message, failure.Output = printable(p.message), p.output
		if p.cause != nil {
			failure.Message += ": " + printable(p.cause.Error())
		}
		for _, name := range p.unrestored {
			failure.Unrestored = append(failure.Unrestored, printable(name))
		}
	} else if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		failure.Code = wire.CodeFull
	}
	var s *stepError
	if errors.As(err, &s) {
		failure.Step = s.step
	}
	if errors.Is(err, context.Canceled) {
		failure.Message = "interrupted: " + failure.Message
	}
	return failure
}

// during says in which phase err happened, where it is a problem.
func during(phase string, err error) error {
	var p *problem
	if errors.As(err, &p) && p.phase == "" {
		p.phase = phase
	}
	return err
}

// concerning says which resources err is about, where it is a problem and nobody
// has said so more narrowly.
func concerning(err error, resources ...*resource) error {
	var p *problem
	if errors.As(err, &p) && p.about == nil {
		p.about = resources
	}
	return err
}

// stepError names the step in which err happened.
type stepError struct {
	step string
	err  error
}

// Error implements error.
func (e *stepError) Error() string { return e.step + ": " + e.err.Error() }

// Unwrap returns what happened.
func (e *stepError) Unwrap() error { return e.err }

func inStep(step string, err error) error {
	if err == nil {
		return nil
	}
	return &stepError{step: step, err: err}
}

// isConflict tells whether err is answered with CONFLICT instead of FAILED.
func isConflict(err error) bool {
	var p *problem
	return errors.As(err, &p) && p.conflict()
}

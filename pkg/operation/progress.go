package operation

import "orchestra/pkg/message"

// EventKind says what an event tells.
type EventKind int

// The kinds of events.
const (
	EventPlanned EventKind = iota // the operation concerns Servers
	EventPhase                    // Server begins Phase
	EventBeat                     // Server is busy: Doing, Done of Total
	EventServer                   // Server is through; Phase is its outcome
	EventWaiting                  // a lock is waited for: Text says which and whose
	EventNotice                   // Text is for who waits
)

// Event is one thing that happens in an operation.
type Event struct {
	Kind    EventKind
	Servers []string
	Server  string
	Phase   string
	Doing   string
	Done    int
	Total   int
	Text    message.Text
}

// Progress is told what happens, from several goroutines.
type Progress interface{ Report(Event) }

func (c *Coordinator) report(event Event) {
	if c.options.Progress != nil {
		c.options.Progress.Report(event)
	}
}

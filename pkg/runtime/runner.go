package runtime

import (
	"context"
	"time"
)

// Runner is all that the runtime knows of a machine's processes.
type Runner interface {
	// Run runs one child to its end, or kills it at its timeout or when ctx
	// ends. When Run returns, no process that the child started is left. An
	// error means that the child could not be started; how it ended is in Result.
	Run(ctx context.Context, child Child) (Result, error)
	// Self identifies the process that runs this session.
	Self() Identity
	// Kill ends the process of a former session and all its children, on this
	// boot of the machine. nil means that none of them is left.
	Kill(ctx context.Context, who Identity) error
	// Machine describes the machine.
	Machine() Machine
	// Lives tells whether that process is still there. Where Start is 0, any
	// process with that number is meant.
	Lives(who Identity) bool
	// Find tells whether a program is installed.
	Find(program string) bool
}

// Machine is what a session tells of where it runs.
type Machine struct {
	BootID       string
	Hostname     string
	Architecture string
	EffectiveID  int
}

// Identity names a process so that it is never mistaken for a later one.
type Identity struct {
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"` // clock ticks since the boot
	BootID string `json:"boot"`
	Group  string `json:"group,omitempty"` // the control group of its children
	Mark   string `json:"mark,omitempty"`  // in the environment of its children
}

// ChildKind says what a child is for.
type ChildKind string

// What children are for.
const (
	ChildDeclare ChildKind = "declare" // a backend's declaring part: as nobody, no network
	ChildAct     ChildKind = "act"     // a function of acts.sh: as root
	ChildCheck   ChildKind = "check"   // a check of acts.sh: as root
	ChildProgram ChildKind = "program" // a program of the system: systemctl, nscd
)

// Child is one child process.
type Child struct {
	Kind ChildKind
	// Script is the bash text of declare.sh or acts.sh, without the prelude.
	Script string
	// Function and Arguments call a function of acts.sh; or they are a program
	// with its arguments. Unused for ChildDeclare.
	Function  string
	Arguments []string
	// Input can be read on descriptor 3: records of objects for ChildDeclare;
	// key NUL state before NUL content NUL name in the trash NUL … for ChildAct.
	Input   []byte
	Timeout time.Duration // 0: DefaultTimeout
	// Secrets are taken out of its output before that is capped.
	Secrets []string
}

// DefaultTimeout ends a child whose step says nothing.
const DefaultTimeout = 60 * time.Second

// Result is how a child ended.
type Result struct {
	// Answer is what it wrote to descriptor 4: declarations, or for acts
	// key NUL state NUL wanted state NUL ….
	Answer   []byte
	Output   string // standard output and error, capped: head and tail
	ExitCode int    // -1 where a signal ended it
	TimedOut bool
}

// Clock tells the time and waits.
type Clock interface {
	Now() time.Time
	// After sends once when d has passed.
	After(d time.Duration) <-chan time.Time
}

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now implements Clock.
func (SystemClock) Now() time.Time { return time.Now() }

// After implements Clock.
func (SystemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Package wire is what the panel and the runtime on a server say to each
// other: whole frames, each one word with its content. docs/protocol.md tells
// which word may follow which.
package wire

import "time"

// Word is what a frame says.
type Word string

// Words of the panel.
const (
	WordPart    Word = "PART"    // Part, before a STAGE or an OBSERVE that is large
	WordStage   Word = "STAGE"   // Stage
	WordPublish Word = "PUBLISH" // Publish
	WordReload  Word = "RELOAD"  // Reload
	WordPivot   Word = "PIVOT"   // Pivot
	WordKeep    Word = "KEEP"    // Keep
	WordUndo    Word = "UNDO"    // Undo
	WordObserve Word = "OBSERVE" // Observe
	WordAdopt   Word = "ADOPT"   // Adopt
	WordProbe   Word = "PROBE"   // Probe
)

// Words of the server.
const (
	WordHello     Word = "HELLO"     // Hello, first and once
	WordStaged    Word = "STAGED"    // Report
	WordPublished Word = "PUBLISHED" // Report
	WordActive    Word = "ACTIVE"    // Report
	WordPivoted   Word = "PIVOTED"   // Report
	WordKept      Word = "KEPT"      // Report
	WordUndone    Word = "UNDONE"    // Report
	WordObserved  Word = "OBSERVED"  // Report, with Differences
	WordAdopted   Word = "ADOPTED"   // Report, with Counters
	WordProbed    Word = "PROBED"    // Probed
	WordFailed    Word = "FAILED"    // Report, with Failure
	WordConflict  Word = "CONFLICT"  // Report, with Failure
	WordHeartbeat Word = "HEARTBEAT" // Heartbeat, every HeartbeatInterval
)

// The protocol's times.
const (
	HeartbeatInterval = 5 * time.Second
	SilenceLimit      = 60 * time.Second // then the other side is taken for dead
)

// State is how far an operation has come on one server. Each is written and
// synced on the server before the word that announces it.
type State string

// The states of an operation on a server.
const (
	StateNone       State = ""           // the server knows nothing of it
	StateStaging    State = "staging"    // its directory exists; nothing is live
	StateStaged     State = "staged"     // all lies beside the live files
	StatePublishing State = "publishing" // live content may be old or new
	StateActivating State = "activating" // daemons may have been told
	StateKept       State = "kept"       // the end: new content
	StateUndone     State = "undone"     // the end: old content
)

// Hello introduces the server.
type Hello struct {
	Version      int             `json:"version"` // of this protocol
	PanelID      string          `json:"panel"`   // "" on a server that no panel has used
	Sequence     int64           `json:"sequence"`
	BootID       string          `json:"boot"`
	Hostname     string          `json:"hostname"`
	Architecture string          `json:"architecture"` // GOARCH
	Open         []OpenOperation `json:"open,omitempty"`
}

// OpenOperation is one that has not ended on this server.
type OpenOperation struct {
	Operation string `json:"operation"`
	State     State  `json:"state"`
}

// Stage asks for everything to be made ready beside the live files.
type Stage struct {
	Operation string `json:"operation"` // 32 hexadecimal digits
	PanelID   string `json:"panel"`
	Sequence  int64  `json:"sequence"`
	Steps     []Step `json:"steps"`
	Parts     int    `json:"parts,omitempty"` // that went before; Send and Decode see to them
	// Counters say which numbers the panel has given, by name: the last of each.
	// The server keeps the largest it hears, and knows nothing of what they mean.
	Counters map[string]int64 `json:"counters,omitempty"`
	LockWait time.Duration    `json:"lock_wait"` // how long PUBLISH may wait for the server's own lock
}

// Step is one backend's part in an operation on one server.
type Step struct {
	Name    string `json:"name"`    // unique in the operation on this server: the backend's name
	Script  Script `json:"script"`  // constant text
	Objects string `json:"objects"` // records of facts, see pkg/backend
	// Contents are what REFs of the objects stand for: rendered configuration
	// texts and secrets.
	Contents []ContentItem `json:"contents,omitempty"`
	Timeout  time.Duration `json:"timeout"` // of each child process
	Setup    bool          `json:"setup,omitempty"`
}

// Script is a backend's bash.
type Script struct {
	Declare string `json:"declare"` // runs as nobody and prints declarations
	Acts    string `json:"acts"`    // functions probe, do, undo, check; run as root
}

// ContentItem is one text that travels beside the objects.
type ContentItem struct {
	Reference string `json:"reference"`
	Data      []byte `json:"data"`
	Secret    bool   `json:"secret,omitempty"`
}

// Publish makes the named steps live, in this order.
type Publish struct {
	Operation string   `json:"operation"`
	Steps     []string `json:"steps"`
}

// Reload tells the daemons of the named steps; of all of them where Steps is empty.
type Reload struct {
	Operation string   `json:"operation"`
	Steps     []string `json:"steps,omitempty"`
}

// Pivot runs the operation's one act that has no way back.
type Pivot struct {
	Operation string `json:"operation"`
}

// Keep ends the operation with its new content: undo data goes, later acts run.
type Keep struct {
	Operation string `json:"operation"`
}

// Undo puts the named steps back, in this order; all of them where Steps is
// empty. Last ends the operation as undone.
type Undo struct {
	Operation string   `json:"operation"`
	Steps     []string `json:"steps,omitempty"`
	Last      bool     `json:"last"`
	// PanelID and Sequence are used where the server knows nothing of the
	// operation: it writes a tombstone, so that a late STAGE is refused.
	PanelID  string `json:"panel"`
	Sequence int64  `json:"sequence"`
}

// Observe compares what the steps declare with what is there, changing nothing.
type Observe struct {
	Steps []Step `json:"steps"`
	Parts int    `json:"parts,omitempty"` // as in Stage
	// Drift compares three ways, with the hashes last kept here.
	Drift bool `json:"drift,omitempty"`
	// Leftovers also reports what is ours within the steps' scopes and not declared.
	Leftovers bool `json:"leftovers,omitempty"`
}

// Adopt makes this server follow another panel, or a restored one.
type Adopt struct {
	PanelID  string `json:"panel"`
	Sequence int64  `json:"sequence"`
}

// Probe asks for facts about the machine.
type Probe struct {
	Programs []string `json:"programs,omitempty"`
}

// Probed answers a Probe.
type Probed struct {
	Missing     []string          `json:"missing,omitempty"` // programs not found
	Time        time.Time         `json:"time"`
	FreeBytes   map[string]uint64 `json:"free_bytes"` // by path: /, /etc, /home, /var
	SSHD        map[string]string `json:"sshd"`       // effective settings, keys in lower case
	EffectiveID int               `json:"effective_id"`
}

// Report is how the server answers a word.
type Report struct {
	Operation string        `json:"operation,omitempty"`
	State     State         `json:"state"`
	Steps     []StepReport  `json:"steps,omitempty"`
	Failure   *Failure      `json:"failure,omitempty"`
	Duration  time.Duration `json:"duration"`
	// Counters, in ADOPTED, are the largest that the server has ever heard.
	Counters map[string]int64 `json:"counters,omitempty"`
}

// StepReport is what became of one step.
type StepReport struct {
	Name        string       `json:"name"`
	Output      string       `json:"output,omitempty"` // of its children: capped, secrets removed
	Changed     int          `json:"changed"`          // resources that differ from what was there
	Kinds       []KindCount  `json:"kinds,omitempty"`  // the same, by kind
	Differences []Difference `json:"differences,omitempty"`
	Reloaded    []string     `json:"reloaded,omitempty"` // units that were told
	Actions     []string     `json:"actions,omitempty"`  // a sentence a step: "reload ssh"
	// Pivot, in STAGED, says that the step declares an act that has no way back.
	Pivot bool `json:"pivot,omitempty"`
}

// KindCount is how many resources of one kind a step makes, changes and removes.
type KindCount struct {
	Kind    string `json:"kind"` // as in Difference
	Made    int    `json:"made,omitempty"`
	Changed int    `json:"changed,omitempty"`
	Removed int    `json:"removed,omitempty"`
}

// Difference is one resource that is not as declared.
type Difference struct {
	Kind     string `json:"kind"`             // file, directory, link, entry, user, group, member, act
	Resource string `json:"resource"`         // its path or name
	Reason   string `json:"reason"`           // one of the Reason constants
	Before   string `json:"before,omitempty"` // "" for none; a secret is shown as "secret"
	After    string `json:"after,omitempty"`
	Object   string `json:"object,omitempty"` // "user acme"
}

// Reasons of differences. With Drift, what was last kept on the server tells who
// made one; without, or where nothing was kept, it is missing, changed or left over.
const (
	ReasonMissing    = "missing"     // it should be there and is not
	ReasonChanged    = "changed"     // it is otherwise
	ReasonLeftOver   = "left-over"   // it is there and should not be
	ReasonStale      = "stale"       // as it was last kept: the server was not told since
	ReasonHandEdited = "hand-edited" // not as it was last kept: somebody else changed it
	ReasonRemoved    = "removed"     // it was kept, and somebody else removed it
	ReasonConflict   = "conflict"    // something else is in its place: After says what
	ReasonOwed       = "owed"        // the panel's word for what it owes to the server
)

// Codes of failures, for those who decide by them what to type next.
const (
	CodePanel    = "panel"    // the server follows another panel, or a later state of this one
	CodeExists   = "exists"   // the operation is known already: it ended, or another session has it
	CodeBusy     = "busy"     // a lock was not obtained in time
	CodeChanged  = "changed"  // somebody else changed what this operation is about
	CodeTaken    = "taken"    // an id, a name or a path belongs to something else
	CodeMissing  = "missing"  // a program or file is not there
	CodeFull     = "full"     // no space left
	CodeDeclared = "declared" // what the backend declares makes no sense
	CodeChild    = "child"    // a child process failed
	CodePivot    = "pivot"    // all was put back but a pivot, which has no way back
	CodeOrder    = "order"    // the word does not fit the operation's state
	CodeInternal = "internal" // anything else
)

// Failure is what went wrong on the server.
type Failure struct {
	Code     string `json:"code,omitempty"` // one of the Code constants
	Step     string `json:"step,omitempty"`
	Phase    string `json:"phase"`              // stage, publish, check, reload, pivot, keep, undo
	Resource string `json:"resource,omitempty"` // what it was about
	Message  string `json:"message"`
	Output   string `json:"output,omitempty"`
	Timeout  bool   `json:"timeout,omitempty"`
	// Unrestored lists what could not be put back; then only an administrator can.
	Unrestored []string `json:"unrestored,omitempty"`
}

// Heartbeat says that the other side lives and what it is doing.
type Heartbeat struct {
	Doing string `json:"doing,omitempty"`
	Done  int    `json:"done,omitempty"`
	Total int    `json:"total,omitempty"`
}

package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"orchestra/pkg/wire"
)

// resource is one thing that a backend declares, as it is and as it should be:
// the pair that undo works with.
type resource struct {
	Step   string `json:"step"`
	Kind   string `json:"kind"`             // as in wire.Difference
	Name   string `json:"name"`             // as declared: a path, or a name
	Object string `json:"object,omitempty"` // "user acme"
	Place  place  `json:"place,omitzero"`
	Before *state `json:"before,omitempty"` // nil: not there
	After  *state `json:"after,omitempty"`  // nil: should not be there
	Secret bool   `json:"secret,omitempty"` // never shown
	// Temp is where new content waits, and old content after it; Trash is where
	// goes what should not be there any more, or its name there.
	Temp  string `json:"temp,omitempty"`
	Trash string `json:"trash,omitempty"`
	// Act, for acts.
	Act *actCall `json:"act,omitempty"`
	// Of an entry: the format of its file, its line as it was, byte for byte, and
	// whether the file itself is made by this operation.
	Format string `json:"format,omitempty"`
	Line   string `json:"line,omitempty"`
	Made   bool   `json:"made,omitempty"`
	// Newer is, of a file whose number only grows, what undo goes on to instead of
	// Before; it waits at NewerTemp.
	Newer     *state `json:"newer,omitempty"`
	NewerTemp string `json:"newer_temp,omitempty"`
	// Behind is, for a line of an account that goes, what it stood behind, by file.
	Behind map[string]string `json:"behind,omitempty"`

	// What follows is of no use to undo.
	where      string // the declared path, "" for what has none
	new        bool   // refuse what is there and not ours
	content    []byte // of a file that is to be
	mark       string // of a file that grows: what stands behind its number
	ahead      uint64 // by how much it grows at least
	newer      []byte // the content of Newer
	owner      string // as declared: names or numbers
	group      string
	expectedID uint32 // of a user or group that goes; 0: any
	hash       string // of a user's password; "": as it is
	keep       bool   // hash is for a new user only: who has a password keeps it
	expired    bool   // whether a user may log in no more
	hidden     bool   // what is there now must not be shown
	reached    bool   // publish has come to it: it may be live
	wanted     wish   // what is declared, to compare it with what another says
	dropped    bool   // another declaration replaced it
	beforeText string // of files, for people
}

// wish is what a declaration says of a resource, before it is completed by what
// is there. Two that are equal are one.
type wish struct {
	after        state
	gone         bool // nothing is to be there
	owner, group string
	hash         string
	keep         bool // a password that is there stays
	expired      bool
	expectedID   uint32
	act          string // digest of an act
}

func wishOf(r *resource) wish {
	w := wish{gone: r.After == nil, owner: r.owner, group: r.group, hash: r.hash, keep: r.keep, expired: r.expired, expectedID: r.expectedID}
	if r.After != nil {
		w.after = *r.After
	}
	if r.Act != nil {
		w.act = digestOf(r.Act)
	}
	return w
}

// state is how one thing is. The fields that a kind does not use are zero.
type state struct {
	Attributes
	Type   FileType `json:"type,omitempty"`
	Hash   string   `json:"hash,omitempty"` // SHA-256 of a file's content
	Size   int64    `json:"size,omitempty"`
	Target string   `json:"target,omitempty"` // of a link
	Text   string   `json:"text,omitempty"`   // value of an entry, state of an act, line of passwd or group
	Shadow string   `json:"shadow,omitempty"` // line of shadow or gshadow
}

// is tells whether two states, either of which may be nil, are the same.
func (s *state) is(other *state) bool {
	if s == nil || other == nil {
		return s == other
	}
	return *s == *other
}

// changes tells whether something has to be done.
func (r *resource) changes() bool { return !r.Before.is(r.After) }

// count adds a resource that changes to the counts by kind.
func (r *resource) count(counts []wire.KindCount) []wire.KindCount {
	i := slices.IndexFunc(counts, func(one wire.KindCount) bool { return one.Kind == r.Kind })
	if i < 0 {
		i = len(counts)
		counts = append(counts, wire.KindCount{Kind: r.Kind})
	}
	switch {
	case r.Before == nil:
		counts[i].Made++
	case r.After == nil:
		counts[i].Removed++
	default:
		counts[i].Changed++
	}
	return counts
}

// key identifies a resource on a server.
func (r *resource) key() string {
	if r.Format != "" {
		return r.Kind + "\x00" + r.Place.Path + "\x00" + r.Name
	}
	if r.Place.Path != "" {
		return r.Kind + "\x00" + r.Place.Path
	}
	return r.Kind + "\x00" + r.Name
}

// disk returns the disk for working on the resource: as its tree's user.
func (r *resource) disk(m *machine) Disk { return r.Place.as(m.disk) }

// kind is how one kind of resources is brought about. Adding a kind is writing
// one of these and entering it in kinds. All methods get the resources of one
// step; those that change something only the ones that differ.
type kind interface {
	// declare makes a resource of a declaration, with all of After that is
	// known from it.
	declare(s *step, d declaration) (*resource, error)
	// observe finds Before, completes After, and may add resources that follow
	// from the declared ones. It changes nothing.
	observe(ctx context.Context, o *operation, resources []*resource) (more []*resource, err error)
	// plan fills in, before anything is made, the names of what stage will make.
	plan(o *operation, resources []*resource) error
	// stage makes what publish and undo need, beside what is live.
	stage(ctx context.Context, o *operation, resources []*resource) error
	// publish makes After live where Before is; anything else there is a conflict.
	publish(ctx context.Context, o *operation, resources []*resource) error
	// undo makes Before live where After is, leaves Before, and returns a
	// problem for each resource that is neither. It needs no space.
	undo(ctx context.Context, o *operation, resources []*resource) []error
	// sweep removes what stage made, once the operation has ended.
	sweep(o *operation, resources []*resource) error
	// digest identifies what the resource declares, for the registry; show
	// describes it to people.
	digest(r *resource, s *state) string
	show(r *resource, s *state) string
}

// kinds are all kinds, in the order in which a step is published; it is undone
// the other way.
func kinds() []namedKind {
	return []namedKind{
		{accountsKind{}, []string{kindGroup, kindUser, kindMember}, []string{"group", "user", "member", "drop-group", "drop-user", "drop-member"}},
		{parkKind{}, []string{kindPark}, []string{"park"}},
		{directoryKind{}, []string{kindDirectory}, []string{"dir"}},
		{fileKind{}, []string{kindFile}, []string{"file", "absent"}},
		{linkKind{}, []string{kindLink}, []string{"link"}},
		{entryKind{}, []string{kindEntry}, []string{"entry", "drop-entry"}},
		{actKind{}, []string{kindAct}, []string{"act", "park-kind"}},
	}
}

type namedKind struct {
	kind
	names []string // of the resources
	verbs []string
}

// The kinds of resources, as the panel sees them.
const (
	kindGroup     = "group"
	kindUser      = "user"
	kindMember    = "member"
	kindPark      = "park"
	kindDirectory = "directory"
	kindFile      = "file"
	kindLink      = "link"
	kindEntry     = "entry"
	kindAct       = "act"
)

// digestOf identifies a state: the registry keeps digests, not contents.
func digestOf(parts ...any) string {
	content, err := json.Marshal(parts)
	if err != nil {
		panic(fmt.Sprintf("a state that can't be encoded: %v", err)) // states are plain data
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:16])
}

// changed is the problem of a resource that is not as it was seen.
func changed(r *resource, what string) *problem {
	return fail(wire.CodeChanged, r.Kind+" "+r.Name, "somebody else changed it meanwhile: %s", what)
}

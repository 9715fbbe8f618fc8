// Package noun is the engine of the kinds of things that are administered.
// A noun is declared once, as data; its table, flags, form, filters, output,
// completion, man page, audit diff and conformance tests come from that
// declaration. What has a life of its own is a Verb with a function.
package noun

import (
	"context"

	"orchestra/pkg/message"
)

// Kind tells services, which are sold and run on servers, from management,
// which is kept to administer them.
type Kind int

// The kinds of nouns.
const (
	Service Kind = iota
	Management
)

// Noun is the declaration of one kind of thing.
type Noun struct {
	Name   string // singular, lower case: "account"
	Plural string // "accounts"
	Area   string // the group of the help: Accounts, Mail, DNS, Web, Databases, Billing, Monitoring, Servers, Administration
	Kind   Kind
	Help   string // one line, no full stop
	Long   string // paragraphs for the man page; may be empty

	// Fields in the order of flags and output. The engine adds, by itself, the
	// key field's uniqueness, "created" (RFC 3339, UTC) and, where Disableable,
	// "disabled" (the list of stacked reasons).
	Fields []Field

	// Key is the field by which people call an object: "name".
	Key string

	// Words says that people give the key as several arguments, which make it
	// when they are joined by spaces: "record add www.example.org A 192.0.2.9".
	// It is what help calls them: "NAME TYPE VALUE"; "" is one argument, NAME.
	Words string

	// Complete returns the key that is meant by what somebody typed, where that
	// depends on other objects; or nil.
	Complete func(ctx context.Context, view View, key string) (string, error)

	// Owner is the field that references the owning account, "" where objects
	// belong to nobody. For the account noun itself it is "id".
	Owner string

	// Positional are the fields that `add` takes as arguments after NAME.
	Positional []string

	// Disableable gives the verbs enable and disable.
	Disableable bool

	// World says that changing an object changes where things go (servers,
	// routes): the operation holds the world lock exclusively.
	World bool

	// Without lists derived verbs that the noun does not have.
	Without []string

	Verbs []Verb

	// Prepare completes and checks a row before it is written: after is the row
	// to be, changed in place; before is nil for a new one. It sees all fields
	// parsed, defaults filled and references resolved.
	Prepare func(ctx context.Context, plan Planner, before *Row, after *Row) error

	// Cascade adds the further changes that this change brings, in the same operation.
	Cascade func(ctx context.Context, plan Planner, change Change) error

	// Claims returns further values that an operation claims with a change, so
	// that no other one decides on the same thing meanwhile; or nil. Unique fields
	// and the object itself are claimed anyway.
	Claims func(change Change) []string

	// Guard refuses a deletion by the verb delete (not one by a cascade), or nil.
	Guard func(ctx context.Context, plan Planner, row Row) error

	// Facts computes what backends are told about rows; the answer is in the
	// order of rows. It must not issue statements per row. nil: all fields that
	// are not secret, references by name.
	Facts func(ctx context.Context, view View, rows []Row) ([]Facts, error)

	// Settle judges the outcome of a whole plan, once, at its end: rows are the
	// objects of this noun that it made or changed and, for the account noun,
	// those whose objects it made, changed or deleted. It may warn or refuse,
	// and changes nothing.
	Settle func(ctx context.Context, plan Planner, rows []Row) error

	// Check finds what should not be, for the command check; or nil.
	Check func(ctx context.Context, view View) ([]Finding, error)
}

// Finding is something that the command check found.
type Finding struct {
	// Severe findings are damage; the others are advice.
	Severe bool
	Noun   string // "" where it is about the database
	Name   string // of the object; may be ""
	Text   message.Text
}

// Field is one column, flag, JSON key and form line of a noun.
type Field struct {
	Name      string // snake_case: full_name is the flag --full-name
	Type      Type   // nil only where Reference is set
	Help      string // one line, no full stop
	Example   string // a value for help, man page and generated tests
	Required  bool
	Immutable bool // given at add, never by set
	Unique    bool
	Hidden    bool // set by hooks only: no flag
	Listed    bool // a column of the default table
	// Reference is the noun whose object this field names. The stored value is
	// its id (int64), what people type and see is its name.
	Reference string
	// OnDelete says what happens to this object when the referenced one is deleted.
	OnDelete OnDelete
	// Placement makes the reference, to a server, say where the object is,
	// whatever else the routes match: its flag is --on, and the verb move changes
	// it. A noun has one at most.
	Placement bool
	// Secret makes the value come by prompt, --NAME-stdin or --generate-NAME
	// only; what is stored is the result of Hash. It is never shown.
	Secret *Secret
	// ServiceOwned values belong to the service: sent at creation or by their
	// own verb, never stored, never compared, never overwritten.
	ServiceOwned bool
	// Counter names the durable counter that numbers this field at add; such a
	// value is never reused. The first and last number come from settings.
	Counter string
	// Default computes the value where none was given; nil: the zero value.
	Default func(ctx context.Context, view View, row Row) (any, error)
	// Compute makes the field a computed one: not stored, no flag; values come
	// in the order of rows.
	Compute func(ctx context.Context, view View, rows []Row) ([]any, error)

	active bool // the engine's own field, computed in SQL
}

// OnDelete says what a deletion of the referenced object does.
type OnDelete int

// What a deletion of the referenced object does.
const (
	Restrict OnDelete = iota // it is refused while this object exists
	Cascade                  // this object is deleted with it
	Forget                   // the field becomes empty
)

// Secret says how a secret field is checked and what of it is stored.
type Secret struct {
	// Check refuses a clear-text value that the policy does not allow.
	Check func(ctx context.Context, view View, row Row, plain string) error
	// Hash returns what is stored. It is called once per command, outside locks.
	Hash func(plain string) (string, error)
	// Generate returns a new clear-text value.
	Generate func() (string, error)
	// CheckHash refuses a text that is no hash as Hash would return it. Where it
	// is set, batch files may give hashes made elsewhere (--NAME-hash).
	CheckHash func(hash string) error
	// Matches tells whether stored is what Hash made of plain, so that ensure
	// changes nothing where the secret is this one already; or nil.
	Matches func(stored, plain string) bool
}

// Type is how values of a field are read, shown and stored. A value is one of:
// string, int64, bool, []string, or nil for "none".
type Type interface {
	// Name is shown in help: "text", "e-mail", "port".
	Name() string
	// Parse returns the canonical value of what was typed, or a fault of kind
	// Invalid without its field.
	Parse(text string) (any, error)
	// Format is the inverse of Parse.
	Format(value any) string
	// Storage is the SQLite type: "TEXT" or "INTEGER".
	Storage() string
}

// Chooser is a Type with a closed list of values, for completion and forms.
type Chooser interface{ Choices() []string }

// Lister is a Type whose value is []string; its flag may be repeated.
type Lister interface{ IsList() bool }

// Booler is a Type whose value is bool.
type Booler interface{ IsBoolean() bool }

// Checker is a Type that checks a value which was not typed as one text, such
// as a list given by repeated flags; it returns the canonical value.
type Checker interface{ Check(value any) (any, error) }

// Verb is a verb of its own, beside those that are derived.
type Verb struct {
	Name    string
	Help    string
	Long    string
	Example string // a full command line
	Options []Field
	// WithoutObject says that the verb takes no NAME.
	WithoutObject bool
	// Positional are the options that a verb without object takes as arguments.
	Positional []string
	// Gather fetches what Plan needs from outside, once, before anything is
	// locked; read returns a file, "-" is the standard input. Or nil.
	Gather func(ctx context.Context, options Values, read func(name string) ([]byte, error)) (Values, error)
	// Destructive verbs preview and ask on a terminal, or want --yes.
	Destructive bool
	// Plan mutates: it adds changes to the operation. One of Plan and Show is set.
	Plan func(ctx context.Context, plan Planner, object Row, options Values) error
	// Show answers a question from the database.
	Show func(ctx context.Context, view View, object Row, options Values) (Table, error)
}

// Table is what a question is answered with; cells are values of fields.
type Table struct {
	Columns []string
	Rows    []Values
	// Text is the answer as it is printed where no format is asked for, such as
	// the text of a zone; "" is the table.
	Text string
	// Differs says that something is not as it should be: exit code 11.
	Differs bool
	// Failed is why not everything could be looked at, nil where it could: the
	// command ends with it after what was found is printed.
	Failed error
}

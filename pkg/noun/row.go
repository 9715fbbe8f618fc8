package noun

// Values are the values of fields by name. Each is string, int64, bool,
// []string, or nil for none. References are int64 ids.
type Values map[string]any

// Row is one object.
type Row struct {
	Noun   string
	ID     int64
	Values Values
}

// Text returns the value of a text field, "" where there is none.
func (r Row) Text(field string) string { s, _ := r.Values[field].(string); return s }

// Int returns the value of a number or reference field, 0 where there is none.
func (r Row) Int(field string) int64 { n, _ := r.Values[field].(int64); return n }

// Bool returns the value of a yes/no field.
func (r Row) Bool(field string) bool { b, _ := r.Values[field].(bool); return b }

// List returns the value of a list field.
func (r Row) List(field string) []string { l, _ := r.Values[field].([]string); return l }

// Change is one row before and after: the only representation of a mutation.
// The plan prints it, the journal stores it, the commit writes it, undo
// inverts it and the audit shows it.
type Change struct {
	Noun    string `json:"noun"`
	ID      int64  `json:"id"`
	Name    string `json:"name"`              // what people call the object
	Account int64  `json:"account,omitempty"` // the owning account's id, 0 for none
	Former  int64  `json:"former,omitempty"`  // the account that it left for that one, 0 for none
	Before  Values `json:"before,omitempty"`  // nil: did not exist
	After   Values `json:"after,omitempty"`   // nil: exists no longer
}

// Facts are what a backend is told about one object. A value is a string,
// []string, int64, bool, Content or Confidential.
type Facts map[string]any

// Content is a text rendered for a configuration format: it travels apart, and
// the backend handles a reference to it.
type Content string

// Confidential is a secret (a hash, say): like Content, and never shown.
type Confidential string

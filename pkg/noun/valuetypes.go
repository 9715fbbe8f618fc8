package noun

// Parsed is a text with a grammar of its own, which a function of pkg/value knows.
type Parsed struct {
	// Label is what help calls such a value: "e-mail".
	Label string
	// Canonical returns the value's one form, or a fault of kind Invalid.
	Canonical func(text string) (string, error)
}

// Name implements Type.
func (t Parsed) Name() string { return t.Label }

// Parse implements Type.
func (t Parsed) Parse(text string) (any, error) {
	canonical, err := t.Canonical(text)
	if err != nil {
		return nil, err
	}
	return canonical, nil
}

// Format implements Type.
func (Parsed) Format(value any) string { return formatText(value) }

// Storage implements Type.
func (Parsed) Storage() string { return "TEXT" }

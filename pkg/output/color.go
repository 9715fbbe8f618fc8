package output

// Painter puts colours around texts, or nothing where colour is off. What it is
// given is escaped already.
type Painter struct{ on bool }

// The values of --color.
const (
	ColorAuto   = "auto"
	ColorAlways = "always"
	ColorNever  = "never"
)

// NewPainter decides about colour: always and never as they say; auto where the
// stream is a terminal, TERM is not "dumb" and NO_COLOR is empty (no-color.org).
func NewPainter(choice string, terminal bool, getenv func(string) string) Painter {
	switch choice {
	case ColorAlways:
		return Painter{on: true}
	case ColorNever:
		return Painter{}
	}
	return Painter{on: terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}

// On tells whether there is colour.
func (p Painter) On() bool { return p.on }

func (p Painter) paint(code, text string) string {
	if !p.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold is for headings and names.
func (p Painter) Bold(text string) string { return p.paint("1", text) }

// Dim is for what may be skipped.
func (p Painter) Dim(text string) string { return p.paint("2", text) }

// Red is for errors and what goes.
func (p Painter) Red(text string) string { return p.paint("31", text) }

// Green is for what went well and what comes.
func (p Painter) Green(text string) string { return p.paint("32", text) }

// Yellow is for warnings and what changes.
func (p Painter) Yellow(text string) string { return p.paint("33", text) }

// Cyan is for commands to type.
func (p Painter) Cyan(text string) string { return p.paint("36", text) }

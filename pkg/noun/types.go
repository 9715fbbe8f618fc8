package noun

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"orchestra/pkg/fault"
	"orchestra/pkg/value"
)

// The limits of free text where a type names none.
const (
	MaxText     = value.LineLimit  // characters of one line
	MaxLongText = value.LinesLimit // characters of a text with newlines
	MaxElements = 1_000            // of a list
)

// Text is one line of text. It refuses control characters, invisible ones,
// those that turn the direction of writing, and text of spaces only; all else
// is kept as it was given.
type Text struct {
	Max int // characters; 0 is MaxText
}

// Name implements Type.
func (Text) Name() string { return "text" }

// Parse implements Type.
func (t Text) Parse(text string) (any, error) {
	line, err := value.Line(text, or(t.Max, MaxText))
	if err != nil {
		return nil, err
	}
	return line, nil
}

// Format implements Type.
func (Text) Format(value any) string { return formatText(value) }

// Storage implements Type.
func (Text) Storage() string { return "TEXT" }

// LongText is text with newlines and tabs; else it refuses what Text refuses.
type LongText struct {
	Max int // characters; 0 is MaxLongText
}

// Name implements Type.
func (LongText) Name() string { return "long text" }

// Parse implements Type.
func (t LongText) Parse(text string) (any, error) {
	lines, err := value.Lines(text, or(t.Max, MaxLongText))
	if err != nil {
		return nil, err
	}
	return lines, nil
}

// Format implements Type.
func (LongText) Format(value any) string { return formatText(value) }

// Storage implements Type.
func (LongText) Storage() string { return "TEXT" }

// Integer is a whole number from Min to Max; both zero is no limit.
type Integer struct{ Min, Max int64 }

// Name implements Type.
func (Integer) Name() string { return "number" }

// Parse implements Type. It takes decimal digits, and nothing that only looks
// like them: no plus, no leading zeros, no underscores.
func (t Integer) Parse(text string) (any, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != text {
		return nil, fault.New(fault.Invalid, "%q is not a whole number", Excerpt(text))
	}
	lowest, highest := t.limits()
	if n < lowest || n > highest {
		return nil, fault.New(fault.Invalid, "%s is not from %s to %s", text,
			strconv.FormatInt(lowest, 10), strconv.FormatInt(highest, 10))
	}
	return n, nil
}

func (t Integer) limits() (lowest, highest int64) {
	if t.Min == 0 && t.Max == 0 {
		return math.MinInt64, math.MaxInt64
	}
	if t.Max == 0 && t.Min > 0 {
		return t.Min, math.MaxInt64
	}
	return t.Min, t.Max
}

// Format implements Type.
func (Integer) Format(value any) string {
	if n, ok := value.(int64); ok {
		return strconv.FormatInt(n, 10)
	}
	return ""
}

// Storage implements Type.
func (Integer) Storage() string { return "INTEGER" }

// Boolean is yes or no.
type Boolean struct{}

// Name implements Type.
func (Boolean) Name() string { return "yes/no" }

// Parse implements Type.
func (Boolean) Parse(text string) (any, error) {
	switch strings.ToLower(text) {
	case "yes", "true", "on", "1":
		return true, nil
	case "no", "false", "off", "0":
		return false, nil
	}
	return nil, fault.New(fault.Invalid, "%q is neither yes nor no", Excerpt(text))
}

// Format implements Type.
func (Boolean) Format(value any) string {
	switch value {
	case true:
		return "yes"
	case false:
		return "no"
	}
	return ""
}

// Storage implements Type.
func (Boolean) Storage() string { return "INTEGER" }

// IsBoolean tells that values are bool.
func (Boolean) IsBoolean() bool { return true }

// Choices implements Chooser.
func (Boolean) Choices() []string { return []string{"yes", "no"} }

// Choice is one of a closed list of words.
type Choice []string

// Name implements Type.
func (Choice) Name() string { return "choice" }

// Parse implements Type.
func (t Choice) Parse(text string) (any, error) {
	for _, word := range t {
		if word == text {
			return word, nil
		}
	}
	err := fault.New(fault.Invalid, "%q is none of %s", Excerpt(text), strings.Join(t, ", "))
	if near := fault.Nearest(text, t); near != "" {
		return nil, err.WithHint("did you mean %q?", near)
	}
	return nil, err
}

// Format implements Type.
func (Choice) Format(value any) string { return formatText(value) }

// Storage implements Type.
func (Choice) Storage() string { return "TEXT" }

// Choices implements Chooser.
func (t Choice) Choices() []string { return t }

// Time is an instant, kept in UTC as RFC 3339 with whole seconds.
type Time struct{}

// Name implements Type.
func (Time) Name() string { return "time" }

// Parse implements Type.
func (Time) Parse(text string) (any, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.UTC().Year() < 1 || at.UTC().Year() > 9999 {
		return nil, fault.New(fault.Invalid, "%q is no time such as 2026-11-23T18:00:00Z", Excerpt(text))
	}
	return FormatTime(at), nil
}

// Format implements Type.
func (Time) Format(value any) string { return formatText(value) }

// Storage implements Type.
func (Time) Storage() string { return "TEXT" }

// FormatTime returns the value of a Time field for an instant.
func FormatTime(at time.Time) string { return at.UTC().Truncate(time.Second).Format(time.RFC3339) }

// Date is a day of the calendar, YYYY-MM-DD.
type Date struct{}

// Name implements Type.
func (Date) Name() string { return "date" }

// Parse implements Type.
func (Date) Parse(text string) (any, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Year() < 1 {
		return nil, fault.New(fault.Invalid, "%q is no date such as 2026-11-23", Excerpt(text))
	}
	return text, nil
}

// Format implements Type.
func (Date) Format(value any) string { return formatText(value) }

// Storage implements Type.
func (Date) Storage() string { return "TEXT" }

func formatText(value any) string { s, _ := value.(string); return s }

func or(limit, fallback int) int {
	if limit == 0 {
		return fallback
	}
	return limit
}

// Excerpt shortens what was typed for a message; escapes are the output's affair.
func Excerpt(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

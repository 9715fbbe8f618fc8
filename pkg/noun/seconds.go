package noun

import "orchestra/pkg/value"

// Seconds is a span of time in whole seconds, which may be typed with the units
// of zone files: 3600, 1h, 1h30m.
type Seconds struct{}

// Name implements Type.
func (Seconds) Name() string { return "seconds" }

// Parse implements Type.
func (Seconds) Parse(text string) (any, error) {
	seconds, err := value.TTL(text)
	if err != nil {
		return nil, err
	}
	return seconds, nil
}

// Format implements Type.
func (Seconds) Format(value any) string { return Integer{}.Format(value) }

// Storage implements Type.
func (Seconds) Storage() string { return "INTEGER" }

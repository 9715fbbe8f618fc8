package wire

import "unicode/utf8"

const (
	// MaxCounters is how many counters a word may hold: those of each kind of
	// thing, and of single ones such as zones.
	MaxCounters = 100_000
	// MaxNumber is the largest number of a counter. What is larger was never
	// given, and would leave none to give.
	MaxNumber = 1 << 48

	maxCounterName = 300 // bytes: a domain name and what it counts
)

// ValidCounter tells whether a counter may be called so and have come so far.
func ValidCounter(name string, last int64) bool {
	if name == "" || len(name) > maxCounterName || !utf8.ValidString(name) || last < 0 || last > MaxNumber {
		return false
	}
	for _, r := range name {
		if r <= ' ' || r == 0x7f {
			return false
		}
	}
	return true
}

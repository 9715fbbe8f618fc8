package value

import (
	"strconv"

	"orchestra/pkg/fault"
)

// maxTTL is the longest time to live, in seconds (RFC 2181, 8).
const maxTTL = 1<<31 - 1

// TTL returns the seconds of a time to live: digits, or digits with the units
// w, d, h, m and s as zone files have them, such as 1h30m.
func TTL(text string) (int64, error) {
	bad := fault.New(fault.Invalid, "%q is no time such as 3600 or 1h30m", cut(text))
	if text == "" || len(text) > 20 {
		return 0, bad
	}
	var total, number int64
	digits, units := 0, 0
	for i := range len(text) {
		c := text[i]
		if isDigit(c) {
			number = number*10 + int64(c-'0')
			digits++
			if number > maxTTL {
				return 0, tooLong()
			}
			continue
		}
		unit, known := map[byte]int64{'w': 604800, 'd': 86400, 'h': 3600, 'm': 60, 's': 1}[c|0x20]
		if !known || digits == 0 {
			return 0, bad
		}
		total += number * unit
		number, digits = 0, 0
		units++
	}
	if digits > 0 && units > 0 {
		return 0, bad
	}
	if total += number; total > maxTTL {
		return 0, tooLong()
	}
	return total, nil
}

func tooLong() error {
	return fault.New(fault.Invalid, "it is longer than the %s seconds that a time to live can have", strconv.Itoa(maxTTL))
}

package cli

import (
	"strconv"
	"strings"
	"time"

	"orchestra/pkg/fault"
)

// whenLayouts are the forms of a moment, in the local time where it names none.
var whenLayouts = []struct {
	layout string
	length time.Duration // of what it names
}{
	{time.RFC3339, time.Second},
	{"2006-01-02T15:04:05", time.Second},
	{"2006-01-02 15:04:05", time.Second},
	{"2006-01-02T15:04", time.Minute},
	{"2006-01-02 15:04", time.Minute},
}

// parseWhen reads a moment as people name it: a day, a day with a time, today,
// yesterday, or how long ago: 90s, 30m, 24h, 7d, 2w. It returns when what is
// named begins and when it is over.
func parseWhen(text string, now time.Time) (begins, over time.Time, err error) {
	now = now.Local()
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch strings.ToLower(text) {
	case "now":
		return now, now.Add(time.Second), nil
	case "today":
		return today, today.AddDate(0, 0, 1), nil
	case "yesterday":
		return today.AddDate(0, 0, -1), today, nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		return day, day.AddDate(0, 0, 1), nil
	}
	for _, known := range whenLayouts {
		if moment, err := time.ParseInLocation(known.layout, text, now.Location()); err == nil {
			return moment, moment.Add(known.length), nil
		}
	}
	if ago, ok := parseAgo(text); ok {
		return now.Add(-ago), now.Add(time.Second - ago), nil
	}
	return begins, over, fault.New(fault.Usage, "%q is no time such as 2026-11-23, 2026-11-23T18:00, yesterday or 7d", shown(text))
}

// parseAgo reads how long ago something was, up to a century.
func parseAgo(text string) (time.Duration, bool) {
	const century = 100 * 366 * 24 * time.Hour
	units := map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
	for suffix, unit := range units {
		if number, is := strings.CutSuffix(text, suffix); is {
			n, err := strconv.ParseUint(number, 10, 16)
			ago := time.Duration(n) * unit
			return ago, err == nil && ago <= century
		}
	}
	ago, err := time.ParseDuration(text)
	return ago, err == nil && ago >= 0 && ago <= century
}

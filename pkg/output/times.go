package output

import (
	"fmt"
	"time"
)

// Relative returns how far t is from now in one unit, "3 hours ago"; days far
// away are named by their date.
func Relative(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := now.Sub(t)
	format, sign := "%d %s ago", time.Duration(1)
	if d < 0 {
		format, sign = "in %d %s", -1
	}
	d *= sign
	count := func(n time.Duration, unit string) string {
		if n != 1 {
			unit += "s"
		}
		return fmt.Sprintf(format, n, unit)
	}
	switch {
	case d < 5*time.Second:
		return "now"
	case d < time.Minute:
		return count(d/time.Second, "second")
	case d < time.Hour:
		return count(d/time.Minute, "minute")
	case d < 24*time.Hour:
		return count(d/time.Hour, "hour")
	case d < 30*24*time.Hour:
		return count(d/(24*time.Hour), "day")
	}
	return t.Local().Format("2006-01-02")
}

// Duration returns d with the precision that a person can use: "12 ms", "1.4 s", "3 min 5 s".
func Duration(d time.Duration) string {
	switch {
	case d == 0:
		return "0 ms"
	case d < 0:
		return "-" + Duration(-d)
	case d < time.Millisecond:
		return "<1 ms"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}

package output

import (
	"fmt"
	"time"

	"orchestra/pkg/message"
)

// Relative returns how far t is from now in one unit, "3 hours ago"; days far
// away are named by their date. The zero time is no sentence.
func Relative(t, now time.Time) message.Text {
	if t.IsZero() {
		return message.Text{}
	}
	d := now.Sub(t)
	switch {
	case d <= -30*24*time.Hour || d >= 30*24*time.Hour:
		return message.New("%s", t.Local().Format(time.DateOnly))
	case d <= -5*time.Second:
		return ahead(-d)
	case d < 5*time.Second:
		return message.New("now")
	case d < time.Minute:
		return message.New("%d seconds ago", int(d/time.Second))
	case d < time.Hour:
		return message.New("%d minutes ago", int(d/time.Minute))
	case d < 24*time.Hour:
		return message.New("%d hours ago", int(d/time.Hour))
	}
	return message.New("%d days ago", int(d/(24*time.Hour)))
}

func ahead(d time.Duration) message.Text {
	switch {
	case d < time.Minute:
		return message.New("in %d seconds", int(d/time.Second))
	case d < time.Hour:
		return message.New("in %d minutes", int(d/time.Minute))
	case d < 24*time.Hour:
		return message.New("in %d hours", int(d/time.Hour))
	}
	return message.New("in %d days", int(d/(24*time.Hour)))
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

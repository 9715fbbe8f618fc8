package cli

import (
	"testing"
	"time"
)

func TestMomentsAsPeopleNameThem(t *testing.T) {
	here := time.Local
	time.Local = time.UTC
	defer func() { time.Local = here }()
	for text, want := range map[string][2]string{
		"2026-11-01":           {"2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"},
		"2026-11-01T10:30":     {"2026-11-01T10:30:00Z", "2026-11-01T10:31:00Z"},
		"2026-11-01 10:30:05":  {"2026-11-01T10:30:05Z", "2026-11-01T10:30:06Z"},
		"2026-11-01T10:30:05Z": {"2026-11-01T10:30:05Z", "2026-11-01T10:30:06Z"},
		"today":                {"2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"},
		"yesterday":            {"2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"},
		"now":                  {"2026-11-23T18:00:00Z", "2026-11-23T18:00:01Z"},
		"7d":                   {"2026-11-16T18:00:00Z", "2026-11-16T18:00:01Z"},
		"2w":                   {"2026-11-09T18:00:00Z", "2026-11-09T18:00:01Z"},
		"1h30m":                {"2026-11-23T16:30:00Z", "2026-11-23T16:30:01Z"},
	} {
		begins, over, err := parseWhen(text, testTime)
		if err != nil || begins.Format(time.RFC3339) != want[0] || over.Format(time.RFC3339) != want[1] {
			t.Errorf("%s: %s to %s, %v", text, begins, over, err)
		}
	}
	for _, text := range []string{"", "x", "-1h", "-7d", "99999w", "2026-13-01", "2026-11-01T25:00", "1e9h", "d"} {
		if begins, _, err := parseWhen(text, testTime); err == nil {
			t.Errorf("%q was taken for %s", text, begins)
		}
	}
}

// No text makes the reader of moments panic or gives a moment that is over
// before it begins.
func FuzzParseWhen(f *testing.F) {
	for _, seed := range []string{"2026-11-23", "7d", "90s", "2026-11-23T18:00", "yesterday", "0001-01-01", "9999-12-31T23:59:59Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		begins, over, err := parseWhen(text, testTime)
		if err == nil && over.Before(begins) {
			t.Errorf("%q: %s to %s", text, begins, over)
		}
	})
}

package output

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"orchestra/pkg/escape"
)

func harmless(t *testing.T, where, text string, lines bool) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s: not UTF-8: %q", where, text)
	}
	for _, r := range text {
		if lines && (r == '\n' || r == '\t') {
			continue
		}
		if unicode.IsControl(r) || escape.Deceives(r) {
			t.Errorf("%s: %U got through in %q", where, r, text)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"a", "\x1b[2J", "\u202e", "\xff", "é\u0301", "\U000e0001", "\u2028"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		harmless(t, "Escape", Escape(text), false)
		harmless(t, "EscapeLines", EscapeLines(text), true)
		if Escape(Escape(text)) != Escape(text) {
			t.Errorf("escaping twice differs: %q", text)
		}
		written, err := JSON(map[string]string{"value": text})
		if err != nil {
			t.Fatal(err)
		}
		harmless(t, "JSON", string(written), false)
		var back map[string]string
		if err := json.Unmarshal(written, &back); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if utf8.ValidString(text) && back["value"] != text {
			t.Errorf("JSON gave %q back for %q", back["value"], text)
		}
		if csv := csvText(text); csv != "" && strings.ContainsRune("=+-@", rune(csv[0])) {
			t.Errorf("CSV cell %q begins a formula", csv)
		}
	})
}

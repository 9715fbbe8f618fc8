package output

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain text stays", "Acme S.L.", "Acme S.L."},
		{"letters of all scripts stay", "José Muñoz אבג 密码 👩\u200d💻", "José Muñoz אבג 密码 👩\u200d💻"},
		{"a sequence that writes the clipboard", "a\x1b]52;c;aWQK\x07", `a\x1b]52;c;aWQK\x07`},
		{"a carriage return that rewrites the line", "ok\rFAILED", `ok\rFAILED`},
		{"a newline", "a\nb", `a\nb`},
		{"a tab", "a\tb", `a\tb`},
		{"DEL", "a\x7fb", `a\x7fb`},
		{"the one-character CSI", "a\u009b31m", `a\x9b31m`},
		{"controls of direction", "a\u202etxt.exe", `a\u202etxt.exe`},
		{"no width", "a\u200bb", `a\u200bb`},
		{"no UTF-8", "Jos\xe9", `Jos\xe9`},
		{"NUL", "a\x00b", `a\x00b`},
	} {
		if got := Escape(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := EscapeLines("a\n\tb\x1b[2J"); got != "a\n\tb\\x1b[2J" {
		t.Errorf("EscapeLines: %q", got)
	}
}

func harmless(t *testing.T, where, text string, lines bool) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s: not UTF-8: %q", where, text)
	}
	for _, r := range text {
		if lines && (r == '\n' || r == '\t') {
			continue
		}
		if unicode.IsControl(r) || deceives(r) {
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

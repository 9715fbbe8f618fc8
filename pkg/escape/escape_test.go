package escape

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestWhatIsShownDoesNothing(t *testing.T) {
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
		if got := Line(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := Lines("a\n\tb\x1b[2J"); got != "a\n\tb\\x1b[2J" {
		t.Errorf("Lines: %q", got)
	}
}

// Nothing that a text holds reaches a terminal in force, and what was escaped
// stays as it is.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{"a", "\x1b[2J", "\u202e", "\xff", "é\u0301", "\U000e0001", "\u2028", "\r\n\t"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, escaped := range []string{Line(text), Lines(text)} {
			if !utf8.ValidString(escaped) || Lines(escaped) != escaped {
				t.Errorf("%q became %q", text, escaped)
			}
		}
		for _, r := range Lines(text) {
			if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
				t.Errorf("%U got through in %q", r, text)
			}
		}
	})
}

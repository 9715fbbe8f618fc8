package value_test

import (
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"orchestra/pkg/value"
)

// canonical are the parsers whose answer, parsed again, is the same answer.
var canonical = map[string]func(string) (string, error){
	"unix name": value.UnixName, "handle": value.Handle, "address": value.HostAddress, "domain": value.DomainName, "owner name": value.OwnerName,
	"e-mail": value.Email, "phone": value.Phone, "public key": value.PublicKey, "host key": value.HostKey,
	"path": value.AbsolutePath, "relative path": value.RelativePath, "country": value.Country, "language": value.Language,
	"postal code": value.PostalCode,
	"line":        func(text string) (string, error) { return value.Line(text, value.LineLimit) },
}

// holds checks what is promised of every accepted value, whatever was typed.
func holds(t interface{ Fatalf(string, ...any) }, kind, typed string) {
	got, err := canonical[kind](typed)
	if err != nil {
		if got != "" {
			t.Fatalf("%s %q: refused and yet answered %q", kind, typed, got)
		}
		return
	}
	again, err := canonical[kind](got)
	if err != nil || again != got {
		t.Fatalf("%s %q: its canonical form %q becomes %q, %v", kind, typed, got, again, err)
	}
	if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
		t.Fatalf("%s %q: the accepted %q is not one line of text", kind, typed, got)
	}
	switch kind {
	case "line", "public key", "postal code":
	default:
		if strings.ContainsAny(strings.TrimPrefix(got, "*."), " \t:;|`$\"'\\<>()*#%,") && kind != "e-mail" && (kind != "address" || !strings.Contains(got, ":")) && kind != "host key" {
			t.Fatalf("%s %q: the accepted %q has a character with a meaning elsewhere", kind, typed, got)
		}
		if strings.HasPrefix(got, "-") {
			t.Fatalf("%s %q: the accepted %q could be an option", kind, typed, got)
		}
	}
	if kind == "path" && path.Clean(got) != got {
		t.Fatalf("path %q: %q is not clean", typed, got)
	}
}

func TestAcceptedValuesAreCanonicalAndHarmless(t *testing.T) {
	pieces := []string{"a", "acme", "example", ".org", ".", "..", "-", "_", "/", "/home", "@", "+34", "00", "933", " ", "\n", "\x00", "é", "xn--", "xn--mnchen-3ya", "*.", "_dmarc.", "münchen.",
		"2001:db8::", "192.0.2.", "1", "255", "ssh-ed25519 ", "AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", "\u202e", "\u200d", "👩", "'", "|", "$(id)", "ES", "%"}
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]string{"unix name", "handle", "address", "domain", "owner name", "e-mail", "phone", "public key", "host key",
			"path", "relative path", "country", "language", "postal code", "line"}).Draw(t, "kind")
		typed := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(t, "pieces"), "")
		holds(t, kind, typed)
	})
}

func TestShownTextNeverHidesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typed := rapid.String().Draw(t, "typed")
		got, err := value.Lines(typed, value.LinesLimit)
		if err != nil {
			return
		}
		if got != typed {
			t.Fatalf("%q came back as %q", typed, got)
		}
		for _, r := range got {
			if r != '\n' && r != '\t' && r != '\u200c' && r != '\u200d' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
				t.Fatalf("%q was accepted with %U", typed, r)
			}
		}
	})
}

func FuzzValues(f *testing.F) {
	for _, seed := range []string{"acme", "192.0.2.1", "2001:db8::1", "a@example.org", "+34 933", "/home/acme",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g x", "xn--mnchen-3ya.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		for kind := range canonical {
			holds(t, kind, typed)
		}
	})
}

func FuzzPasswords(f *testing.F) {
	f.Add("correct horse", "acme")
	f.Fuzz(func(t *testing.T, plain, own string) {
		err := value.Password(plain, 8, own)
		if err == nil && (len(plain) > value.PasswordLimit || strings.ContainsAny(plain, "\n\x00\r") || len(plain) < 8) {
			t.Fatalf("%q was accepted", plain)
		}
		if value.CryptHash(plain) == nil && strings.ContainsAny(plain, ":\n!*") {
			t.Fatalf("the hash %q was accepted", plain)
		}
	})
}

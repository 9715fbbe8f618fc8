package remote

import (
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// shells are those that a server's login shell may be.
func shells(t testing.TB) []string {
	var found []string
	for _, name := range []string{"bash", "dash"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Logf("LEFT OUT: %s is not installed here", name)
			continue
		}
		found = append(found, path)
	}
	if len(found) == 0 {
		t.Fatal("neither bash nor dash is installed")
	}
	return found
}

// checkQuote quotes words and lets real shells take them apart.
func checkQuote(t interface {
	Errorf(string, ...any)
	Fatal(...any)
}, shells []string, words ...string) {
	line := "printf '%s\\0'"
	for _, word := range words {
		quoted, err := Quote(word)
		if strings.Contains(word, "\x00") {
			if err == nil {
				t.Errorf("%q was quoted", word)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		line += " " + quoted
	}
	for _, shell := range shells {
		output, err := exec.Command(shell, "-c", line).Output()
		if want := strings.Join(words, "\x00") + "\x00"; err != nil || string(output) != want {
			t.Errorf("%s read %q as %q (%v)", shell, want, output, err)
		}
	}
}

func TestQuote(t *testing.T) {
	checkQuote(t, shells(t), "", " ", "'", "''", `\'`, `'\''`, "$(id)", "`id`", "a\nb", "!!", "*", "~", "-n", "\x1b", "\xff\xfe", "ä€", "\\", "a\r", "#x", "${HOME}", "x\x5c'")
	checkQuote(t, shells(t), "a\x00b")
}

func TestQuoteAnything(t *testing.T) {
	found := shells(t)
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string {
			return strings.ReplaceAll(string(b), "\x00", "'")
		}), 1, 200).Draw(t, "words")
		checkQuote(t, found, words...)
	})
}

func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "'", "\\'", "$(id)", "a\nb", "\x00", "\xe3'", "'\"'\"'"} {
		f.Add(seed)
	}
	found := shells(f)
	f.Fuzz(func(t *testing.T, word string) { checkQuote(t, found, word) })
}

func TestCommandLine(t *testing.T) {
	for _, command := range []Command{
		{}, {Program: "-x"}, {Program: "/bin/a\x00b"}, {Program: "/bin/a", Arguments: []string{"\x00"}},
		{Program: "/bin/a", Arguments: []string{strings.Repeat("'", maxCommandLine/3)}},
	} {
		if line, err := commandLine(command, true); err == nil {
			t.Errorf("%.40q became %.40q", command, line)
		}
	}
	long := Command{Program: "/bin/echo", Arguments: []string{strings.Repeat("x", maxCommandLine-100)}}
	line, err := commandLine(long, false)
	must(t, err)
	for _, shell := range shells(t) {
		if output, err := exec.Command(shell, "-c", line).Output(); err != nil || len(output) != maxCommandLine-99 {
			t.Errorf("%s: %d %v", shell, len(output), err)
		}
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		" plain \n":        "plain",
		"a\nb\tc\r":        "a b c",
		"\x1b[2J\x07":      `\x1b[2J\x07`,
		"a\xffb":           `a\xffb`,
		"ab\u202edc\u200b": `ab\u202edc\u200b`,
		"añ€":              "añ€",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := printable(strings.Repeat("\xff", 1<<20)); len(got) > maxForeign+10 {
		t.Errorf("%d bytes", len(got))
	}
}

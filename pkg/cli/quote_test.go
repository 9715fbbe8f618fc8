package cli

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/kballard/go-shellquote"
)

// A command line that is shown can be typed again: a shell, and a batch, read
// the very same words.
func FuzzQuoteWords(f *testing.F) {
	for _, seed := range []string{"", "a b", "it's", "$(id)", "`id`", "a\nb", "~root", "#x", "a\\", "!bang", "{a,b}", "*", "=x", "--flag=a b", "é"} {
		f.Add(seed, "second")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		if strings.ContainsRune(one+two, 0) {
			t.Skip("no argument holds NUL")
		}
		words := []string{one, two}
		line := quoteWords(words)
		split, err := shellquote.Split(line)
		if err != nil || !slices.Equal(split, words) {
			t.Fatalf("%q became %q: %v", words, split, err)
		}
	})
}

func TestQuotedWordsInARealShell(t *testing.T) {
	words := []string{"it's", "$HOME", "`id`", "a\nb", "~", "#x", `a\`, "!!", "{a,b}", "*", "a=b", "-x", "x y", "\t", "é", ";", "&&"}
	out, err := exec.Command("bash", "-c", `printf '%s\0' `+quoteWords(words)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, words) {
		t.Errorf("bash read %q of %q", got, words)
	}
}

// Nothing that a line holds makes the reader of batches panic, and nothing
// secret-looking comes back in its errors.
func FuzzBatchLine(f *testing.F) {
	for _, seed := range []string{
		"user add ana --account acme", "user add ana --account acme --password=canary", "user set x --add-key 'a b'", "account disable x --reason",
		"user", "'", "user add -- -x", "user add x --generate-password=canary", "user add x -pcanary", "route add a b c", "user delete a b c", "--password=canary user add",
	} {
		f.Add(seed)
	}
	a := newApp(Process{})
	if err := a.register(); err != nil {
		f.Fatal(err)
	}
	forms := map[string]*form{}
	f.Fuzz(func(t *testing.T, line string) {
		_, err := a.batchLine(t.Context(), forms, line)
		rest := strings.ReplaceAll(" "+line, " --password=canary", "")
		if err != nil && !strings.Contains(rest, "canary") && strings.Contains(a.sentence(err), "canary") {
			t.Errorf("%q: %s", line, a.sentence(err))
		}
	})
}

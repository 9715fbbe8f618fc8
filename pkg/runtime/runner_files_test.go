package runtime

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestWhatIsDeclaredIsWholeOrRefused tries the ways in which a declaring part can
// write on its descriptor: nothing of it may be lost in silence.
func TestWhatIsDeclaredIsWholeOrRefused(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		count  int // of declarations; -1: refused
	}{
		"in order":                  {"need a\nneed b\n", 2},
		"from a subshell":           {"need a\n(need b)\nneed c\n", 3},
		"from a pipeline":           {"printf 'a\\nb\\n' | while read -r one; do need \"$one\"; done\nneed c\n", 3},
		"through another program":   {"need a\nawk 'BEGIN { printf \"3%c0%cneed%cb%c\", 0, 0, 0, 0 }' >&4\nneed c\n", 3},
		"emptied by its name":       {"need a\n: >/dev/fd/4\n", -1},
		"overwritten by its name":   {"need a\nprintf 'x' 1<>/dev/fd/4\n", -1},
		"left in the middle":        {"need a\nexit 0\n", -1},
		"more than fits in a pipe":  {"for ((n = 0; n < 20000; n++)); do need program; done\n", 20000},
		"nothing":                   {"\n", 0},
		"its end, and then another": {"printf '2\\0000\\0end\\0' >&4\n", -1},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := realRunner(t).Run(t.Context(), Child{Kind: ChildDeclare, Script: test.script, Timeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			declarations, err := parseDeclarations(result.Answer)
			refused := err != nil || result.ExitCode != 0
			if refused != (test.count < 0) || !refused && len(declarations) != test.count {
				t.Errorf("%d declarations, %v, exit code %d: %s", len(declarations), err, result.ExitCode, result.Output)
			}
		})
	}
}

func TestADeclaringPartCannotFillTheMemory(t *testing.T) {
	result, err := realRunner(t).Run(t.Context(), Child{
		Kind: ChildDeclare, Script: "head -c 300M /dev/zero >&4\n", Timeout: time.Minute,
	})
	if err != nil || result.ExitCode == 0 || len(result.Answer) > answerLimit {
		t.Errorf("%d bytes, exit code %d, %v", len(result.Answer), result.ExitCode, err)
	}
}

func TestTheLimitOfFilesIsThatOfAnswers(t *testing.T) {
	if want := fmt.Sprintf("-f %d ", answerLimit>>10); !strings.Contains(preludeDeclare, want) {
		t.Errorf("the prelude does not say %q", want)
	}
}

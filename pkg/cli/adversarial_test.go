package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orchestra/testdata/adversarial"
)

// Every adversarial value of a field that a noun has is taken through the real
// command line: refused with the exit code and the field, or given back as it was.
func TestAdversarialValues(t *testing.T) {
	cases, err := adversarial.Cases()
	if err != nil {
		t.Fatal(err)
	}
	// One panel is made, and its database copied: to make it takes longer than to use it.
	fresh, err := os.ReadFile(filepath.Join(newPanel(t).process.Directory, "orchestra.db"))
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			p := copiedPanel(t, fresh)
			problems, known := adversarial.Try(c, func(input string, arguments ...string) adversarial.Result {
				var out, errs bytes.Buffer
				p.process.Streams.In, p.process.Streams.Out, p.process.Streams.Err = strings.NewReader(input), &out, &errs
				code := Main(t.Context(), arguments, p.process)
				return adversarial.Result{Stdout: out.String(), Stderr: errs.String(), Code: code}
			})
			if !known {
				t.Skip("no noun has this field yet")
			}
			tried++
			for _, problem := range problems {
				t.Error(problem)
			}
		})
	}
	if tried < 50 {
		t.Errorf("only %d values were tried", tried)
	}
}

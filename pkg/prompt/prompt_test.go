package prompt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"orchestra/pkg/fault"
)

func asker(input string) (*Lines, *bytes.Buffer) {
	var out bytes.Buffer
	return NewLines(strings.NewReader(input), &out, EnglishWords(), nil), &out
}

func TestConfirmWantsAClearYes(t *testing.T) {
	for input, want := range map[string]bool{
		"y\n": true, "Yes\n": true, " y \n": true, "n\n": false, "\n": false, "": false, "yess\n": false, "ok\n": false, "y": true,
	} {
		a, _ := asker(input)
		got, err := a.Confirm(t.Context(), "Do this?")
		if err != nil || got != want {
			t.Errorf("%q: %v %v", input, got, err)
		}
	}
}

func TestSecretKeepsEverythingButTheLineEnd(t *testing.T) {
	a, out := asker(" lead-and-trail \nnext\n")
	got, err := a.Secret(t.Context(), "Password")
	if err != nil || got != " lead-and-trail " {
		t.Errorf("%q %v", got, err)
	}
	if out.String() != "Password: \n" {
		t.Errorf("shown: %q", out.String())
	}
	if got, err = a.Secret(t.Context(), "Again"); err != nil || got != "next" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := a.Secret(t.Context(), "More"); !fault.Is(err, fault.Interrupted) {
		t.Errorf("end of input: %v", err)
	}
}

func TestChooseTakesNumbersAndWords(t *testing.T) {
	a, _ := asker("9\nsftp\n1\n")
	choices := []string{"none", "sftp"}
	if i, err := a.Choose(t.Context(), "Access?", choices); err != nil || i != 1 {
		t.Errorf("%d %v", i, err)
	}
	if i, err := a.Choose(t.Context(), "Access?", choices); err != nil || i != 0 {
		t.Errorf("%d %v", i, err)
	}
}

func TestLineDefault(t *testing.T) {
	a, out := asker("\nbob\n")
	if got, err := a.Line(t.Context(), "Login", "root"); err != nil || got != "root" || out.String() != "Login [root]: " {
		t.Errorf("%q %v %q", got, err, out.String())
	}
	if got, err := a.Line(t.Context(), "Login", "root"); err != nil || got != "bob" {
		t.Errorf("%q %v", got, err)
	}
}

// A question that is interrupted returns at once, with the terminal as it was;
// what was typed meanwhile answers the next one.
func TestInterruptedQuestion(t *testing.T) {
	reader, writer := io.Pipe()
	defer writer.Close()
	quiet := 0
	a := NewLines(reader, io.Discard, EnglishWords(), func() (func(), error) {
		quiet++
		return func() { quiet-- }, nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := a.Secret(ctx, "Password"); !fault.Is(err, fault.Interrupted) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrInterrupted) {
		t.Fatalf("%v", err)
	}
	if quiet != 0 {
		t.Fatalf("the echo was not switched on again: %d", quiet)
	}
	go func() { _, _ = io.WriteString(writer, "late\n") }()
	if got, err := a.Secret(t.Context(), "Password"); err != nil || got != "late" {
		t.Fatalf("%q %v", got, err)
	}
}

func TestReadSecret(t *testing.T) {
	for _, c := range []struct {
		in, want string
		kind     fault.Kind
	}{
		{"plain\n", "plain", 0},
		{"plain", "plain", 0},
		{" spaces \n", " spaces ", 0},
		{"two\n\n", "two\n", 0}, // the policy refuses it, not the reader
		{"cr\r\n", "cr\r", 0},
		{"", "", fault.Usage},
		{"\n", "", fault.Usage},
		{strings.Repeat("x", SecretLimit+1), "", fault.Invalid},
	} {
		got, err := ReadSecret(strings.NewReader(c.in))
		if got != c.want || c.kind == 0 && err != nil || c.kind != 0 && !fault.Is(err, c.kind) {
			t.Errorf("%.20q: %.20q %v", c.in, got, err)
		}
	}
}

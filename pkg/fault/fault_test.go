package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
)

// TestExitCodesAreTheContract: scripts rely on these numbers.
func TestExitCodesAreTheContract(t *testing.T) {
	for kind, want := range map[fault.Kind]struct {
		code int
		word string
	}{
		fault.Internal: {1, "internal"}, fault.Usage: {2, "usage"}, fault.NotFound: {3, "not-found"},
		fault.Conflict: {4, "conflict"}, fault.Invalid: {5, "invalid"}, fault.Denied: {6, "denied"},
		fault.Unreachable: {7, "unreachable"}, fault.Failed: {8, "failed"}, fault.Unrecovered: {9, "unrecovered"},
		fault.Locked: {10, "locked"}, fault.Differences: {11, "differences"}, fault.Interrupted: {130, "interrupted"},
	} {
		if kind.ExitCode() != want.code || kind.String() != want.word {
			t.Errorf("%s has %d, want %s %d", kind, kind.ExitCode(), want.word, want.code)
		}
	}
}

func TestAnErrorSaysWhatWhereWhyAndWhatNext(t *testing.T) {
	cause := errors.New("disk full")
	inner := fault.New(fault.Conflict, "%s is taken", "acme").About("account.name").WithHint("orchestra account list").Because(cause)
	err := fmt.Errorf("plan: %w", inner)
	if err.Error() != "plan: account.name: acme is taken: disk full" {
		t.Errorf("it says %q", err)
	}
	if !fault.Is(err, fault.Conflict) || fault.Is(nil, fault.Internal) || fault.KindOf(cause) != fault.Internal {
		t.Error("kinds")
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	outer := fault.New(fault.Failed, "the operation failed").Because(err)
	if hint := fault.HintOf(outer); hint.String() != "orchestra account list" {
		t.Errorf("the hint is %q", hint)
	}
	if hint := fault.HintOf(cause); !hint.IsZero() {
		t.Errorf("the hint is %q", hint)
	}
	var _ message.Translator = outer
	if got := fault.Sentence(fmt.Errorf("while testing: %w", outer), "xx"); got != "while testing: "+outer.Error() {
		t.Errorf("the sentence is %q", got)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"name", "account", "full_name", "shell", "ssh.slots"}
	for word, want := range map[string]string{
		"nme": "name", "nmae": "name", "acount": "account", "fullname": "full_name", "sell": "shell", "ssh.slot": "ssh.slots",
		"": "", "zebra": "", "xyz": "", "n": "",
	} {
		if got := fault.Nearest(word, words); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		word := rapid.StringN(1, 60, -1).Draw(r, "word")
		if got := fault.Nearest(word, []string{"other", word}); got != word {
			r.Fatalf("nearest to itself is %q", got)
		}
	})
}

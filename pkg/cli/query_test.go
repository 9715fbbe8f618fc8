package cli

import (
	"errors"
	"testing"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

func TestWhatAQuestionEndsWith(t *testing.T) {
	silent := fault.New(fault.Unreachable, "no answer")
	if err := verdict(noun.Table{}); err != nil {
		t.Errorf("where all agrees: %v", err)
	}
	var code *exitCode
	if err := verdict(noun.Table{Differs: true}); !errors.As(err, &code) || code.code != 11 {
		t.Errorf("where something differs: %v", err)
	}
	// What differs is not all that does, where some could not be asked.
	if err := verdict(noun.Table{Differs: true, Failed: silent}); !fault.Is(err, fault.Unreachable) {
		t.Errorf("where a server was not reached: %v", err)
	}
}

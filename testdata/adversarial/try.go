package adversarial

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Result is how one command line ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs orchestra on a panel of its own with arguments and standard input.
type Run func(input string, arguments ...string) Result

// Exit codes of the published contract that a refusal may have.
const (
	codeUsage    = 2
	codeConflict = 4
	codeInvalid  = 5
)

// Try takes a case through the command line of a fresh panel and returns what
// is not as it should be; tried is false where no noun has the field yet.
func Try(c Case, run Run) (problems []string, tried bool) {
	value, err := c.Value()
	if err != nil {
		return nil, false
	}
	command, known := CommandFor(c, value)
	if !known || len(command.Arguments) == 0 || command.Impossible {
		return nil, known
	}
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s %s %.80q (%s): ", c.ID, c.Field, value, c.Why)+fmt.Sprintf(format, args...))
	}
	for _, setup := range command.Setup {
		if result := run("", setup...); result.Code != 0 {
			bad("setup %v ended with %d: %s", setup, result.Code, result.Stderr)
			return problems, true
		}
	}
	result := run(command.Input, command.Arguments...)
	if strings.ContainsFunc(result.Stderr, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == '\u202e' }) {
		bad("the message is not fit for a terminal: %q", result.Stderr)
	}
	switch {
	case result.Code == 0 && c.Expect == Reject && !strings.Contains(c.AlsoOK, "accept"):
		bad("it was accepted")
	case result.Code == 0 && command.Show != nil:
		roundTrip(c, command, value, run, bad)
	case result.Code != 0 && c.Expect == Accept && c.AlsoOK == "":
		bad("it was refused with %d: %s", result.Code, result.Stderr)
	case result.Code != 0:
		if result.Code != codeInvalid && result.Code != codeUsage && result.Code != codeConflict {
			bad("it was refused with the exit code %d: %s", result.Code, result.Stderr)
		}
		if result.Code == codeInvalid && !strings.Contains(result.Stderr, command.Field) && !strings.Contains(result.Stderr, flagOf(command.Field)) {
			bad("the message does not name the field %s: %s", command.Field, result.Stderr)
		}
	}
	return problems, true
}

// flagOf returns the flag of a field: "--full-name" of contact.full_name.
func flagOf(field string) string {
	_, name, _ := strings.Cut(field, ".")
	return "--" + strings.ReplaceAll(name, "_", "-")
}

// roundTrip reads an accepted value back.
func roundTrip(c Case, command Command, value string, run Run, bad func(string, ...any)) {
	result := run("", command.Show...)
	if result.Code != 0 {
		bad("it was accepted, and %v ended with %d: %s", command.Show, result.Code, result.Stderr)
		return
	}
	got, err := valueIn(result.Stdout, command.Key)
	if err != nil {
		bad("%v: %v", command.Show, err)
	} else if got != c.Wanted(value) {
		bad("it came back as %.80q, wanted %.80q", got, c.Wanted(value))
	}
}

// valueIn returns the value of a key of a JSON object, or of the first of a list of them.
func valueIn(text, key string) (string, error) {
	var read any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&read); err != nil {
		return "", fmt.Errorf("not JSON: %w", err)
	}
	if list, ok := read.([]any); ok && len(list) == 1 {
		read = list[0]
	}
	object, ok := read.(map[string]any)
	if !ok {
		return "", fmt.Errorf("no object: %.200s", text)
	}
	switch found := object[key].(type) {
	case []any:
		if len(found) == 1 {
			return fmt.Sprint(found[0]), nil
		}
		return "", fmt.Errorf("%s is a list of %d", key, len(found))
	case nil:
		return "", fmt.Errorf("%s is not there", key)
	default:
		return fmt.Sprint(found), nil
	}
}

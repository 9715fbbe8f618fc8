package runtime

import (
	"context"
	"fmt"
	"slices"
)

// refreshed is one key that a daemon is told of: `refresh FUNCTION KEY`. The
// function of acts.sh is called once for all keys whose objects changed, when
// daemons are reloaded, and again when an operation that came so far is undone;
// it makes the daemon agree with what is there.
type refreshed struct {
	Function string `json:"function"`
	Key      string `json:"key"`
	Object   string `json:"object,omitempty"` // "" where any change of the step counts
}

func newRefreshed(arguments []string, object string) (refreshed, error) {
	if len(arguments) != 2 {
		return refreshed{}, errArguments
	}
	r := refreshed{Function: arguments[0], Key: arguments[1], Object: object}
	if !isName(r.Function) {
		return r, fmt.Errorf("%q can't be the name of a function", printable(r.Function))
	}
	if !validActKey(r.Key) {
		return r, fmt.Errorf("%q can't be the key of a refresh", printable(r.Key))
	}
	return r, nil
}

// due returns the keys of a step by function, each once, in the order declared.
func (s *step) due() (functions []string, keys map[string][]string) {
	changed := map[string]bool{}
	for _, r := range s.Resources {
		if r.changes() {
			changed[r.Object], changed[""] = true, true
		}
	}
	keys = map[string][]string{}
	known := map[refreshed]bool{}
	for _, one := range s.Refreshed {
		if !changed[one.Object] {
			continue
		}
		if one.Object = ""; known[one] {
			continue
		}
		known[one] = true
		if len(keys[one.Function]) == 0 {
			functions = append(functions, one.Function)
		}
		keys[one.Function] = append(keys[one.Function], one.Key)
	}
	return functions, keys
}

// back is the state that a function is given for each key when an operation is undone.
const back = "back"

// refresh tells the daemons of what changed in a step, by the functions of its backend.
func (o *operation) refresh(ctx context.Context, s *step, goingBack bool) error {
	functions, all := s.due()
	for _, function := range functions {
		if o.machine.standIns {
			s.actions = append(s.actions, fmt.Sprintf("stand-in: %s (%d) announced, not done", function, len(all[function])))
			continue
		}
		for keys := range slices.Chunk(all[function], mostKeys) {
			child := Child{Kind: ChildAct, Script: s.Acts, Function: function, Timeout: s.Timeout, Arguments: keys, Input: refreshInput(keys, goingBack)}
			if _, err := o.run(ctx, s, child); err != nil {
				return err
			}
		}
		s.actions = append(s.actions, fmt.Sprintf("%s (%d)", function, len(all[function])))
	}
	return nil
}

// refreshInput is what prelude_act.sh reads: keys with their state; they have
// neither content nor a name in the trash.
func refreshInput(keys []string, goingBack bool) []byte {
	direction := ""
	if goingBack {
		direction = back
	}
	var input []byte
	for _, key := range keys {
		input = append(input, key+"\x00"+direction+"\x00\x00\x00"...)
	}
	return input
}

// refreshBack tells the daemons of what was put back.
func (o *operation) refreshBack(ctx context.Context) []error {
	var failed []error
	for _, s := range slices.Backward(o.steps) {
		if err := o.refresh(ctx, s, true); err != nil {
			failed = append(failed, inStep(s.Name, err))
		}
	}
	return failed
}

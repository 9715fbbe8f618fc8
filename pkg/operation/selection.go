package operation

import (
	"context"
	"slices"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// Selection says what is compared; an empty list is everything.
type Selection struct {
	Noun     string // "" is every noun
	Names    []string
	Account  string
	Servers  []string
	Backends []string
}

// whole tells whether all objects of each backend are selected, so that what none
// of them accounts for is left over.
func (s Selection) whole() bool { return len(s.Names) == 0 && s.Account == "" }

// check refuses what does not exist: nothing found there would be taken for no difference.
func (s Selection) check(installed Backends, tx *store.Tx, routed topology) error {
	for _, name := range s.Servers {
		if !slices.ContainsFunc(sortedKeys(routed.servers), func(id int64) bool { return routed.servers[id].Name == name }) {
			return fault.New(fault.NotFound, "there is no server %s", name).WithHint("orchestra server list")
		}
	}
	for _, name := range s.Backends {
		if installed.Backend(name) == nil {
			return missingBackend(name)
		}
	}
	if s.Noun == "" {
		return nil
	}
	declared := tx.Noun(s.Noun)
	if declared == nil {
		return fault.New(fault.NotFound, "there is no noun %s", s.Noun)
	}
	for _, told := range installed.ForNoun(s.Noun) {
		if told.Noun == s.Noun {
			return nil
		}
	}
	none := fault.New(fault.Usage, "no backend brings a %s onto servers: there is nothing to compare", s.Noun)
	if declared.IsAccount() {
		return none.WithHint("what an account has is compared by %s", "orchestra drift --account NAME")
	}
	return none.WithHint("orchestra backend list")
}

// wants tells whether a backend on a server is selected.
func (s Selection) wants(server Server, told *backend.Backend) bool {
	return told.Kind != backend.Measure && (s.Noun == "" || s.Noun == told.Noun) &&
		(len(s.Servers) == 0 || slices.Contains(s.Servers, server.Name)) &&
		(len(s.Backends) == 0 || slices.Contains(s.Backends, told.Name))
}

// concerns tells whether objects of a noun are to be looked at.
func (s Selection) concerns(installed Backends, name string) bool {
	return (s.Noun == "" || s.Noun == name) &&
		slices.ContainsFunc(installed.ForNoun(name), func(told *backend.Backend) bool { return told.Noun == name })
}

// account returns the selected account, 0 for every one.
func (s Selection) account(ctx context.Context, tx *store.Tx) (int64, error) {
	if s.Account == "" {
		return 0, nil
	}
	for _, declared := range tx.Nouns() {
		if declared.IsAccount() {
			row, err := tx.Find(ctx, declared.Name, s.Account)
			return row.ID, err
		}
	}
	return 0, fault.New(fault.Usage, "there are no accounts here")
}

// rows returns the selected objects of a noun. Each that is named must exist, or
// be owed as one that has gone.
func (s Selection) rows(ctx context.Context, tx *store.Tx, declared *noun.Noun, account int64, owed map[store.Placement]store.Dirty) ([]noun.Row, error) {
	var conditions []noun.Condition
	if len(s.Names) > 0 {
		values := make([]any, len(s.Names))
		for i, wanted := range s.Names {
			values[i] = wanted
		}
		conditions = append(conditions, noun.Where(declared.Key, values...))
	}
	rows, err := tx.Select(ctx, declared.Name, conditions...)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, row := range rows {
		known[row.Text(declared.Key)] = true
	}
	for _, mark := range owed {
		known[mark.Name] = known[mark.Name] || mark.Noun == declared.Name
	}
	for _, name := range s.Names {
		if !known[name] {
			return nil, fault.New(fault.NotFound, "there is no %s %q", declared.Name, noun.Excerpt(name)).WithHint("orchestra %s list", declared.Name)
		}
	}
	if account == 0 {
		return rows, nil
	}
	owners, err := tx.Owners(ctx, rows)
	if err != nil {
		return nil, err
	}
	var owned []noun.Row
	for i, row := range rows {
		if owners[i] == account {
			owned = append(owned, row)
		}
	}
	return owned, nil
}

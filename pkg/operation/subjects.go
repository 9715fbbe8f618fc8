package operation

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"orchestra/pkg/backend"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// subject is one object that backends are told about: as it was and as it is
// to be. Either row is nil where the object does not exist then.
type subject struct {
	noun    string
	id      int64
	name    string
	account int64
	before  *noun.Row
	after   *noun.Row
	// own says that it has changed itself; told that it or something related
	// has. Otherwise it is only looked at because the routes have changed.
	own, told bool
	sent      []store.Sent

	factsBefore noun.Facts
	factsAfter  noun.Facts
	targets     map[string]map[int64]bool // servers that the routes now say, by backend
	placed      map[string]map[int64]bool // servers where it is, by backend
	withPeers   map[string]map[string]any // facts with the addresses of peers, once for all servers
}

type subjectKey struct {
	noun string
	id   int64
}

// subjects are the objects of one plan, in the order in which they came up.
type subjects struct {
	order []*subject
	by    map[subjectKey]*subject
}

func newSubjects() *subjects { return &subjects{by: map[subjectKey]*subject{}} }

func (s *subjects) add(name string, id int64) *subject {
	key := subjectKey{name, id}
	found := s.by[key]
	if found == nil {
		found = &subject{noun: name, id: id, targets: map[string]map[int64]bool{}, placed: map[string]map[int64]bool{}}
		s.by[key] = found
		s.order = append(s.order, found)
	}
	return found
}

func (s *subjects) nouns() []string {
	var nouns []string
	for _, subject := range s.order {
		if !slices.Contains(nouns, subject.noun) {
			nouns = append(nouns, subject.noun)
		}
	}
	return nouns
}

func (s *subjects) of(name string) []*subject {
	var of []*subject
	for _, subject := range s.order {
		if subject.noun == name {
			of = append(of, subject)
		}
	}
	return of
}

// gather adds the objects that changes are about, and those related to them, in
// the state after the changes. related is asked of view, which sees that state.
func (c *Coordinator) gather(ctx context.Context, view *store.Tx, changes []noun.Change, into *subjects) error {
	byNoun := map[string][]noun.Change{}
	var order []string
	for _, change := range noun.Net(changes) {
		if len(byNoun[change.Noun]) == 0 {
			order = append(order, change.Noun)
		}
		byNoun[change.Noun] = append(byNoun[change.Noun], change)
	}
	for _, name := range order {
		for _, told := range c.options.Backends.ForNoun(name) {
			if told.Noun == name {
				for _, change := range byNoun[name] {
					s := into.add(name, change.ID)
					s.name, s.account, s.own, s.told = change.Name, change.Account, true, true
					s.before, s.after = rowOf(change, change.Before), rowOf(change, change.After)
				}
				break
			}
		}
	}
	for _, name := range order {
		for _, told := range c.options.Backends.ForNoun(name) {
			if told.Noun == name || !slices.Contains(told.Related, name) {
				continue
			}
			if err := c.gatherRelated(ctx, view, told, byNoun[name], into); err != nil {
				return err
			}
		}
	}
	return nil
}

// gatherRelated adds the objects of a backend that changed objects of another
// noun reference, or that reference those.
func (c *Coordinator) gatherRelated(ctx context.Context, view *store.Tx, told *backend.Backend, changes []noun.Change, into *subjects) error {
	theirs, ours := view.Noun(changes[0].Noun), view.Noun(told.Noun)
	if theirs == nil || ours == nil {
		return fmt.Errorf("the backend %s is about the nouns %s and %s, which are not both known", told.Name, told.Noun, changes[0].Noun)
	}
	var wanted []any
	for _, field := range theirs.Fields {
		if field.Reference != ours.Name {
			continue
		}
		for _, change := range changes {
			for _, values := range []noun.Values{change.Before, change.After} {
				if id, is := values[field.Name].(int64); is && id != 0 {
					wanted = append(wanted, id)
				}
			}
		}
	}
	var found []noun.Row
	if len(wanted) > 0 {
		rows, err := view.Select(ctx, ours.Name, noun.Where("id", wanted...))
		if err != nil {
			return err
		}
		found = append(found, rows...)
	}
	for _, field := range ours.Fields {
		if field.Reference != theirs.Name {
			continue
		}
		var ids []any
		for _, change := range changes {
			ids = append(ids, change.ID)
		}
		rows, err := view.Select(ctx, ours.Name, noun.Where(field.Name, ids...))
		if err != nil {
			return err
		}
		found = append(found, rows...)
	}
	return into.addRows(ctx, view, ours, found, true)
}

// addRows adds objects that exist after the changes.
func (s *subjects) addRows(ctx context.Context, view *store.Tx, declared *noun.Noun, rows []noun.Row, told bool) error {
	owners, err := view.Owners(ctx, rows)
	if err != nil {
		return err
	}
	for i, row := range rows {
		found := s.add(declared.Name, row.ID)
		found.told = found.told || told
		if found.after == nil {
			found.after, found.name, found.account = &row, row.Text(declared.Key), owners[i]
		}
	}
	return nil
}

// rowOf returns values as a row, nil for none.
func rowOf(change noun.Change, values noun.Values) *noun.Row {
	if values == nil {
		return nil
	}
	return &noun.Row{Noun: change.Noun, ID: change.ID, Values: values}
}

// pick returns the rows of subjects before or after, with where each came from.
func pick(of []*subject, which func(*subject) *noun.Row) (rows []noun.Row, from []*subject) {
	for _, s := range of {
		if row := which(s); row != nil {
			rows = append(rows, *row)
			from = append(from, s)
		}
	}
	return rows, from
}

func after(s *subject) *noun.Row { return s.after }

// sortedKeys returns the keys of a set in order.
func sortedKeys[K cmp.Ordered, V any](set map[K]V) []K {
	keys := make([]K, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

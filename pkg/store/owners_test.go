package store_test

import (
	"fmt"
	"testing"

	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// TestOwnersAreThoseOfEachRowInFewStatements compares with Account, which asks
// row by row.
func TestOwnersAreThoseOfEachRowInFewStatements(t *testing.T) {
	statements := 0
	o := options(t)
	o.Trace = func(string) { statements++ }
	s, err := store.Create(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	var objects []noun.Row
	for n := range 50 {
		account, name := fmt.Sprintf("acme%d", n%7), fmt.Sprintf("n%02d.example", n)
		if n < 7 {
			objects = append(objects, object("account", "name", account))
		}
		objects = append(objects, object("domain", "name", name, "account", account), object("record", "name", "www."+name, "domain", name))
	}
	add(t, s, append(objects, object("server", "name", "h11"))...)
	for name, most := range map[string]int{"account": 0, "domain": 0, "record": 1, "server": 0} {
		view(t, s, func(tx *store.Tx) {
			rows, err := tx.Select(t.Context(), name)
			must(t, err)
			before := statements
			owners, err := tx.Owners(t.Context(), rows)
			must(t, err)
			if asked := statements - before; asked > most {
				t.Errorf("%d statements for %d rows of %s, wanted %d", asked, len(rows), name, most)
			}
			for i, row := range rows {
				want, err := tx.Account(t.Context(), row)
				must(t, err)
				if owners[i] != want {
					t.Errorf("%s %d belongs to %d, not to %d", name, row.ID, want, owners[i])
				}
			}
		})
	}
}

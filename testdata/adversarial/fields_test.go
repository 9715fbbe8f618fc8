package adversarial_test

import (
	"maps"
	"slices"
	"testing"

	"orchestra/testdata/adversarial"
)

// The fields that no noun has yet are said aloud, so that nobody takes silence for proof.
func TestFieldsThatStillHaveNoNoun(t *testing.T) {
	cases, err := adversarial.Cases()
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < 600 {
		t.Errorf("only %d cases were read", len(cases))
	}
	missing, tried := map[string]int{}, 0
	for _, one := range cases {
		value, err := one.Value()
		if err != nil {
			missing[one.Field]++ // structured values are of nouns to come
			continue
		}
		if _, known := adversarial.CommandFor(one, value); known {
			tried++
		} else {
			missing[one.Field]++
		}
	}
	t.Logf("%d of %d cases have a noun", tried, len(cases))
	for _, field := range slices.Sorted(maps.Keys(missing)) {
		t.Logf("no noun yet: %s (%d cases)", field, missing[field])
	}
}

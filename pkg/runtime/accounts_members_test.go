package runtime

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestMembersAreFoundInTheirPlace(t *testing.T) {
	list := newMemberList([]string{"anna", "berta", "anna", "carla"})
	for range 2 * fewNames { // searched, then indexed
		for name, want := range map[string]struct {
			behind string
			is     bool
		}{"anna": {"", true}, "berta": {"anna", true}, "carla": {"anna", true}, "dora": {"", false}} {
			if behind, is := list.find(name); behind != want.behind || is != want.is {
				t.Errorf("%s: %q, %v", name, behind, is)
			}
		}
	}
	var none *memberList
	if _, is := none.find("anna"); is || none.has("anna") {
		t.Error("somebody is in a group that is not there")
	}
}

func TestMembersComeAndGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		names := rapid.SliceOf(name).Draw(t, "names")
		list := newMemberList(names)
		model := map[string]bool{}
		for _, name := range names {
			model[name] = true
		}
		given := slices.Clone(names)
		slices.Reverse(names) // whoever has the names goes on with them
		for range rapid.IntRange(0, 3*fewNames).Draw(t, "steps") {
			one := name.Draw(t, "name")
			if rapid.Bool().Draw(t, "set") {
				is := rapid.Bool().Draw(t, "is")
				list.set(one, is)
				model[one] = is
			}
			if list.has(one) != model[one] {
				t.Fatalf("%s of %q: %v", one, given, list.has(one))
			}
		}
	})
}

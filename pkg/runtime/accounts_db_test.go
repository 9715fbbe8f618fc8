package runtime

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// editSlowly is what editLines promises, line by line.
func editSlowly(data string, edits map[string]lineEdit, order []string) string {
	var lines []string
	if data != "" {
		lines = strings.Split(strings.TrimSuffix(data, "\n"), "\n")
	}
	ended := data == "" || strings.HasSuffix(data, "\n")
	var out []string
	nis := slices.IndexFunc(lines, func(line string) bool { return line != "" && (line[0] == '+' || line[0] == '-') })
	added := func() {
		for _, name := range order {
			if edit := edits[name]; edit.from == "" && edit.to != "" {
				out = append(out, edit.to)
			}
		}
	}
	changedLast := false
	for i, line := range lines {
		if i == nis {
			added()
		}
		name, _, _ := strings.Cut(line, ":")
		edit, ok := edits[name]
		changedLast = false
		switch {
		case !ok || edit.from == "" || lineName([]byte(line)) == nil:
			out = append(out, line)
		case edit.to != "":
			out = append(out, edit.to)
			changedLast = true
		}
	}
	if nis < 0 {
		before := len(out)
		added()
		changedLast = changedLast || len(out) > before
	}
	if len(out) == 0 {
		return ""
	}
	text := strings.Join(out, "\n")
	if ended || changedLast || len(lines) > 0 && out[len(out)-1] != lines[len(lines)-1] {
		text += "\n"
	}
	return text
}

// tables are files of accounts as one meets them: with odd lines.
func tables() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		count := rapid.IntRange(0, 40).Draw(t, "lines")
		var lines []string
		for i := range count {
			lines = append(lines, rapid.SampledFrom([]string{
				fmt.Sprintf("user%d:x:%d:%d::/home/user%d:/bin/sh", i, 1000+i, 1000+i, i),
				"# a comment", "", "odd", " user1:x:1:1", "user:x:2:2", ":empty:0:", "xuser1:x:3:3", "user1x:x:4:4",
			}).Draw(t, "line"))
		}
		if rapid.IntRange(0, 4).Draw(t, "NIS") == 0 {
			lines = append(lines, "+::::::", "user99:x:99:99")
		}
		text := strings.Join(lines, "\n")
		if text != "" && rapid.IntRange(0, 3).Draw(t, "ended") > 0 {
			text += "\n"
		}
		return text
	})
}

func TestEditingKeepsAllOtherLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := tables().Draw(t, "table")
		edits, order := map[string]lineEdit{}, []string{}
		for range rapid.IntRange(0, 30).Draw(t, "edits") {
			name := fmt.Sprintf("user%d", rapid.IntRange(0, 45).Draw(t, "user"))
			if _, twice := edits[name]; twice {
				continue
			}
			edit := lineEdit{}
			found, err := lookUpLines([]byte(data), map[string]bool{name: true})
			if err != nil {
				continue
			}
			edit.from = found[name]
			if edit.from == "" || rapid.Bool().Draw(t, "stays") {
				edit.to = name + ":new:" + rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "text")
			}
			edits[name], order = edit, append(order, name)
		}
		got := string(editLines([]byte(data), edits, order))
		if want := editSlowly(data, edits, order); got != want {
			t.Fatalf("%q\nwith %v\nbecame %q\nnot    %q", data, edits, got, want)
		}
	})
}

func TestWhatIsTakenOutComesBackInItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := tables().Draw(t, "table")
		if data != "" && !strings.HasSuffix(data, "\n") {
			data += "\n"
		}
		forward, back, names := map[string]lineEdit{}, map[string]lineEdit{}, map[string]bool{}
		var order []string
		for range rapid.IntRange(0, 30).Draw(t, "edits") {
			name := fmt.Sprintf("user%d", rapid.IntRange(0, 45).Draw(t, "user"))
			if found, err := lookUpLines([]byte(data), map[string]bool{name: true}); err == nil && found[name] != "" && !names[name] {
				names[name], order = true, append(order, name)
				forward[name] = lineEdit{from: found[name]}
				back[name] = lineEdit{to: found[name]}
			}
		}
		for name, key := range linesBefore([]byte(data), names) {
			edit := back[name]
			edit.after, edit.known = key, true
			back[name] = edit
		}
		out := editLines([]byte(data), forward, order)
		if got := string(editLines(out, back, order)); !sameUpToTwins(got, data) {
			t.Fatalf("%q\nwithout %q\ncame back as %q", data, order, got)
		}
	})
}

// sameUpToTwins compares tables in which a line may be there twice: then one
// that comes back may stand behind the other of them.
func sameUpToTwins(got, want string) bool {
	if got == want {
		return true
	}
	twins := map[string]int{}
	for line := range strings.Lines(want) {
		twins[lineKey([]byte(line))]++
	}
	for _, count := range twins {
		if count > 1 {
			a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
			slices.Sort(a)
			slices.Sort(b)
			return slices.Equal(a, b)
		}
	}
	return false
}

func TestFewAndManyAreFoundAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(tables().Draw(t, "table"))
		names, numbers := map[string]bool{}, map[uint32]bool{}
		for i := range 60 {
			names[fmt.Sprintf("user%d", i)] = true
			numbers[uint32(1000+i)] = true
		}
		names["user"], names["xuser1"], numbers[1], numbers[2] = true, true, true, true
		many, manyErr := lookUpLines(data, names)
		byNumber := lookUpNumbers(data, numbers)
		for name := range names {
			one, err := lookUpLines(data, map[string]bool{name: true})
			if err != nil && manyErr == nil || one[name] != many[name] && err == nil {
				t.Fatalf("%s: %q, among many %q", name, one[name], many[name])
			}
		}
		for number := range numbers {
			if one := lookUpNumbers(data, map[uint32]bool{number: true}); one[number] != byNumber[number] {
				t.Fatalf("%d: %q, among many %q", number, one[number], byNumber[number])
			}
		}
	})
}

func TestMembersComeBackInTheirPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-e][0-9]`), 0, 12, rapid.ID).Draw(t, "members")
		line := groupLine{head: "g:x:1:", members: slices.Clone(members)}
		behind := map[string][]string{}
		for _, i := range rapid.Permutation(indices(len(members))).Draw(t, "order") {
			if rapid.Bool().Draw(t, "goes") {
				before := ""
				if i > 0 {
					before = members[i-1]
				}
				behind[before] = append(behind[before], members[i])
				line.remove(members[i])
			}
		}
		line.comeBack(behind)
		if !slices.Equal(line.members, members) {
			t.Fatalf("%v came back as %v", members, line.members)
		}
	})
}

func indices(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

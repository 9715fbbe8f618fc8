package runtime

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDeclarationsAreReadBack(t *testing.T) {
	word := rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r != 0 }))
	rapid.Check(t, func(t *rapid.T) {
		var all []declaration
		var answer []byte
		for range rapid.IntRange(0, 20).Draw(t, "declarations") {
			d := declaration{
				Object:    rapid.IntRange(0, 1000).Draw(t, "object"),
				Verb:      rapid.StringMatching(`[a-df-z]{1,8}`).Draw(t, "verb"),
				Arguments: rapid.SliceOfN(word, 0, maxArguments).Draw(t, "arguments"),
			}
			all, answer = append(all, d), AppendDeclaration(answer, d.Object, d.Verb, d.Arguments...)
		}
		whole := EndDeclarations(bytes.Clone(answer))
		parsed, err := parseDeclarations(whole)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(all, parsed, func(a, b declaration) bool {
			return a.Object == b.Object && a.Verb == b.Verb && slices.Equal(a.Arguments, b.Arguments)
		}) {
			t.Fatal(cmp.Diff(all, parsed))
		}
		cut := rapid.IntRange(0, len(whole)-1).Draw(t, "cut")
		if _, err := parseDeclarations(whole[:cut]); err == nil {
			t.Fatalf("cut off after %d of %d bytes, it is accepted", cut, len(whole))
		}
	})
}

func TestADeclarationNamesFunctionsThatThereAre(t *testing.T) {
	for _, words := range [][]string{
		{"act", "quota", "acme", "f", "probe_database", "", "later"}, {"check", "f"}, {"refresh", "f", "example.org"}, {"park-kind", "database", "shop"},
	} {
		answer := EndDeclarations(AppendDeclaration(nil, 0, words[0], words[1:]...))
		acts := "f() { :; }\nprobe_database() { :; }\npark_database() { :; }\nrestore_database() { :; }\npurge_database() { :; }\n"
		if err := CheckDeclarations(answer, acts); err != nil {
			t.Errorf("%q: %v", words, err)
		}
		if err := CheckDeclarations(answer, "g() { :; }\n"); err == nil || !strings.Contains(err.Error(), "does not define") {
			t.Errorf("%q names what is not there, and the check says %v", words, err)
		}
	}
}

func FuzzScopes(f *testing.F) {
	f.Add("user\x0070000-99999")
	f.Add("file\x00/etc/ssh/orchestra/keys\x00all")
	f.Add("entry\x00/etc/passwd\x00all\x00colon")
	f.Fuzz(func(t *testing.T, text string) {
		own, err := parseScope(strings.Split(text, "\x00"))
		if err != nil {
			return
		}
		first, last, err := idRange(own.value)
		switch own.kind {
		case kindUser, kindGroup:
			if err != nil || first > last {
				t.Errorf("%q was read as a range from %d to %d: %v", text, first, last, err)
			}
		case kindMember:
			if !validAccount(own.value) {
				t.Errorf("%q was read as a group", text)
			}
		default:
			if checkPath(own.value) != nil {
				t.Errorf("%q was read as a path", text)
			}
		}
	})
}

func FuzzDeclarations(f *testing.F) {
	f.Add(EndDeclarations(AppendDeclaration(nil, 1, "file", "/x", "root", "root", "0644", "x")))
	f.Add([]byte("3\x000\x00check\x00x\x002\x000\x00end\x00"))
	f.Add([]byte("999999999\x00"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		all, err := parseDeclarations(answer)
		if err != nil {
			return
		}
		var again []byte
		for _, d := range all {
			again = AppendDeclaration(again, d.Object, d.Verb, d.Arguments...)
		}
		if !bytes.Equal(EndDeclarations(again), answer) {
			t.Fatalf("%q was read as %v", answer, all)
		}
	})
}

func FuzzObjects(f *testing.F) {
	f.Add("#\x1f1\x1e0\x1ehome\x1ekeys\x1e\x1f.\n\x1fsave\x1fuser\x1f1\x1fa\x1f/home/a\x1fk\x1e\x1f.\n")
	f.Add("%\x1fsave\x1fuser\x1f1\x1fa\\0012\x1f.\n")
	f.Fuzz(func(t *testing.T, text string) {
		objects, err := DecodeObjects(text)
		if err == nil && len(objects) > strings.Count(text, "\n") {
			t.Fatal("more objects than lines")
		}
	})
}

func FuzzStateLog(f *testing.F) {
	line, _ := encodeLine(stateLine{State: "staged", Units: []string{"cron"}})
	f.Add(line, 0)
	f.Add(append(line, line[:20]...), 3)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		before, err := decodeHistory(data)
		if err != nil {
			return
		}
		// A line that is cut off anywhere changes nothing.
		more, err := encodeLine(stateLine{State: "kept"})
		if err != nil {
			t.Fatal(err)
		}
		if before.torn {
			data = append(data, '\n')
		}
		torn := append(bytes.Clone(data), more[:min(max(cut, 0), len(more)-1)]...)
		after, err := decodeHistory(torn)
		if err != nil || after.State != before.State {
			t.Fatalf("%q became %q, %v", before.State, after.State, err)
		}
		whole, err := decodeHistory(append(data, more...))
		if err != nil || whole.State != "kept" {
			t.Fatalf("a whole line does not count: %q %v", whole.State, err)
		}
	})
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m \u202e \xff\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		shown := printable(text)
		acts := func(r rune) bool {
			return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
		}
		if !utf8.ValidString(shown) || strings.ContainsFunc(shown, acts) {
			t.Fatalf("%q", shown)
		}
		if printable(shown) != shown {
			t.Fatal("not stable")
		}
		if encoded, err := json.Marshal(shown); err != nil || bytes.Contains(encoded, []byte("\ufffd")) && !strings.Contains(text, "\ufffd") {
			t.Fatal(err)
		}
	})
}

func TestCappedKeepsHeadAndTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out capped
		var all []byte
		for range rapid.IntRange(0, 8).Draw(t, "writes") {
			piece := bytes.Repeat([]byte{byte(rapid.IntRange('a', 'z').Draw(t, "letter"))}, rapid.IntRange(0, 40000).Draw(t, "size"))
			all = append(all, piece...)
			if n, err := out.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		text := out.String()
		if len(all) <= outputHead+outputTail {
			if text != string(all) {
				t.Fatal("something is missing")
			}
			return
		}
		if text[:outputHead] != string(all[:outputHead]) || text[len(text)-outputTail:] != string(all[len(all)-outputTail:]) {
			t.Fatal("head or tail is wrong")
		}
	})
}

func TestEntriesOfOthersStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom([]string{formatLines, formatColon}).Draw(t, "format")
		separator := map[string]string{formatLines: rapid.SampledFrom([]string{" ", "\t", "  \t "}).Draw(t, "separator"), formatColon: ":"}[format]
		var lines []string
		keys := rapid.Permutation([]string{"a", "b", "c", "d", "e", "aa"}).Draw(t, "keys")
		for _, key := range keys[:rapid.IntRange(0, 6).Draw(t, "there")] {
			lines = append(lines, rapid.SampledFrom([]string{"# comment", "", "#a x", key + separator + "value of " + key}).Draw(t, "line"))
		}
		data := strings.Join(lines, "\n")
		if data != "" && rapid.IntRange(0, 3).Draw(t, "ended") > 0 {
			data += "\n"
		}
		var group []*resource
		for _, key := range []string{"a", "b", "aa", "z"} {
			if rapid.Bool().Draw(t, key) {
				r := &resource{Name: key, Format: format, where: "/map"}
				if rapid.Bool().Draw(t, key+" stays") {
					r.After = &state{Text: "new value"}
				}
				group = append(group, r)
			}
		}
		if len(group) == 0 {
			return
		}
		found, _, err := findEntries([]byte(data), group)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range group {
			if entry, ok := found[r.Name]; ok {
				r.Before, r.Line, r.Behind = &state{Text: entry.value}, entry.line, map[string]string{"": entry.behind}
			}
		}
		edited, failed := editEntries([]byte(data), group, false)
		if failed != nil {
			t.Fatal(failed)
		}
		after, _, err := findEntries(edited, group)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range group {
			if _, ok := after[r.Name]; ok != (r.After != nil) || ok && after[r.Name].value != r.After.Text {
				t.Fatalf("%s: %v in %q", r.Name, after[r.Name], edited)
			}
		}
		for _, line := range lines {
			key, _ := entryKey(line, format)
			ours := slices.ContainsFunc(group, func(r *resource) bool { return r.Name == key && key != "" })
			if !ours && !strings.Contains("\n"+string(edited)+"\n", "\n"+line+"\n") {
				t.Fatalf("%q is gone from %q", line, edited)
			}
		}
		// Back, every line is there again, in its place where that can be told.
		back, failed := editEntries(edited, group, true)
		if failed != nil {
			t.Fatal(failed)
		}
		if unique(lines) && !slices.Contains(lines, "") && data != "" {
			if strings.TrimSuffix(string(back), "\n") != strings.TrimSuffix(data, "\n") {
				t.Fatalf("%q came back as %q", data, back)
			}
		}
		was, is := strings.Split(strings.TrimSuffix(data, "\n"), "\n"), strings.Split(strings.TrimSuffix(string(back), "\n"), "\n")
		slices.Sort(was)
		slices.Sort(is)
		if !slices.Equal(was, is) {
			t.Fatalf("%q came back as %q", data, back)
		}
	})
}

func unique(lines []string) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(lines)))) == len(lines)
}

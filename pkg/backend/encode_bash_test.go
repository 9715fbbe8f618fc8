package backend

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orchestra/pkg/noun"
	"orchestra/pkg/runtime"
	"orchestra/pkg/settings"
)

// hostile are values that have broken encoders of others.
var hostile = []string{
	"", " ", "a b", "\n", "a\nb\n", "\\", "\\n", "\\0", "\\\\", "\x1f", "\x1e", ".", "#", "a\x1fb", "$(id)", "`id`", "${x}", "'", "\"",
	"*", "?", "[a]", "~", "-n", "-e", "%s", "%b", "\x01", "\x7f", "\t", "\r\n", "ü", "😀", "\u202e", "a=b", "!!", "\\c", "\\x41", "\\101",
	"=", "[]", "@action", "x\\\x1f", strings.Repeat("x", 5000),
}

func texts() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom(hostile),
		rapid.StringOf(rapid.OneOf(rapid.SampledFrom([]rune("\\\n\t\x1e\x1f .#*$`'\"%&;|<>()[]{}~!abc01\x7f\x01ü€")), rapid.Rune())),
	).Filter(func(s string) bool { return !strings.ContainsAny(s, "\x00\x10\x11") && s == strings.ToValidUTF8(s, "") })
}

func objects() *rapid.Generator[[]Object] {
	facts := rapid.MapOfN(rapid.StringMatching(`[a-z][a-z0-9_]{0,6}`), rapid.OneOf(
		texts().AsAny(),
		rapid.SliceOfN(texts(), 0, 4).AsAny(),
		rapid.Int64().AsAny(), rapid.Bool().AsAny(),
		rapid.Map(texts(), func(s string) noun.Content { return noun.Content(s) }).AsAny(),
		rapid.Map(texts(), func(s string) noun.Confidential { return noun.Confidential(s) }).AsAny(),
	), 0, 6)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Object {
		object := Object{
			Action: rapid.SampledFrom([]string{"save", "delete", "set-password"}).Draw(t, "action"),
			Noun:   "user", ID: rapid.Int64().Draw(t, "id"), Name: texts().Draw(t, "name"),
			Facts: facts.Draw(t, "facts"),
		}
		if rapid.Bool().Draw(t, "new") {
			object.Before = facts.Draw(t, "before")
		}
		return object
	}), 0, 6)
}

// expected is what a backend should be told about an object.
func expected(object Object, contents map[string]string) map[string]string {
	told := map[string]string{"@action": object.Action, "@noun": object.Noun, "@id": fmt.Sprint(object.ID), "@name": object.Name}
	for prefix, values := range map[string]map[string]any{"": object.Facts, "before.": object.Before} {
		for name, value := range values {
			switch v := value.(type) {
			case []string:
				told[prefix+name] = fmt.Sprintf("list %q", v)
			case bool:
				told[prefix+name] = map[bool]string{true: "1", false: ""}[v]
			case noun.Content:
				told[prefix+name] = toldContent(prefix, string(v))
			case noun.Confidential:
				told[prefix+name] = toldContent(prefix, string(v))
			default:
				told[prefix+name] = fmt.Sprint(v)
			}
		}
	}
	return told
}

// toldContent is what is told of a content: what it was before is not.
func toldContent(prefix, text string) string {
	if text == "" || prefix != "" {
		return ""
	}
	return "content " + text
}

func TestRecordsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := objects().Draw(t, "objects")
		records, items, err := EncodeObjects(all)
		if err != nil {
			t.Fatal(err)
		}
		contents := map[string]string{}
		for _, item := range items {
			contents[item.Reference] = string(item.Data)
		}
		decoded, err := runtime.DecodeObjects(records)
		if err != nil {
			t.Fatal(err)
		}
		if len(decoded) != len(all) {
			t.Fatalf("%d objects became %d", len(all), len(decoded))
		}
		for i, object := range decoded {
			told := map[string]string{"@action": object.Action, "@noun": object.Noun, "@id": object.ID, "@name": object.Name}
			for prefix, facts := range map[string]map[string]string{"": object.Facts, "before.": object.Before} {
				for name, value := range facts {
					if content, ok := contents[value]; ok {
						value = "content " + content
					}
					told[prefix+name] = value
				}
			}
			for prefix, lists := range map[string]map[string][]string{"": object.Lists, "before.": object.BeforeLists} {
				for name, value := range lists {
					told[prefix+name] = fmt.Sprintf("list %q", value)
				}
			}
			if difference := cmp.Diff(expected(all[i], contents), told); difference != "" {
				t.Fatal(difference)
			}
		}
	})
}

// echo is a backend that declares all that it is told, as entries of acts.
const echo = `
tell() { printf '%s\0' 5 "$_object" told "$1" "$2" "$3" >&4; }
on_object() {
  tell @action text "$action"
  tell @noun text "$noun"
  tell @id text "$id"
  tell @name text "$name"
  local key element
  local -a elements
  for key in "${!fact[@]}"; do tell "$key" text "${fact[$key]}"; done
  for key in "${!before[@]}"; do tell "before.$key" text "${before[$key]}"; done
  for key in "${!_lists[@]}"; do
    list "$key" elements
    tell "$key" list "${#elements[@]}"
    for element in "${elements[@]}"; do tell "$key" element "$element"; done
  done
}
each_object on_object
`

func TestBashReadsWhatWasWritten(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("LEFT OUT: bash is not installed")
	}
	prelude, err := os.ReadFile("../runtime/prelude_declare.sh")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		all := objects().Draw(t, "objects")
		records, items, err := EncodeObjects(all)
		if err != nil {
			t.Fatal(err)
		}
		contents := map[string]string{}
		for _, item := range items {
			contents[item.Reference] = string(item.Data)
		}
		told := throughBash(t, bash, string(prelude)+echo, records, contents)
		if len(told) != len(all) {
			t.Fatalf("%d objects became %d", len(all), len(told))
		}
		for i := range all {
			if difference := cmp.Diff(expected(all[i], contents), told[i]); difference != "" {
				t.Fatal(difference)
			}
		}
	})
}

func TestBashIsToldSettingsWithAndWithoutObjects(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("LEFT OUT: bash is not installed")
	}
	prelude, err := os.ReadFile("../runtime/prelude_declare.sh")
	if err != nil {
		t.Fatal(err)
	}
	tell := `tell() { printf '%s\0' 5 0 told @action text "$1" >&4; }
each_object true
tell "${setting[unix.first_id]} ${setting[database]}"
`
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.OneOf(rapid.Just([]Object(nil)), objects()).Draw(t, "objects")
		current := settings.Default()
		current.Unix.FirstID = rapid.Int64Range(1000, 1<<31).Draw(t, "first")
		current.Database = rapid.StringMatching(`/[^\x00\x10\x11]{0,20}`).Draw(t, "database")
		told, err := EncodeSettings([]string{"unix.first_id", "database"}, current)
		if err != nil {
			t.Fatal(err)
		}
		records, _, err := EncodeObjects(all)
		if err != nil {
			t.Fatal(err)
		}
		if decoded, err := runtime.DecodeObjects(told + records); err != nil || len(decoded) != len(all) {
			t.Fatal(len(decoded), len(all), err)
		}
		want := fmt.Sprintf("%d %s", current.Unix.FirstID, current.Database)
		if got := throughBash(t, bash, string(prelude)+tell, told+records, nil); len(got) != 1 || got[0]["@action"] != want {
			t.Fatalf("%q became %q", want, got)
		}
	})
}

// throughBash returns what a backend in bash was told about each object.
func throughBash(t *rapid.T, bash, script, records string, contents map[string]string) []map[string]string {
	input, output := temporary(t, records), temporary(t, "")
	defer input.Close()
	defer output.Close()
	command := exec.Command(bash, "--noprofile", "--norc", "-c", script)
	command.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	command.ExtraFiles = []*os.File{input, output}
	if text, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	answer, err := os.ReadFile(output.Name())
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Split(string(answer), "\x00")
	var all []map[string]string
	lists := map[string][]string{}
	for ; len(fields) >= 6; fields = fields[6:] {
		key, kind, value := fields[3], fields[4], fields[5]
		if key == "@action" {
			all = append(all, map[string]string{})
			lists = map[string][]string{}
		}
		told := all[len(all)-1]
		switch kind {
		case "list":
			lists[key] = []string{}
			told[key] = fmt.Sprintf("list %q", lists[key])
		case "element":
			lists[key] = append(lists[key], value)
			told[key] = fmt.Sprintf("list %q", lists[key])
		default:
			if content, ok := contents[value]; ok {
				value = "content " + content
			}
			told[key] = value
		}
	}
	return all
}

func temporary(t *rapid.T, content string) *os.File {
	file, err := os.CreateTemp("", "records")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(file.Name()) })
	if _, err := file.WriteString(content); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	return file
}

func FuzzDecodeObjects(f *testing.F) {
	records, _, _ := EncodeObjects([]Object{
		{Action: "save", Noun: "user", ID: 1, Name: "a", Facts: map[string]any{"x": "y\n", "l": []string{"1", ""}}},
		{Action: "delete", Noun: "user", ID: 1, Name: "b", Facts: map[string]any{}, Before: map[string]any{"l": []string{}}},
	})
	f.Add(records)
	f.Add("#\x1f1\x1f0\x1f.\n")
	f.Add("=\x1funix.first_id\x1f7\\0101\x1f.\n")
	f.Fuzz(func(t *testing.T, records string) {
		_, _ = runtime.DecodeObjects(records) // it may refuse; it may not panic
	})
}

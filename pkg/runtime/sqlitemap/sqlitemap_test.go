package sqlitemap

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// file writes a map to a file.
func file(t testing.TB, name string, entries map[string]string) string {
	t.Helper()
	content, err := New(entries)
	must(t, err, os.WriteFile(name, content, 0o640))
	return name
}

// set is an edit that asks nothing.
func set(edits map[string]*string) func(map[string]string) (map[string]*string, error) {
	return func(map[string]string) (map[string]*string, error) { return edits, nil }
}

// query asks the program, which shares no code with ours.
func query(t *testing.T, name, statement string) string {
	t.Helper()
	output, err := exec.Command("sqlite3", "-readonly", name, statement).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return strings.TrimSpace(string(output))
}

func TestAMapIsReadByOthers(t *testing.T) {
	name := file(t, filepath.Join(t.TempDir(), "ma p%3f?#.db"), map[string]string{"a@example.org": "acme", "b": "x"})
	one, two := "changed", "it's \"new\""
	must(t, Edit(name, []string{"b"}, func(found map[string]string) (map[string]*string, error) {
		if !maps.Equal(found, map[string]string{"b": "x"}) {
			t.Errorf("found %q", found)
		}
		return map[string]*string{"a@example.org": &one, "b": nil, "c": &two}, nil
	}))
	if got := query(t, name, "SELECT key || '=' || value FROM map ORDER BY key"); got != "a@example.org=changed\nc="+two {
		t.Errorf("%q", got)
	}
	if got := query(t, name, "PRAGMA integrity_check; PRAGMA journal_mode"); got != "ok\ndelete" {
		t.Errorf("%q", got)
	}
}

func TestAnEditThatFailsChangesNothing(t *testing.T) {
	name := file(t, filepath.Join(t.TempDir(), "map"), map[string]string{"a": "1"})
	before, err := os.ReadFile(name)
	must(t, err)
	refused := errors.New("refused")
	if err := Edit(name, []string{"a"}, func(map[string]string) (map[string]*string, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
	must(t, Edit(name, []string{"a"}, set(nil)))
	after, err := os.ReadFile(name)
	must(t, err)
	if string(before) != string(after) {
		t.Error("the file has changed")
	}
}

func TestWhatIsNoMapIsRefused(t *testing.T) {
	directory := t.TempDir()
	for name, content := range map[string]string{"text": strings.Repeat("a b\n", 100), "empty": "", "short": "SQLite format 3\x00"} {
		path := filepath.Join(directory, name)
		must(t, os.WriteFile(path, []byte(content), 0o600))
		if err := Check([]byte(content)); !errors.Is(err, ErrNoMap) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := Find(path, []string{"a"}); !errors.Is(err, ErrNoMap) {
			t.Errorf("%s: %v", name, err)
		}
		if err := Edit(path, []string{"a"}, set(nil)); !errors.Is(err, ErrNoMap) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, statement := range map[string]string{
		"other": "CREATE TABLE other (key TEXT PRIMARY KEY, value TEXT)", "no key": "CREATE TABLE map (key TEXT, value TEXT)",
		"no value": "CREATE TABLE map (key TEXT PRIMARY KEY)", "two keys": "CREATE TABLE map (key TEXT, value TEXT, PRIMARY KEY (key, value))",
	} {
		path := filepath.Join(directory, name)
		must(t, exec.Command("sqlite3", path, statement).Run())
		if _, _, err := Find(path, []string{"a"}); !errors.Is(err, ErrNoMap) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(directory, "log")
	must(t, exec.Command("sqlite3", path, "PRAGMA journal_mode=WAL; "+schema).Run())
	content, err := os.ReadFile(path)
	must(t, err)
	if err := Check(content); !errors.Is(err, ErrLog) {
		t.Error(err)
	}
	missing := filepath.Join(directory, "missing")
	if _, _, err := Find(missing, nil); err == nil {
		t.Error("what is not there was read")
	}
	if _, err := os.Stat(missing); !errors.Is(err, os.ErrNotExist) {
		t.Error("what was to be read was made")
	}
}

func TestAnyKeyAndValueComesBack(t *testing.T) {
	name := file(t, filepath.Join(t.TempDir(), "map"), nil)
	want := map[string]string{}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-c%_'";\\\n -]{0,4}`), rapid.Map(rapid.SliceOfN(rapid.ByteRange(1, 255), 0, 20), func(b []byte) string { return string(b) }))
		edits := map[string]*string{}
		var keys []string
		for range rapid.IntRange(1, 5).Draw(t, "edits") {
			key, value := text.Draw(t, "key"), text.Draw(t, "value")
			if strings.ContainsRune(key+value, 0) {
				continue // no declaration can hold one
			}
			if edits[key] = &value; rapid.IntRange(0, 3).Draw(t, "goes") == 0 {
				edits[key] = nil
			}
			keys = append(keys, key)
		}
		if err := Edit(name, keys, set(edits)); err != nil {
			t.Fatal(err)
		}
		for key, value := range edits {
			if delete(want, key); value != nil {
				want[key] = *value
			}
		}
		found, empty, err := Find(name, append(keys, "none of them\x01"))
		if err != nil || empty != (len(want) == 0) {
			t.Fatal(empty, err)
		}
		for _, key := range keys {
			value, there := want[key]
			if got, ok := found[key]; ok != there || got != value {
				t.Fatalf("%q: %q instead of %q", key, got, value)
			}
		}
	})
}

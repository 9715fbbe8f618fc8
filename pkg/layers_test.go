// Package pkg_test holds the arrows between the packages: each layer imports
// only downwards, and each outside library has one place where it may be.
package pkg_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// layers lists the packages from the top down; a package may import those of
// lower layers only, so that packages in one layer do not know each other. The design
// also has access and billing, which are not there yet: their places are kept.
var layers = [][]string{
	{"orchestra/cmd/orchestra"},
	{"orchestra/pkg/cli"},
	{"orchestra/pkg/operation"},
	{"orchestra/pkg/store"},
	{"orchestra/pkg/backend"},
	{"orchestra/pkg/remote"},
	{"orchestra/backends"},
	{"orchestra/pkg/runtime"},
	{"orchestra/pkg/wire"},
	{"orchestra/pkg/access"},
	{"orchestra/pkg/nouns/"},
	{"orchestra/pkg/billing"},
	{"orchestra/pkg/noun"},
	{"orchestra/pkg/output", "orchestra/pkg/prompt"},
	{"orchestra/pkg/settings"},
	{"orchestra/pkg/value"},
	{"orchestra/pkg/fault"},
	{"orchestra/pkg/message"},
	{"orchestra/pkg/escape"},
}

// onlyIn names the one layer that may import a library, and why; and where there is
// one, the package beside it. Nothing uses huh yet: its place is kept as well.
var onlyIn = []struct{ library, layer, reason, and string }{
	{"github.com/spf13/cobra", "orchestra/pkg/cli", "the command tree is one adapter", ""},
	{"github.com/spf13/viper", "orchestra/pkg/settings", "settings are typed everywhere else", ""},
	{"github.com/charmbracelet/huh", "orchestra/pkg/prompt", "forms stay behind our own interface", ""},
	{"database/sql", "orchestra/pkg/store", "SQL lives in the store", "orchestra/pkg/runtime/sqlitemap"},
	{"modernc.org/sqlite", "orchestra/pkg/store", "SQL lives in the store", "orchestra/pkg/runtime/sqlitemap"},
	{"golang.org/x/text/message", "orchestra/pkg/message", "sentences are chosen in one place", ""},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	command := exec.Command("go", "list", "-json=ImportPath,Imports", "orchestra/...")
	output, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var found []listed
	decoder := json.NewDecoder(strings.NewReader(string(output)))
	for {
		var one listed
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatalf("reading go list: %v", err)
		}
		found = append(found, one)
	}
}

func layerOf(path string) int {
	for i, layer := range layers {
		for _, prefix := range layer {
			if path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/") {
				return i
			}
		}
	}
	return -1
}

func within(path, layer string) bool {
	return path == layer || strings.HasPrefix(path, layer+"/")
}

// testHelper tells whether path is used by tests only; such packages may sit beside what they test.
func testHelper(path string) bool {
	return strings.HasSuffix(path, "test") || strings.Contains(path, "/testdata/")
}

func TestEachLayerImportsOnlyDownwards(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath == "orchestra/pkg" || testHelper(p.ImportPath) {
			continue
		}
		from := layerOf(p.ImportPath)
		if from < 0 {
			t.Errorf("%s has no layer: add it to the list, or move it", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if !within(imported, "orchestra") || within(imported, p.ImportPath) || within(p.ImportPath, imported) {
				continue
			}
			if to := layerOf(imported); to <= from {
				t.Errorf("%s imports %s, which is not below it", p.ImportPath, imported)
			}
		}
	}
}

func TestLibrariesStayWhereTheyBelong(t *testing.T) {
	for _, p := range packages(t) {
		if testHelper(p.ImportPath) {
			continue
		}
		for _, imported := range p.Imports {
			for _, rule := range onlyIn {
				if within(imported, rule.library) && !within(p.ImportPath, rule.layer) && p.ImportPath != rule.and {
					t.Errorf("%s imports %s, which belongs to %s: %s", p.ImportPath, imported, rule.layer, rule.reason)
				}
			}
		}
	}
}

package backend

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orchestra/pkg/fault"
)

func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFolderTakesThePlaceOfAnEmbeddedBackend(t *testing.T) {
	directory := t.TempDir()
	write(t, filepath.Join(directory, "unix-user"), map[string]string{
		manifestFile: "help = \"mine\"\nnoun = \"user\"\n", declareFile: "each_object true\n"})
	c, err := Load(directory)
	if err != nil {
		t.Fatal(err)
	}
	if b := c.Backend("unix-user"); b == nil || b.Help != "mine" || b.Folder == "" || b.Timeout != defaultTimeout {
		t.Errorf("got %+v", b)
	}
	if len(c.ForNoun("user")) == 0 || c.Backend("absent") != nil {
		t.Error("the catalogue does not find what it has")
	}
}

func TestAManifestIsReadStrictly(t *testing.T) {
	for _, wrong := range []struct{ text, says string }{
		{"help = \"x\"\nnoun = \"user\"\ntimeuot = \"5s\"\n", "timeuot"},
		{"noun = \"user\"\n", "help"},
		{"help = \"x\"\n", "noun"},
		{"help = \"x\"\nnoun = \"user\"\ntimeout = \"soon\"\n", "timeout"},
		{"help = \"x\"\nnoun = \"user\"\nkind = \"both\"\n", "kind"},
		{"help = \n", "line 1"},
		{"help = \"x\"\nnoun = \"user\"\nsettings = [\"unix.fist_id\"]\n", "unix.fist_id"},
		{"help = \"x\"\nnoun = \"user\"\nsettings = [\"unix.shells\"]\n", "a list"},
	} {
		directory := t.TempDir()
		write(t, filepath.Join(directory, "mine"), map[string]string{manifestFile: wrong.text, declareFile: "true\n"})
		if _, err := Load(directory); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), wrong.says) {
			t.Errorf("%q: %v", wrong.text, err)
		}
	}
}

func TestABackendThatOthersMayWriteToIsRefused(t *testing.T) {
	directory := t.TempDir()
	folder := filepath.Join(directory, "mine")
	write(t, folder, map[string]string{manifestFile: "help = \"x\"\nnoun = \"user\"\n", declareFile: "true\n"})
	if err := os.Chmod(filepath.Join(folder, declareFile), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(directory); !fault.Is(err, fault.Denied) {
		t.Errorf("got %v", err)
	}
}

func TestABackendSharesTheScriptsOfAnother(t *testing.T) {
	directory := t.TempDir()
	manifest := "help = \"x\"\nnoun = \"user\"\n"
	write(t, filepath.Join(directory, "first"), map[string]string{manifestFile: manifest, declareFile: "true\n", actsFile: "greet() { true; }\n", setupFile: "true # first\n"})
	second := filepath.Join(directory, "second")
	write(t, second, map[string]string{manifestFile: manifest + "shares = \"first\"\n", declareFile: "refresh greet x\n", setupFile: "true # second\n"})
	c, err := Load(directory)
	if err != nil {
		t.Fatal(err)
	}
	if b := c.Backend("second"); b.Acts != c.Backend("first").Acts || b.Setup != "true # second\n" {
		t.Errorf("got %+v", b)
	}
	for _, finding := range Check(second) {
		t.Errorf("%s:%d: %s", finding.File, finding.Line, finding.Text)
	}
	for _, wrong := range []string{"absent", "second", "third"} {
		write(t, filepath.Join(directory, "third"), map[string]string{manifestFile: manifest + "shares = \"" + wrong + "\"\n", declareFile: "true\n"})
		if _, err := Load(directory); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "the scripts of "+wrong) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestNewMakesABackendThatPassesCheck(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "crontab")
	if err := New(folder, "crontab"); err != nil {
		t.Fatal(err)
	}
	for _, finding := range Check(folder) {
		t.Errorf("%s:%d: %s", finding.File, finding.Line, finding.Text)
	}
	if err := New(folder, "crontab"); !fault.Is(err, fault.Conflict) {
		t.Errorf("made twice: %v", err)
	}
}

func TestCheckKnowsMapsAndWhatIsParked(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "mine")
	write(t, folder, map[string]string{
		manifestFile: "help = \"x\"\nnoun = \"user\"\n",
		declareFile: `one() {
  entry /etc/orchestra-maps/x "$name" value sqlite
  drop entry /etc/orchestra-maps/x "$name" sqlite
  park "/home/$name"
  park database "$name"
}
each_object one
`,
		actsFile: `probe_database() { state "$1" absent absent; }
park_database() { rename "$1" "${trash[$1]}"; }
restore_database() { rename "${trash[$1]}" "$1"; }
function purge_database { :; }
rename() { :; }
`,
	})
	for _, finding := range Check(folder) {
		t.Errorf("%s:%d: %s", finding.File, finding.Line, finding.Text)
	}
}

func TestCheckFindsWhatGoesRoundTheRuntime(t *testing.T) {
	for _, wrong := range []struct{ file, script, says string }{
		{declareFile, "eval \"$name\"\n", "eval"},
		{declareFile, "if true; then rm -rf /x; fi\n", "rm"},
		{actsFile, "do_it() { systemctl restart ssh; }\n", "systemctl"},
		{actsFile, "do_it() { A=1 sudo true; }\n", "sudo"},
		{declareFile, "find x -exec /bin/rm {} +\n", "rm"},
		{declareFile, "env rm x\n", "rm"},
		{declareFile, "fi\n", "bash"},
		{declareFile, "printf 'oops\\0' >&4\n", "makes no sense"},
		{declareFile, "exit 3\n", "exit code 3"},
		{declareFile, "park_it() { if [[ $action == never ]]; then park database \"$name\"; fi; }\neach_object park_it\n", "purge_database"},
		{declareFile, "kind=database\npark \"$kind\" x\n", "does not define probe_database"},
		{declareFile, "park \"$PWD\" two three\n", "park KIND NAME"},
		{declareFile, "act quota x probe_quota set_quota unset_quota reversible\n", "does not define probe_quota"},
		{declareFile, "entry /etc/map key\n", "lines|colon|sqlite"},
	} {
		folder := filepath.Join(t.TempDir(), "mine")
		files := map[string]string{manifestFile: "help = \"x\"\nnoun = \"user\"\n", declareFile: "each_object true\n"}
		files[wrong.file] = wrong.script
		write(t, folder, files)
		var all []string
		for _, finding := range Check(folder) {
			all = append(all, finding.Text.String())
		}
		if !strings.Contains(strings.Join(all, "\n"), wrong.says) {
			t.Errorf("%q: found %q", wrong.script, all)
		}
	}
}

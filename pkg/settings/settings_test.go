package settings_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orchestra/pkg/fault"
	"orchestra/pkg/settings"
)

// write makes a configuration: "orchestra.toml" and "conf.d/NAME" by path.
func write(t testing.TB, files map[string]string) (file string) {
	t.Helper()
	directory := t.TempDir()
	for name, content := range files {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(directory, "orchestra.toml")
}

func source(t *testing.T, s *settings.Settings, key string) settings.Entry {
	t.Helper()
	for _, entry := range s.Explain() {
		if entry.Key == key {
			return entry
		}
	}
	t.Fatalf("no key %s is explained", key)
	return settings.Entry{}
}

func TestLaterSourcesOverrideKeyByKey(t *testing.T) {
	file := write(t, map[string]string{
		"orchestra.toml": "language = \"es\"\n[ssh]\nslots = 2\nconnect_timeout = \"3s\"\nagent = false\n[unix]\nshells = [\"/bin/zsh\"]\n",
		"conf.d/20.toml": "[ssh]\nslots = 7\n",
		"conf.d/10.toml": "[ssh]\nslots = 5\nidentity = \"/etc/key\"\n",
		"conf.d/99.text": "this is no configuration",
	})
	s, err := settings.Load(settings.LoadOptions{
		File:    file,
		Environ: []string{"ORCHESTRA_SSH_IDENTITY=/root/key", "ORCHESTRA_LANGUAGE=", "ORCHESTRA_UNIX_GROUPS=video, audio", "HOME=/root"},
		Flags:   map[string]string{"lock.wait": "1m", "ssh.agent": "yes"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Language != "es" || s.SSH.Slots != 7 || s.SSH.Identity != "/root/key" || s.SSH.ConnectTimeout != 3*time.Second ||
		!s.SSH.Agent || s.Lock.Wait != time.Minute || !slices.Equal(s.Unix.Shells, []string{"/bin/zsh"}) ||
		!slices.Equal(s.Unix.Groups, []string{"video", "audio"}) || s.Unix.FirstID != 70000 {
		t.Errorf("%+v", s)
	}
	for key, want := range map[string]settings.Source{
		"language":        {Kind: settings.FromFile, Where: file},
		"ssh.slots":       {Kind: settings.FromFile, Where: filepath.Join(filepath.Dir(file), "conf.d/20.toml")},
		"ssh.identity":    {Kind: settings.FromEnvironment, Where: "ORCHESTRA_SSH_IDENTITY"},
		"lock.wait":       {Kind: settings.FromFlag, Where: "lock.wait"},
		"unix.first_id":   {Kind: settings.FromDefault},
		"unix.home_roots": {Kind: settings.FromDefault},
	} {
		if got := source(t, s, key); got.Source != want {
			t.Errorf("%s came from %+v, want %+v", key, got.Source, want)
		}
	}
	if got := source(t, s, "unix.shells").Value; got != `["/bin/zsh"]` {
		t.Errorf("explained as %s", got)
	}
	if s.File() != file {
		t.Errorf("the file is %q", s.File())
	}
}

func TestWhatIsExplainedIsAConfigurationAgain(t *testing.T) {
	first, err := settings.Load(settings.LoadOptions{File: write(t, map[string]string{"orchestra.toml": ""})})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, entry := range first.Explain() {
		lines = append(lines, entry.Key+" = "+entry.Value)
		if entry.Help == "" || strings.HasSuffix(entry.Help, ".") {
			t.Errorf("%s has the help %q", entry.Key, entry.Help)
		}
	}
	again, err := settings.Load(settings.LoadOptions{File: write(t, map[string]string{"orchestra.toml": strings.Join(lines, "\n")})})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again, cmpopts.IgnoreUnexported(settings.Settings{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(settings.Default(), first, cmpopts.IgnoreUnexported(settings.Settings{})); diff != "" {
		t.Error(diff)
	}
}

// TestEveryFieldHasAKey holds that nothing of Settings can't be set.
func TestEveryFieldHasAKey(t *testing.T) {
	fields := 0
	var count func(kind reflect.Type)
	count = func(kind reflect.Type) {
		for i := range kind.NumField() {
			field := kind.Field(i)
			if !field.IsExported() {
				continue
			}
			if field.Type.Kind() == reflect.Struct {
				count(field.Type)
				continue
			}
			fields++
		}
	}
	count(reflect.TypeFor[settings.Settings]())
	if keys := len(settings.Default().Explain()); keys != fields {
		t.Errorf("%d keys for %d fields", keys, fields)
	}
}

func TestWhatIsWrongIsRefusedAndNamed(t *testing.T) {
	for _, c := range []struct {
		title, content string
		words          []string
		hint           string
	}{
		{"unknown key", "[ssh]\nslot = 1\n", []string{"ssh.slot", "orchestra.toml"}, "ssh.slots"},
		{"unknown table", "[shh]\nslots = 1\n", []string{"shh.slots"}, "ssh.slots"},
		{"far from any", "colour_of_the_sky = 1\n", []string{"colour_of_the_sky"}, "config show"},
		{"a table as a value", "ssh = 1\n", []string{"ssh"}, ""},
		{"a value as a table", "[database]\nx = 1\n", []string{"database.x"}, ""},
		{"an array of tables", "[[ssh]]\nslots = 1\n", []string{"ssh"}, ""},
		{"syntax", "a = \n", []string{"line 1"}, ""},
		{"no number", "[ssh]\nslots = \"many\"\n", []string{"ssh.slots"}, ""},
		{"too many", "[ssh]\nslots = 1000\n", []string{"ssh.slots", "100"}, ""},
		{"float", "[ssh]\nslots = 1.5\n", []string{"ssh.slots"}, ""},
		{"a number as text", "database = 5\n", []string{"database"}, ""},
		{"relative path", "database = \"orchestra.db\"\n", []string{"database"}, ""},
		{"path with dots", "database = \"/var/../etc/x\"\n", []string{"database"}, ""},
		{"newline", "database = \"/var/a\\nb\"\n", []string{"database", "control"}, ""},
		{"escape", "[log]\nfile = \"/var/\\u001b[31m\"\n", []string{"log.file"}, ""},
		{"choice", "emergency_contact = \"requires\"\n", []string{"emergency_contact"}, "require"},
		{"duration", "[lock]\nwait = 30\n", []string{"lock.wait"}, ""},
		{"negative duration", "[lock]\nwait = \"-1s\"\n", []string{"lock.wait"}, ""},
		{"list of numbers", "[unix]\ngroups = [1]\n", []string{"unix.groups"}, ""},
		{"name in a list", "[unix]\ngroups = [\"a b\"]\n", []string{"unix.groups"}, ""},
		{"boolean", "[ssh]\nagent = 3\n", []string{"ssh.agent"}, ""},
		{"range", "[unix]\nfirst_id = 5000\nlast_id = 4000\n", []string{"unix.first_id"}, ""},
		{"twice", "database = \"/a\"\ndatabase = \"/b\"\n", []string{"TOML"}, ""},
		{"not UTF-8", "database = \"/\xff\"\n", []string{"TOML"}, ""},
	} {
		t.Run(c.title, func(t *testing.T) {
			_, err := settings.Load(settings.LoadOptions{File: write(t, map[string]string{"orchestra.toml": c.content})})
			check(t, err, c.words, c.hint)
		})
	}
}

func check(t *testing.T, err error, words []string, hint string) {
	t.Helper()
	if !fault.Is(err, fault.Invalid) {
		t.Fatalf("error %v", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not name %q", err, word)
		}
	}
	if got := fault.HintOf(err).String(); !strings.Contains(got, hint) {
		t.Errorf("the hint is %q, want one with %q", got, hint)
	}
}

func TestVariablesAndFlagsAreCheckedToo(t *testing.T) {
	file := write(t, map[string]string{"orchestra.toml": ""})
	_, err := settings.Load(settings.LoadOptions{File: file, Environ: []string{"ORCHESTRA_DATABSE=/x"}})
	check(t, err, []string{"ORCHESTRA_DATABSE"}, "ORCHESTRA_DATABASE")
	_, err = settings.Load(settings.LoadOptions{File: file, Environ: []string{"ORCHESTRA_SSH_SLOTS=0"}})
	check(t, err, []string{"ORCHESTRA_SSH_SLOTS", "ssh.slots"}, "")
	_, err = settings.Load(settings.LoadOptions{File: file, Environ: []string{"ORCHESTRA_DATABASE=/a\nb"}})
	check(t, err, []string{"ORCHESTRA_DATABASE"}, "")
	_, err = settings.Load(settings.LoadOptions{File: file, Flags: map[string]string{"databse": "/x"}})
	if !fault.Is(err, fault.Usage) {
		t.Error(err)
	}
	if _, err := settings.Load(settings.LoadOptions{File: file, Environ: []string{"ORCHESTRA_FLEET_PREFIX=x", "ORCHESTRA_TEST=1", "OTHER=1", "X"}}); err != nil {
		t.Fatal(err)
	}
	// A path at a shell may be relative to where one is.
	s, err := settings.Load(settings.LoadOptions{File: file, Flags: map[string]string{"database": "here.db"}})
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(s.Database) || filepath.Base(s.Database) != "here.db" {
		t.Errorf("the database is %s", s.Database)
	}
}

func TestTheFileIsFoundWhereItBelongs(t *testing.T) {
	root, home := t.TempDir(), t.TempDir()
	put := func(path, language string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("language = \""+language+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func(user int, environ ...string) *settings.Settings {
		t.Helper()
		s, err := settings.Load(settings.LoadOptions{Root: root, User: user, Environ: append(environ, "HOME="+home)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := load(1000); s.File() != "" || s.Database != filepath.Join(home, ".local/share/orchestra/orchestra.db") {
		t.Errorf("nobody's: %q, %q", s.File(), s.Database)
	}
	if s := load(0); s.File() != "" || s.Database != "/var/lib/orchestra/orchestra.db" {
		t.Errorf("root's: %q, %q", s.File(), s.Database)
	}
	put(root+"/etc/orchestra/orchestra.toml", "es")
	if s := load(1000); s.Language != "es" || s.Database != "/var/lib/orchestra/orchestra.db" {
		t.Errorf("without a file of one's own: %q, %q", s.Language, s.Database)
	}
	put(home+"/.config/orchestra/orchestra.toml", "ca")
	if s := load(1000); s.Language != "ca" {
		t.Errorf("with a file of one's own: %q", s.Language)
	}
	if s := load(0); s.Language != "es" {
		t.Errorf("root's: %q", s.Language)
	}
	named := filepath.Join(home, "named.toml")
	if _, err := settings.Load(settings.LoadOptions{Environ: []string{"ORCHESTRA_CONFIG=" + named}}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a named file that is not there: %v", err)
	}
	put(named, "en")
	if s := load(1000, "ORCHESTRA_CONFIG="+named); s.Language != "en" || s.File() != named {
		t.Errorf("named: %q", s.File())
	}
	if err := os.Chmod(named, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := settings.Load(settings.LoadOptions{File: named}); !fault.Is(err, fault.Denied) {
		t.Errorf("a file that anybody may write: %v", err)
	}
}

// FuzzFile wants any file to be refused as invalid, or to give settings that
// are all within their limits: what is explained can be loaded again.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "database = \"/a\"", "[ssh]\nslots = 3", "ssh.slots = 3", "\"ssh.slots\" = 3", "DATABASE = \"/x\"", "[unix]\ngroups = [\"a\"]",
		"[lock]\nwait = \"5m\"", "a = 1979-05-27", "[[x]]", "x = nan", "database = '''/\n'''", "[ssh.slots]\n", "unix = {first_id = 0x10}",
	} {
		f.Add([]byte(seed))
	}
	directory := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		file := filepath.Join(directory, "orchestra.toml")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := settings.Load(settings.LoadOptions{File: file})
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: %v", content, err)
			}
			return
		}
		var lines []string
		for _, entry := range s.Explain() {
			lines = append(lines, entry.Key+" = "+entry.Value)
		}
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := settings.Load(settings.LoadOptions{File: file})
		if err != nil {
			t.Fatalf("%q: %v", content, err)
		}
		if diff := cmp.Diff(s, again, cmpopts.IgnoreUnexported(settings.Settings{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%q: %s", content, diff)
		}
	})
}

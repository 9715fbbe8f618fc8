package backend

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pelletier/go-toml/v2"

	"orchestra/backends"
	"orchestra/pkg/fault"
	"orchestra/pkg/settings"
)

// The files of a backend's folder.
const (
	manifestFile = "backend.toml"
	declareFile  = "declare.sh"
	actsFile     = "acts.sh"
	setupFile    = "setup.sh"
)

const defaultTimeout = 60 * time.Second

// Catalogue is all the backends that are there.
type Catalogue struct {
	byName map[string]*Backend
	names  []string // sorted
}

// Backend returns a backend by name, nil where there is none.
func (c *Catalogue) Backend(name string) *Backend { return c.byName[name] }

// Backends returns all of them, sorted by name.
func (c *Catalogue) Backends() []*Backend {
	all := make([]*Backend, len(c.names))
	for i, name := range c.names {
		all[i] = c.byName[name]
	}
	return all
}

// ForNoun returns the backends that are told about a noun's objects: as their
// own noun or as a related one.
func (c *Catalogue) ForNoun(noun string) []*Backend {
	var found []*Backend
	for _, b := range c.Backends() {
		if b.Noun == noun || slices.Contains(b.Related, noun) {
			found = append(found, b)
		}
	}
	return found
}

// Load returns the embedded backends and those in the folders of directory,
// which take the place of embedded ones of the same name. A directory that is
// not there holds none. A fault of kind Invalid names the folder and the line.
func Load(directory string) (*Catalogue, error) {
	c := &Catalogue{byName: map[string]*Backend{}}
	if err := c.loadAll(backends.Files, ""); err != nil {
		return nil, err
	}
	if directory != "" {
		err := c.loadAll(os.DirFS(directory), directory)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for name := range c.byName {
		c.names = append(c.names, name)
	}
	slices.Sort(c.names)
	for _, b := range c.Backends() {
		if err := c.share(b); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// share gives a backend what it shares with another one.
func (c *Catalogue) share(b *Backend) error {
	if b.Shares == "" {
		return nil
	}
	from := c.byName[b.Shares]
	if from == nil || from.Shares != "" {
		return fault.New(fault.Invalid, "the backend %s shares the scripts of %s, which is no backend with scripts of its own", b.Name, b.Shares).
			WithHint("orchestra backend list")
	}
	if b.Acts == "" {
		b.Acts = from.Acts
	}
	if b.Setup == "" {
		b.Setup = from.Setup
	}
	return nil
}

func (c *Catalogue) loadAll(files fs.FS, directory string) error {
	entries, err := fs.ReadDir(files, ".")
	if errors.Is(err, fs.ErrPermission) {
		return fault.New(fault.Denied, "the backends in %s cannot be read", directory).Because(err).
			WithHint("the setting backends.directory names another place")
	}
	if err != nil {
		return fmt.Errorf("reading the backends in %s: %w", directory, err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".go") {
			continue
		}
		if directory != "" {
			if isFolder, err := safeFolder(filepath.Join(directory, name)); err != nil {
				return err
			} else if !isFolder {
				continue
			}
		}
		folder, err := fs.Sub(files, name)
		if err != nil {
			return fmt.Errorf("reading the backend %s: %w", name, err)
		}
		b, err := read(folder, name)
		if err != nil {
			return err
		}
		if directory != "" {
			b.Folder = filepath.Join(directory, name)
		}
		c.byName[name] = b
	}
	return nil
}

// safeFolder tells whether path is a folder, and refuses one that others than
// root and ourselves own or may write to: its acts run as root on every server.
func safeFolder(path string) (bool, error) {
	paths := []string{path}
	for _, file := range []string{manifestFile, declareFile, actsFile, setupFile} {
		paths = append(paths, filepath.Join(path, file))
	}
	for i, each := range paths {
		info, err := os.Stat(each)
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, fault.New(fault.Invalid, "the backend in %s cannot be read", path).Because(err)
		}
		if i == 0 && !info.IsDir() {
			return false, nil
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
			return false, fault.New(fault.Denied, "%s belongs neither to root nor to you, and backends run as root", each).
				WithHint("chown root: %s", each)
		}
		if info.Mode().Perm()&0o022 != 0 {
			return false, fault.New(fault.Denied, "%s may be written to by others than its owner, and backends run as root", each).
				WithHint("chmod go-w %s", each)
		}
	}
	return true, nil
}

// manifest is backend.toml.
type manifest struct {
	Help        string        `toml:"help"`
	Noun        string        `toml:"noun"`
	Related     []string      `toml:"related"`
	Kind        string        `toml:"kind"`
	Method      string        `toml:"method"`
	Actions     []string      `toml:"actions"`
	Programs    []string      `toml:"programs"`
	Peers       []string      `toml:"peers"`
	Shares      string        `toml:"shares"`
	Settings    []string      `toml:"settings"`
	Timeout     string        `toml:"timeout"`
	VerifyLogin bool          `toml:"verify_login"`
	timeout     time.Duration // parsed
}

var manifestKeys = []string{"help", "noun", "related", "kind", "method", "actions", "programs", "peers", "shares", "settings", "timeout", "verify_login"}

// read reads the backend in folder.
func read(folder fs.FS, name string) (*Backend, error) {
	if !validName(name) {
		return nil, fault.New(fault.Invalid, "%q is no name for a backend: lower case letters, digits and single dashes", name)
	}
	text, err := fs.ReadFile(folder, manifestFile)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the backend %s has no %s that can be read", name, manifestFile).Because(err)
	}
	m, err := parseManifest(text)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the %s of the backend %s is wrong", manifestFile, name).Because(err)
	}
	b := &Backend{
		Name: name, Noun: m.Noun, Related: m.Related, Kind: m.Kind, Method: m.Method, Actions: m.Actions,
		Programs: m.Programs, Peers: m.Peers, Shares: m.Shares, Settings: m.Settings, Timeout: m.timeout, Help: m.Help, VerifyLogin: m.VerifyLogin,
	}
	for _, script := range []struct {
		file     string
		into     *string
		required bool
	}{{declareFile, &b.Declare, true}, {actsFile, &b.Acts, false}, {setupFile, &b.Setup, false}} {
		text, err := fs.ReadFile(folder, script.file)
		if errors.Is(err, fs.ErrNotExist) && !script.required {
			continue
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "the backend %s has no %s that can be read", name, script.file).Because(err)
		}
		*script.into = string(text)
	}
	return b, nil
}

func parseManifest(text []byte) (manifest, error) {
	var m manifest
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) && len(strict.Errors) > 0 {
			row, _ := strict.Errors[0].Position()
			key := strings.Join(strict.Errors[0].Key(), ".")
			wrong := fault.New(fault.Invalid, "line %d: unknown key %q", row, key)
			if nearest := fault.Nearest(key, manifestKeys); nearest != "" {
				wrong = wrong.WithHint("did you mean %q?", nearest)
			}
			return m, wrong
		}
		var wrong *toml.DecodeError
		if errors.As(err, &wrong) {
			row, _ := wrong.Position()
			return m, fault.New(fault.Invalid, "line %d", row).Because(err)
		}
		return m, err
	}
	if m.Kind == "" {
		m.Kind = Serve
	}
	if m.Method == "" {
		m.Method = OnServer
	}
	if len(m.Actions) == 0 {
		m.Actions = []string{"save", "delete"}
	}
	m.timeout = defaultTimeout
	if m.Timeout != "" {
		var err error
		if m.timeout, err = time.ParseDuration(m.Timeout); err != nil || m.timeout <= 0 {
			return m, fault.New(fault.Invalid, "%q is no duration such as 60s", m.Timeout).About("timeout")
		}
	}
	if _, err := EncodeSettings(m.Settings, settings.Default()); err != nil {
		return m, err
	}
	switch {
	case m.Help == "":
		return m, fault.New(fault.Invalid, "it says nothing of what the backend is for").About("help")
	case m.Noun == "":
		return m, fault.New(fault.Invalid, "it does not say which noun the backend brings onto servers").About("noun")
	case m.Kind != Serve && m.Kind != Measure:
		return m, fault.New(fault.Invalid, "%q is neither serve nor measure", m.Kind).About("kind")
	case m.Method != OnServer && m.Method != Panel:
		return m, fault.New(fault.Invalid, "%q is neither server nor panel", m.Method).About("method")
	}
	return m, nil
}

// validName tells whether name may be a backend's: it becomes a folder, an
// argument and a column.
func validName(name string) bool {
	if name == "" || len(name) > 64 || strings.Trim(name, "-") != name || strings.Contains(name, "--") {
		return false
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

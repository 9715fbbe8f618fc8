package settings

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"orchestra/pkg/fault"
)

// Kinds of sources.
const (
	FromDefault     = "default"
	FromFile        = "file"
	FromEnvironment = "environment"
	FromFlag        = "flag"
)

// Source says where a value came from.
type Source struct {
	Kind  string // FromDefault, FromFile, FromEnvironment or FromFlag
	Where string // the file, the variable or the flag; "" for a default
}

// Entry is one line of what Explain tells.
type Entry struct {
	Key    string // "ssh.identity"
	Value  string // as written in the file; a secret is shown as "secret"
	Source Source
	Help   string
}

// LoadOptions say where settings are looked for.
type LoadOptions struct {
	// File is the configuration file given by --config; "" is that of
	// ORCHESTRA_CONFIG, then $XDG_CONFIG_HOME/orchestra/orchestra.toml for who
	// is not root and has it, then /etc/orchestra/orchestra.toml. A file that
	// is named must exist.
	File string
	// Environ are the process's variables, as os.Environ gives them. One that
	// is empty counts as not set.
	Environ []string
	// Flags are values by key given on the command line: "database", "lock.wait".
	Flags map[string]string
	// User is the effective uid of the process.
	User int
	// Root is put before /etc, for tests; "" is the real one.
	Root string
}

// Load returns the effective settings, or a fault of kind Invalid that names
// the file, the key and the nearest one that exists.
func Load(options LoadOptions) (*Settings, error) {
	environment := variables(options.Environ)
	l := loader{settings: Default(), keys: keys(), options: options, environment: environment}
	l.settings.sources = map[string]Source{}
	file, err := l.files()
	if err != nil {
		return nil, err
	}
	l.settings.file = file
	if err := l.fromEnvironment(); err != nil {
		return nil, err
	}
	if err := l.fromFlags(); err != nil {
		return nil, err
	}
	if s := l.settings; s.Unix.FirstID > s.Unix.LastID {
		return nil, fault.New(fault.Invalid, "%d, from which ids are given, is above %d, the last one",
			s.Unix.FirstID, s.Unix.LastID).About("unix.first_id")
	}
	return l.settings, nil
}

// File returns the configuration file that was read, "" for none.
func (s *Settings) File() string { return s.file }

// Explain tells every key, its value and where it came from, sorted by key.
func (s *Settings) Explain() []Entry {
	var entries []Entry
	for _, k := range keys() {
		entry := Entry{Key: k.name, Value: format(k.bind(s)), Help: k.help, Source: Source{Kind: FromDefault}}
		if source, ok := s.sources[k.name]; ok {
			entry.Source = source
		}
		if k.secret {
			entry.Value = "secret"
		}
		entries = append(entries, entry)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return entries
}

// Plain returns the value of a setting without quotes, false for one that is
// unknown, a list or a secret.
func (s *Settings) Plain(name string) (string, bool) {
	for _, k := range keys() {
		if k.name != name || k.secret {
			continue
		}
		switch value := k.bind(s).(type) {
		case *string:
			return *value, true
		case *[]string:
			return "", false
		default:
			text := format(value)
			if plain, err := strconv.Unquote(text); err == nil {
				text = plain
			}
			return text, true
		}
	}
	return "", false
}

type loader struct {
	settings    *Settings
	keys        []key
	options     LoadOptions
	environment map[string]string
}

// prefix is what our variables begin with. Those of the two further prefixes
// belong to the tests and are no settings.
const prefix = "ORCHESTRA_"

var foreign = [...]string{prefix + "TEST", prefix + "FLEET"}

func variables(environ []string) map[string]string {
	found := map[string]string{}
	for _, line := range environ {
		if name, value, ok := strings.Cut(line, "="); ok && value != "" {
			found[name] = value
		}
	}
	return found
}

// variable returns the name of a key's variable: ORCHESTRA_SSH_IDENTITY.
func variable(key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func (l *loader) fromEnvironment() error {
	known := map[string]key{}
	names := []string{prefix + "CONFIG"}
	for _, k := range l.keys {
		known[variable(k.name)] = k
		names = append(names, variable(k.name))
	}
	for _, name := range slices.Sorted(maps.Keys(l.environment)) {
		if !strings.HasPrefix(name, prefix) || name == prefix+"CONFIG" ||
			strings.HasPrefix(name, foreign[0]) || strings.HasPrefix(name, foreign[1]) {
			continue
		}
		k, ok := known[name]
		if !ok {
			// A misspelt ORCHESTRA_DATABASE would write to another database.
			return nearest(fault.New(fault.Invalid, "the variable %s is no setting", short(name)), name, names)
		}
		if err := l.set(k, l.environment[name], Source{FromEnvironment, name}); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) fromFlags() error {
	names := make([]string, len(l.keys))
	for i, k := range l.keys {
		names[i] = k.name
	}
	for _, name := range slices.Sorted(maps.Keys(l.options.Flags)) {
		at := slices.Index(names, name)
		if at < 0 {
			return nearest(fault.New(fault.Usage, "there is no setting %q", short(name)), name, names)
		}
		if err := l.set(l.keys[at], l.options.Flags[name], Source{FromFlag, name}); err != nil {
			return err
		}
	}
	return nil
}

// set assigns a value; what is wrong with it names the source and the key.
func (l *loader) set(k key, value any, source Source) error {
	if text, ok := value.(string); ok && text != "" && source.Kind != FromFile && isPath(k) {
		// A person at a shell may say it relative to where he is.
		absolute, err := filepath.Abs(text)
		if err != nil {
			return err
		}
		value = absolute
	}
	if err := l.settings.assign(k, value); err != nil {
		return in(source, k.name, err)
	}
	l.settings.sources[k.name] = source
	return nil
}

// isPath tells whether a key takes one path.
func isPath(k key) bool {
	_, text := k.bind(&Settings{}).(*string)
	return text && k.check != nil && k.check("/") == nil
}

func in(source Source, name string, err error) error {
	failure := fault.New(fault.KindOf(err), "the setting in %s is not acceptable", source.Where).About(name).Because(err)
	if cause, ok := err.(*fault.Error); ok { //nolint:errorlint // made right here
		failure.Hint = cause.Hint
	}
	return failure
}

func nearest(err *fault.Error, name string, names []string) error {
	if near := fault.Nearest(name, names); near != "" {
		return err.WithHint("did you mean %q?", near)
	}
	return err.WithHint("orchestra config show --explain")
}

func short(name string) string {
	if len(name) > 80 {
		return name[:80] + "…"
	}
	return name
}

package settings

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/viper"

	"orchestra/pkg/fault"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// files reads the configuration file and the files of conf.d beside it, in the
// order of their names; each overrides single keys of those before it. It
// returns the file, "" where there is none.
func (l *loader) files() (string, error) {
	file, named := l.file()
	found, err := l.read(file)
	if err != nil {
		return "", err
	}
	if !found && named {
		return "", fault.New(fault.NotFound, "there is no configuration file %s", file)
	}
	if !found && l.options.User != 0 {
		l.settings.Database = l.home("XDG_DATA_HOME", ".local/share", l.settings.Database, "orchestra.db")
	}
	parts, err := filepath.Glob(filepath.Join(escape(filepath.Dir(file)), "conf.d", "*.toml"))
	if err != nil {
		return "", err
	}
	slices.Sort(parts)
	for _, part := range parts {
		if _, err := l.read(part); err != nil {
			return "", err
		}
	}
	if !found {
		file = ""
	}
	return file, nil
}

// escape makes a directory literal for Glob.
func escape(directory string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(directory)
}

// file returns the configuration file, and whether somebody named it.
func (l *loader) file() (file string, named bool) {
	if l.options.File != "" {
		return l.options.File, true
	}
	if file := l.environment[prefix+"CONFIG"]; file != "" {
		return file, true
	}
	system := l.options.Root + "/etc/orchestra/orchestra.toml"
	if l.options.User == 0 {
		return system, false
	}
	own := l.home("XDG_CONFIG_HOME", ".config", system, "orchestra.toml")
	if _, err := os.Stat(own); err != nil {
		if _, err := os.Stat(system); err == nil {
			return system, false
		}
	}
	return own, false
}

// home returns a file in our folder of a person's own, fallback where he has no home.
func (l *loader) home(variable, below, fallback, name string) string {
	directory := l.environment[variable]
	if !filepath.IsAbs(directory) {
		home := l.environment["HOME"]
		if !filepath.IsAbs(home) {
			return fallback
		}
		directory = filepath.Join(home, below)
	}
	return filepath.Join(directory, "orchestra", name)
}

// read takes one file; it tells whether there was one.
func (l *loader) read(file string) (bool, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fault.New(fault.Denied, "the configuration file %s can't be read", file).Because(err)
	}
	switch {
	case !info.Mode().IsRegular() || info.Size() > maxFile:
		return false, fault.New(fault.Invalid, "%s is no configuration file", file)
	case info.Mode().Perm()&0o002 != 0:
		return false, fault.New(fault.Denied, "anybody may write to %s", file).WithHint("chmod o-w %s", file)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return false, fault.New(fault.Denied, "the configuration file %s can't be read", file).Because(err)
	}
	return true, l.parse(file, content)
}

// parse takes the settings of one file. Keys are in lower case, as viper has
// it: none of ours differs by case alone.
func (l *loader) parse(file string, content []byte) error {
	v := viper.New()
	v.SetConfigType("toml")
	if err := v.ReadConfig(bytes.NewReader(content)); err != nil {
		return wrong(file, err)
	}
	known := make(map[string]key, len(l.keys))
	var names []string
	for _, k := range l.keys {
		known[k.name] = k
		names = append(names, k.name)
	}
	given := v.AllKeys()
	slices.Sort(given)
	for _, name := range given {
		k, ok := known[name]
		if !ok {
			return nearest(fault.New(fault.Invalid, "%s has the key %q, which is no setting", file, short(name)), name, names)
		}
		if err := l.set(k, v.Get(name), Source{FromFile, file}); err != nil {
			return err
		}
	}
	return nil
}

// wrong says where a file is no TOML.
func wrong(file string, err error) error {
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		line, column := syntax.Position()
		return fault.New(fault.Invalid, "%s is not valid TOML at line %d, column %d", file, line, column).Because(syntax)
	}
	return fault.New(fault.Invalid, "%s is not valid TOML", file).Because(err)
}

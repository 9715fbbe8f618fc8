package cli

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/output"
	"orchestra/pkg/store"
)

// systemConfig is the configuration of root's panel.
const systemConfig = "/etc/orchestra/orchestra.toml"

//go:embed orchestra.toml
var configTemplate string

// initCommand makes `orchestra init`.
func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "init",
		Short:   a.say(message.New("Make the database and a configuration file, and say what comes next")),
		Long:    a.say(message.New("Make the database and a configuration file, and say what comes next.\n\nThe configuration file is not touched where there is one. The database is made for its owner alone (mode 0600).")),
		Example: "orchestra init\nORCHESTRA_DATABASE=/srv/panel/orchestra.db orchestra init",
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.init(cmd.Context()) },
	}
}

// init makes what is missing. What it made is removed again when it fails.
func (a *app) init(ctx context.Context) (err error) {
	var made []string
	defer func() {
		if err != nil {
			for i := len(made) - 1; i >= 0; i-- {
				_ = os.Remove(made[i]) // a directory that is no longer empty stays
			}
		}
	}()
	config, fresh, err := a.initConfig(&made)
	if err != nil {
		return err
	}
	loaded, err := a.loadSettings()
	if err != nil {
		return err
	}
	database := a.process.path(loaded.Database)
	if err := makeDirectories(filepath.Dir(database), &made); err != nil {
		return err
	}
	created, err := store.Create(ctx, store.Options{Path: database, Registry: a.registry, Settings: loaded, Now: a.process.Now})
	if fault.Is(err, fault.Conflict) {
		return fault.New(fault.Conflict, "there is a database already: %s", database).
			WithHint("use it as it is (%s), or set another place in %s", "orchestra check", config)
	} else if err != nil {
		return err
	}
	a.store = created
	a.closers = append(a.closers, created.Close)
	made = nil
	return a.tellInit(database, config, fresh)
}

// initConfig writes the configuration file where there is none.
func (a *app) initConfig(made *[]string) (file string, fresh bool, err error) {
	file = a.configFile()
	if a.flags.config != "" {
		file = a.process.path(a.flags.config)
	}
	if _, err := os.Lstat(file); err == nil {
		return file, false, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return file, false, fault.New(fault.Denied, "the configuration file cannot be looked at").Because(err)
	}
	if err := makeDirectories(filepath.Dir(file), made); err != nil {
		return file, false, err
	}
	text := configTemplate
	switch {
	case a.process.User != 0:
		// Others than root have no /var/lib/orchestra to write to.
		text = strings.Replace(text, `# database = "/var/lib/orchestra/orchestra.db"`, fmt.Sprintf("database = %q", a.ownDatabase()), 1)
	case file == systemConfig:
		text = strings.Replace(text, "# [log]\n# file = ", "[log]\nfile = ", 1)
	}
	if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
		return file, false, fault.New(fault.Denied, "the configuration file cannot be written").Because(err)
	}
	*made = append(*made, file)
	return file, true, nil
}

// configFile returns where the configuration file is looked for.
func (a *app) configFile() string {
	if file := a.process.getenv("ORCHESTRA_CONFIG"); file != "" {
		return a.process.path(file)
	}
	if a.process.User != 0 {
		directory := a.process.getenv("XDG_CONFIG_HOME")
		if directory == "" && a.process.getenv("HOME") != "" {
			directory = filepath.Join(a.process.getenv("HOME"), ".config")
		}
		if directory != "" {
			return filepath.Join(directory, "orchestra", "orchestra.toml")
		}
	}
	return systemConfig
}

// ownDatabase returns where the database of somebody who is not root belongs.
func (a *app) ownDatabase() string {
	if directory := a.process.getenv("XDG_DATA_HOME"); directory != "" {
		return filepath.Join(directory, "orchestra", "orchestra.db")
	}
	return filepath.Join(a.process.getenv("HOME"), ".local", "share", "orchestra", "orchestra.db")
}

// makeDirectories makes a directory and those above it, for their owner alone,
// and remembers which it made.
func makeDirectories(directory string, made *[]string) error {
	if _, err := os.Stat(directory); err == nil {
		return nil
	}
	if parent := filepath.Dir(directory); parent != directory {
		if err := makeDirectories(parent, made); err != nil {
			return err
		}
	}
	if err := os.Mkdir(directory, 0o750); err != nil && !errors.Is(err, os.ErrExist) {
		return fault.New(fault.Denied, "the directory %s cannot be made", directory).Because(err)
	}
	*made = append(*made, directory)
	return nil
}

// tellInit says what was made, and the very commands that come next.
func (a *app) tellInit(database, config string, fresh bool) error {
	next := []string{
		"orchestra server add web1 --address 192.0.2.11",
		"orchestra server check web1",
		"orchestra backend setup unix-user --server web1",
		"orchestra route add unix-user --server web1 --match true",
		"orchestra account add acme --full-name 'Acme Ltd' --email info@acme.example",
		"orchestra user list",
	}
	document := output.Record{{Name: "database", Value: database}, {Name: "config", Value: config}, {Name: "next", Value: next}}
	return a.printer().Document(document, nil, func(out io.Writer) error {
		paint := a.paintOut()
		_, _ = fmt.Fprintln(out, a.say(message.New("Made the database %s", database)))
		if fresh {
			_, _ = fmt.Fprintln(out, a.say(message.New("Made the configuration %s", config)))
		} else {
			_, _ = fmt.Fprintln(out, a.say(message.New("Kept the configuration %s", config)))
		}
		_, _ = fmt.Fprintln(out, "\n"+a.say(message.New("Next, with your own names and addresses:")))
		for _, command := range next {
			_, _ = fmt.Fprintln(out, "  "+paint.Cyan(command))
		}
		return nil
	})
}

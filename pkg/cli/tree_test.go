package cli

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kballard/go-shellquote"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"orchestra/pkg/noun"
)

// fullTree returns the whole command tree, as generated files see it.
func fullTree(t *testing.T) (*app, *cobra.Command) {
	t.Helper()
	process, _, _ := fakeProcess(t)
	a := newApp(process)
	if err := a.register(); err != nil {
		t.Fatal(err)
	}
	root := a.newRoot()
	a.growAll(root)
	return a, root
}

func walk(command *cobra.Command, visit func(*cobra.Command)) {
	visit(command)
	for _, child := range command.Commands() {
		walk(child, visit)
	}
}

func TestEveryCommandHasHelpAndExample(t *testing.T) {
	_, root := fullTree(t)
	walk(root, func(command *cobra.Command) {
		if command == root {
			return
		}
		switch {
		case command.Short == "":
			t.Errorf("%s has no help", command.CommandPath())
		case strings.HasSuffix(command.Short, "."):
			t.Errorf("%s: its line of help ends in a full stop", command.CommandPath())
		case command.Example == "":
			t.Errorf("%s has no example", command.CommandPath())
		}
	})
}

func TestNoFlagIsDefinedTwice(t *testing.T) {
	a, root := fullTree(t)
	walk(root, func(command *cobra.Command) {
		shorthands := map[string]string{}
		command.Flags().VisitAll(func(flag *pflag.Flag) {
			if other := shorthands[flag.Shorthand]; flag.Shorthand != "" && other != "" {
				t.Errorf("%s: -%s is both --%s and --%s", command.CommandPath(), flag.Shorthand, other, flag.Name)
			}
			shorthands[flag.Shorthand] = flag.Name
		})
	})
	// pflag drops the second of two flags of one name in silence, so fields
	// must not be called as flags are that every verb has.
	taken := map[string]bool{"version": true}
	for _, flags := range []*pflag.FlagSet{a.globalFlags(), a.operationFlags()} {
		flags.VisitAll(func(flag *pflag.Flag) { taken[flag.Name] = true })
	}
	// An account has a language; app.shadowed knows.
	delete(taken, "language")
	for _, n := range a.registry.Nouns() {
		for _, field := range n.Fields {
			if field.Settable() && taken[field.Flag()] {
				t.Errorf("%s.%s: --%s is a flag of every command", n.Name, field.Name, field.Flag())
			}
		}
		for _, verb := range n.Verbs {
			for _, option := range verb.Options {
				if taken[option.Flag()] {
					t.Errorf("%s %s: --%s is a flag of every command", n.Name, verb.Name, option.Flag())
				}
			}
		}
	}
}

func TestEveryFieldReachesFlagAndColumn(t *testing.T) {
	a, root := fullTree(t)
	for _, n := range a.registry.Nouns() {
		add, _, err := root.Find([]string{n.Name, "add"})
		if err != nil {
			t.Fatal(err)
		}
		columns := map[string]bool{}
		for _, column := range nounTable(n).Columns {
			columns[column.Name] = true
		}
		for _, field := range n.AllFields() {
			if field.Shown() != columns[field.Name] {
				t.Errorf("%s.%s: shown %v, column %v", n.Name, field.Name, field.Shown(), columns[field.Name])
			}
			if !field.Settable() || field.Name == n.Key || isPositional(n, field.Name) || add.Name() != "add" {
				continue
			}
			name := field.Flag()
			if field.Secret != nil {
				name += "-stdin"
			}
			if add.Flags().Lookup(name) == nil {
				t.Errorf("%s add has no flag --%s", n.Name, name)
			}
		}
	}
}

// Fields of a few nouns, by hand, so that the engine does not certify itself.
func TestFlagsOfNounsByHand(t *testing.T) {
	_, root := fullTree(t)
	for command, flags := range map[string]string{
		"account add": "type full-name short-name email language notes dry-run yes reason wait exit-code",
		"user add":    "account home directory access shell group key password-stdin generate-password",
		"user set":    "account access shell group add-group remove-group key add-key remove-key",
		"server add":  "address port login host-key jump transport label",
		"route add":   "server match on-unreachable after",
		"user list":   "account columns filter sort limit",
		"log list":    "account object noun actor state since until columns filter sort limit",
	} {
		found, _, err := root.Find(strings.Fields(command))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(flags) {
			if found.Flags().Lookup(name) == nil {
				t.Errorf("orchestra %s has no --%s", command, name)
			}
		}
	}
}

func TestHelpFitsTheTerminal(t *testing.T) {
	for _, language := range languages {
		for _, width := range []int{0, 40} {
			a, root := fullTree(t)
			a.language, a.process.Streams.Width = language, width
			walk(root, func(command *cobra.Command) {
				var out bytes.Buffer
				a.process.Streams.Out = &out
				a.help(command)
				for _, line := range strings.Split(out.String(), "\n") {
					// What one types stands on one line.
					typed := strings.Contains(line, "orchestra ") || strings.HasPrefix(strings.TrimSpace(line), "-") && !strings.Contains(strings.TrimSpace(line), "  ")
					if n := utf8.RuneCountInString(line); n > cmp.Or(width, 80) && !typed {
						t.Errorf("%s --help, %s: %d columns: %s", command.CommandPath(), language, n, line)
					}
					if strings.Contains(line, "%!") {
						t.Errorf("%s --help, %s: %s", command.CommandPath(), language, line)
					}
				}
			})
		}
	}
}

// Every example of a derived verb is a command line that is taken as it stands.
func TestExamplesAreTaken(t *testing.T) {
	a, _ := fullTree(t)
	for _, n := range a.registry.Nouns() {
		for _, verb := range n.DerivedVerbs() {
			if verb == "list" || verb == "show" {
				continue
			}
			checkExample(t, a, n, verb, verbExample(n, verb))
		}
		for _, own := range n.Verbs {
			checkExample(t, a, n, own.Name, own.Example)
		}
	}
}

func checkExample(t *testing.T, a *app, n *noun.Noun, verb, example string) {
	t.Helper()
	words, err := shellquote.Split(example)
	if err != nil || len(words) < 3 || words[0] != "orchestra" || words[1] != n.Name || words[2] != verb {
		t.Errorf("%s %s: the example is no such command line: %s", n.Name, verb, example)
		return
	}
	f := a.newForm(n, verb, false)
	f.flags.AddFlagSet(a.operationFlags())
	f.flags.AddFlagSet(a.listFlags(false))
	f.flags.AddFlagSet(a.globalFlags())
	if err := f.flags.Parse(words[3:]); err != nil {
		t.Errorf("%s: %v", example, err)
		return
	}
	a.process.Streams.In = strings.NewReader("correct horse battery staple\n")
	a.stdinTaken = false
	if _, err := f.read(context.Background(), a, f.flags.Args()); err != nil {
		t.Errorf("%s: %v", example, err)
	}
}

// completions/ and man/ are those of the commands: make generate mends it.
func TestGeneratedFilesAreFresh(t *testing.T) {
	directory := t.TempDir()
	if err := Generate(filepath.Join(directory, "completions"), filepath.Join(directory, "man")); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"completions", "man"} {
		fresh, err := os.ReadDir(filepath.Join(directory, folder))
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, entry := range fresh {
			names[entry.Name()] = true
			want, err := os.ReadFile(filepath.Join(directory, folder, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join("..", "..", folder, entry.Name()))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s/%s is stale: run make generate", folder, entry.Name())
			}
		}
		kept, err := os.ReadDir(filepath.Join("..", "..", folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range kept {
			if !names[entry.Name()] {
				t.Errorf("%s/%s is of no command", folder, entry.Name())
			}
		}
	}
}

package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kballard/go-shellquote"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
)

const (
	batchLineLimit = 64 << 10 // bytes of one line
	batchLimit     = 100_000  // lines of one batch
)

// batchCommand makes `orchestra batch`.
func (a *app) batchCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "batch [FILE|-]",
		Short: a.say(message.New("Run many command lines as one operation: all of them, or none")),
		Long: a.say(message.New("Run many command lines as one operation: all of them, or none.\n\n" +
			"Each line is a command without \"orchestra\": add, ensure, set, delete, enable, disable, or another verb that changes something. " +
			"Words are quoted as in a shell, but nothing is expanded. Empty lines, and lines that begin with #, are skipped. " +
			"Flags such as --dry-run, --reason and --yes are given to the batch, not to its lines.")),
		Example: "orchestra batch new-users.txt --dry-run\nprintf 'user add ana --account acme\\nuser add bob --account acme\\n' | orchestra batch",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fault.New(fault.Usage, "%s has one argument too many: %q", "batch", shown(args[1]))
			}
			return a.batch(cmd.Context(), args)
		},
	}
	command.Flags().SortFlags = false
	command.Flags().AddFlagSet(a.operationFlags())
	return command
}

func (a *app) batch(ctx context.Context, args []string) error {
	name := "-"
	if len(args) == 1 {
		name = args[0]
	}
	in := a.process.Streams.In
	if name != "-" {
		file, err := os.Open(a.process.path(name))
		if err != nil {
			return fault.New(fault.Usage, "the file cannot be read").Because(err)
		}
		defer file.Close()
		in = file
	} else {
		if a.process.Streams.InTerminal {
			a.tell(message.New("Type command lines, and Ctrl-D to run them all."))
		}
		a.stdinTaken = true
	}
	mutations, err := a.readBatch(ctx, in)
	if err != nil {
		return err
	}
	command := "batch"
	if name != "-" {
		command += " " + quoteWords([]string{filepath.Base(name)})
	}
	a.lines = len(mutations)
	return a.mutate(ctx, mutations, command)
}

// readBatch reads and checks all lines. Nothing has been changed when it fails.
func (a *app) readBatch(ctx context.Context, in io.Reader) ([]*mutation, error) {
	var (
		mutations []*mutation
		forms     = map[string]*form{}
		lines     = bufio.NewScanner(in)
		number    int
	)
	lines.Buffer(make([]byte, 0, 4096), batchLineLimit)
	for lines.Scan() {
		number++
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		line := strings.TrimRight(lines.Text(), " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		if len(mutations) == batchLimit {
			return nil, fault.New(fault.Usage, "a batch has at most %d commands", batchLimit).
				WithHint("split it, in the order of what depends on what")
		}
		m, err := a.batchLine(ctx, forms, line)
		if err != nil {
			return nil, atLine(number, lineStart(line), err)
		}
		m.line = number
		mutations = append(mutations, m)
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fault.New(fault.Usage, "line %d is longer than %d bytes", number+1, batchLineLimit)
	} else if err != nil {
		return nil, fault.New(fault.Usage, "the batch cannot be read").Because(err)
	}
	if len(mutations) == 0 {
		return nil, fault.New(fault.Usage, "the batch has no command in it")
	}
	return mutations, nil
}

// lineStart returns the first words of a line, for messages: what follows may
// hold a secret in the wrong place.
func lineStart(line string) string {
	words := strings.Fields(line)
	if len(words) > 2 {
		words = words[:2]
	}
	kept := words[:0]
	for _, word := range words {
		if strings.HasPrefix(word, "-") || len(word) > 40 {
			break
		}
		kept = append(kept, word)
	}
	return strings.Join(kept, " ")
}

// batchLine reads one line with the form of its noun and verb.
func (a *app) batchLine(ctx context.Context, forms map[string]*form, line string) (*mutation, error) {
	if strings.ContainsRune(line, 0) {
		return nil, fault.New(fault.Usage, "the line holds a NUL byte")
	}
	words, err := shellquote.Split(line)
	if err != nil {
		return nil, fault.New(fault.Usage, "the quotes of the line do not match").Because(err)
	}
	if len(words) > 0 && words[0] == "orchestra" {
		return nil, fault.New(fault.Usage, "lines of a batch go without the word %q", "orchestra")
	}
	if len(words) < 2 {
		return nil, fault.New(fault.Usage, "the line needs a noun and a verb").WithHint("for example: %s", "account enable acme")
	}
	key := words[0] + " " + words[1]
	f := forms[key]
	if f == nil {
		if f, err = a.batchForm(words[0], words[1]); err != nil {
			return nil, err
		}
		forms[key] = f
	}
	f.reset()
	if err := f.flags.Parse(words[2:]); err != nil {
		return nil, a.batchFlagError(f, err)
	}
	return f.read(ctx, a, f.flags.Args())
}

// batchForm returns the form of a verb that a batch may hold.
func (a *app) batchForm(name, verb string) (*form, error) {
	n := a.registry.Noun(name)
	if n == nil {
		return nil, a.noSuchNoun(name)
	}
	var verbs []string
	for _, derived := range n.DerivedVerbs() {
		if derived != "list" && derived != "show" {
			verbs = append(verbs, derived)
		}
	}
	for _, own := range n.Verbs {
		if own.Plan != nil {
			verbs = append(verbs, own.Name)
		}
	}
	for _, known := range verbs {
		if known == verb {
			return a.newForm(n, verb, true), nil
		}
	}
	return nil, fault.New(fault.Usage, "%q is no verb of %s that changes something", shown(verb), name).
		WithHint("the verbs are: %s", joinWords(verbs))
}

// batchFlagError is flagError for a line: flags of the whole batch are told
// where they belong.
func (a *app) batchFlagError(f *form, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return fault.New(fault.Usage, "lines of a batch have no help").WithHint("orchestra %s %s --help", f.noun.Name, f.verb)
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		for _, flags := range []*pflag.FlagSet{a.operationFlags(), a.globalFlags()} {
			if flags.Lookup(unknown.GetSpecifiedName()) != nil {
				return fault.New(fault.Usage, "%s is a flag of the whole batch, not of a line", "--"+unknown.GetSpecifiedName())
			}
		}
	}
	// The verb alone, without the tree above it, under its full name.
	command := &cobra.Command{Use: f.verb, Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "orchestra " + f.noun.Name + " " + f.verb}}
	command.Flags().AddFlagSet(f.flags)
	return a.flagError(command, err)
}

package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/output"
	"orchestra/pkg/store"
)

// backendCommand makes `orchestra backend`.
func (a *app) backendCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: a.say(message.New("List the backends")), Example: "orchestra backend list", Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return a.backendList() },
	}
	list.Flags().AddFlagSet(a.listFlags(false))
	show := &cobra.Command{
		Use: "show NAME", Short: a.say(message.New("Show a backend and its scripts")), Example: "orchestra backend show unix-user",
		Args: exactly(1, "NAME"), RunE: func(_ *cobra.Command, args []string) error { return a.backendShow(args[0]) },
		ValidArgsFunction: a.completeBackends,
	}
	facts := &cobra.Command{
		Use: "facts NOUN NAME", Short: a.say(message.New("Show what backends are told about an object")),
		Example: "orchestra backend facts user ana", Args: exactly(2, "NOUN NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.backendFacts(cmd.Context(), args[0], args[1]) },
	}
	make := &cobra.Command{
		Use: "new NAME", Short: a.say(message.New("Begin a backend of your own")),
		Long:    a.say(message.New("Begin a backend of your own: a folder in the backends directory of the settings, with scripts to fill in.")),
		Example: "orchestra backend new crontab", Args: exactly(1, "NAME"),
		RunE: func(_ *cobra.Command, args []string) error { return a.backendNew(args[0]) },
	}
	check := &cobra.Command{
		Use: "check [NAME|FOLDER]", Short: a.say(message.New("Check the scripts of a backend, or of all of them")),
		Example: "orchestra backend check crontab", Args: cobra.ArbitraryArgs,
		RunE:              func(_ *cobra.Command, args []string) error { return a.backendCheck(args) },
		ValidArgsFunction: a.completeBackends,
	}
	check.Flags().AddFlagSet(a.listFlags(false))
	return a.groupCommand("backend", a.say(message.New("The scripts that bring objects onto servers")),
		list, show, facts, make, check, a.setupCommand())
}

func (a *app) completeBackends(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names, err := a.backendNames()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = name.Name
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// setupCommand makes `orchestra backend setup`.
func (a *app) setupCommand() *cobra.Command {
	var server string
	var pairs []string
	command := &cobra.Command{
		Use:   "setup NAME --server SERVER",
		Short: a.say(message.New("Make a server ready for a backend")),
		Long: a.say(message.New("Make a server ready for a backend: its part of the configuration of daemons, directories and groups. " +
			"It is an operation like any other: it can be previewed, is undone as a whole when it fails, and running it again changes nothing. Packages stay the administrator's: server check names those that are missing.")),
		Example: "orchestra backend setup unix-user --server h11 --dry-run",
		Args:    exactly(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.setup(cmd.Context(), args[0], server, pairs)
		},
		ValidArgsFunction: a.completeBackends,
	}
	command.Flags().SortFlags = false
	command.Flags().Var(word{&server, "SERVER", nil}, "server", a.say(message.New("The server to make ready"))+" "+a.say(message.New("(required)")))
	command.Flags().Var(listValue{&pairs, "NAME=VALUE"}, "variable", a.say(message.New("A variable of the backend's setup"))+" "+a.say(message.New("(repeatable)")))
	command.Flags().AddFlagSet(a.operationFlags())
	if n := a.registry.Noun("server"); n != nil {
		_ = command.RegisterFlagCompletionFunc("server", a.completeNames(n, 0))
	}
	return command
}

// listValue is a flag that is repeated, each time with a whole value.
type listValue struct {
	value       *[]string
	placeholder string
}

// String implements pflag.Value.
func (listValue) String() string { return "" }

// Type implements pflag.Value.
func (l listValue) Type() string { return l.placeholder }

// Set implements pflag.Value.
func (l listValue) Set(text string) error {
	*l.value = append(*l.value, text)
	return nil
}

func (a *app) setup(ctx context.Context, name, server string, pairs []string) error {
	if server == "" {
		return fault.New(fault.Usage, "backend setup needs also: %s", "--server").WithHint("for example: %s", "orchestra backend setup "+name+" --server h11")
	}
	b, err := a.findBackend(name)
	if err != nil {
		return err
	}
	variables := map[string]string{}
	for _, pair := range pairs {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return fault.New(fault.Usage, "%q is not NAME=VALUE", shown(pair)).About("--variable")
		}
		variables[key] = value
	}
	if err := a.view(ctx, func(tx *store.Tx) error {
		_, err := tx.Find(ctx, "server", server)
		return err
	}); err != nil {
		return err
	}
	words := []string{"backend", "setup", b.Name, "--server=" + server}
	for _, pair := range pairs {
		words = append(words, "--variable="+pair)
	}
	request, err := a.request(quoteWords(words), nil)
	if err != nil {
		return err
	}
	progress, done := a.startProgress()
	defer done()
	coordinator, err := a.openCoordinator(ctx, progress)
	if err != nil {
		return err
	}
	if a.flags.dryRun {
		preview, err := coordinator.SetupPreview(ctx, b.Name, server, variables)
		done()
		if err != nil {
			return err
		}
		return a.showPreview(ctx, preview)
	}
	outcome, err := coordinator.Setup(ctx, b.Name, server, variables, request)
	done()
	if err != nil {
		if outcome != nil {
			err = withServers(err, outcome)
		}
		return err
	}
	a.log.Info("setup", "operation", outcome.Number, "command", request.Command, "actor", request.Actor)
	return a.showOutcome(context.WithoutCancel(ctx), outcome, nil)
}

// findBackend returns a backend by name.
func (a *app) findBackend(name string) (*backend.Backend, error) {
	catalogue, err := a.catalogue()
	if err != nil {
		return nil, err
	}
	if b := catalogue.Backend(name); b != nil {
		return b, nil
	}
	var names []string
	for _, b := range catalogue.Backends() {
		names = append(names, b.Name)
	}
	e := fault.New(fault.NotFound, "there is no backend %q", shown(name))
	if near := nearest(name, names); near != "" {
		return nil, e.WithHint("did you mean %q?", near)
	}
	return nil, e.WithHint("the backends are: %s", joinWords(names))
}

func (a *app) backendList() error {
	catalogue, err := a.catalogue()
	if err != nil {
		return err
	}
	table := output.Table{Key: "name", Columns: []output.Column{
		{Name: "name", Listed: true, Fixed: true}, {Name: "noun", Listed: true}, {Name: "help", Listed: true, Wrapped: true},
		{Name: "method"}, {Name: "actions"}, {Name: "programs"}, {Name: "folder"},
	}}
	for _, b := range catalogue.Backends() {
		table.Rows = append(table.Rows, []any{b.Name, b.Noun, b.Help, b.Method, b.Actions, b.Programs, b.Folder})
	}
	return a.printList(table)
}

func (a *app) backendShow(name string) error {
	b, err := a.findBackend(name)
	if err != nil {
		return err
	}
	where := b.Folder
	if where == "" {
		where = a.say(message.New("part of this program"))
	}
	document := output.Record{
		{Name: "name", Value: b.Name}, {Name: "noun", Value: b.Noun}, {Name: "help", Value: b.Help}, {Name: "related", Value: list(b.Related)},
		{Name: "kind", Value: b.Kind}, {Name: "method", Value: b.Method}, {Name: "actions", Value: list(b.Actions)},
		{Name: "programs", Value: list(b.Programs)}, {Name: "timeout", Value: b.Timeout.Seconds()}, {Name: "folder", Value: b.Folder},
		{Name: "declare", Value: b.Declare}, {Name: "acts", Value: b.Acts}, {Name: "setup", Value: b.Setup},
	}
	return a.printer().Document(document, nil, func(out io.Writer) error {
		paint := a.paintOut()
		_, _ = fmt.Fprintf(out, "%s  %s\n", paint.Bold(output.Escape(b.Name)), output.Escape(b.Help))
		writePairs(out, paint, [][2]string{
			{"noun", b.Noun}, {"related", strings.Join(b.Related, ", ")}, {"actions", strings.Join(b.Actions, ", ")},
			{"programs", strings.Join(b.Programs, ", ")}, {"timeout", b.Timeout.Round(time.Second).String()}, {"folder", where},
		}, 0)
		for _, script := range [][2]string{{"declare.sh", b.Declare}, {"acts.sh", b.Acts}, {"setup.sh", b.Setup}} {
			if strings.TrimSpace(script[1]) != "" {
				_, _ = fmt.Fprintf(out, "\n%s\n%s\n", paint.Bold("# "+script[0]), output.EscapeLines(strings.TrimRight(script[1], "\n")))
			}
		}
		return nil
	})
}

func list(words []string) []string {
	if words == nil {
		return []string{}
	}
	return words
}

func (a *app) backendFacts(ctx context.Context, nounName, name string) error {
	n := a.registry.Noun(nounName)
	if n == nil {
		return fault.New(fault.Usage, "%q is no noun", shown(nounName)).WithHint("the nouns are: %s", joinWords(a.registry.Names()))
	}
	var found []noun.Facts
	err := a.view(ctx, func(tx *store.Tx) error {
		row, err := tx.Find(ctx, n.Name, canonicalName(n, name))
		if err != nil {
			return err
		}
		found, err = noun.FactsOf(ctx, tx, []noun.Row{row})
		return err
	})
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%d sets of facts about one object", len(found))
	}
	table := output.Table{Key: "fact", Columns: []output.Column{{Name: "fact", Listed: true, Fixed: true}, {Name: "value", Listed: true, Wrapped: true}}}
	var names []string
	for fact := range found[0] {
		names = append(names, fact)
	}
	sort.Strings(names)
	document := output.Record{}
	for _, fact := range names {
		value := found[0][fact]
		switch v := value.(type) {
		case noun.Confidential:
			value = secretShown
		case noun.Content:
			value = string(v)
		}
		table.Rows = append(table.Rows, []any{fact, value})
		document = append(document, output.Member{Name: fact, Value: value})
	}
	if a.format().Structured() || a.flags.jq != "" {
		return a.printer().Document(document, nil, nil)
	}
	return a.printList(table)
}

func (a *app) backendNew(name string) error {
	loaded, err := a.loadSettings()
	if err != nil {
		return err
	}
	folder := filepath.Join(a.process.path(loaded.Backends.Directory), name)
	if err := backend.New(folder, name); err != nil {
		return err
	}
	a.tell(message.New("Made %s. Fill in its scripts, then: %s", folder, "orchestra backend check "+name))
	return nil
}

func (a *app) backendCheck(args []string) error {
	if len(args) > 1 {
		return fault.New(fault.Usage, "%s has one argument too many: %q", "backend check", shown(args[1]))
	}
	loaded, err := a.loadSettings()
	if err != nil {
		return err
	}
	folders := map[string]string{}
	var order []string
	add := func(name, folder string) {
		folders[name] = folder
		order = append(order, name)
	}
	if len(args) == 1 {
		folder := a.process.path(args[0])
		if !strings.Contains(args[0], "/") {
			folder = filepath.Join(a.process.path(loaded.Backends.Directory), args[0])
		}
		if _, err := os.Stat(folder); err != nil {
			if _, embedded := a.findBackend(args[0]); embedded == nil {
				a.tell(message.New("Backend %s is part of this program: there is nothing to check.", args[0]))
				return nil
			}
			return fault.New(fault.NotFound, "there is no backend in %s", folder).WithHint("%s begins one", "orchestra backend new NAME")
		}
		add(filepath.Base(folder), folder)
	} else {
		entries, err := os.ReadDir(a.process.path(loaded.Backends.Directory))
		if err != nil && !os.IsNotExist(err) {
			return fault.New(fault.Denied, "the directory of backends cannot be read").Because(err)
		}
		for _, entry := range entries {
			if entry.IsDir() {
				add(entry.Name(), filepath.Join(a.process.path(loaded.Backends.Directory), entry.Name()))
			}
		}
	}
	return a.showBackendFindings(order, folders)
}

func (a *app) showBackendFindings(order []string, folders map[string]string) error {
	table := output.Table{Key: "backend", Columns: []output.Column{
		{Name: "backend", Listed: true, Fixed: true}, {Name: "file", Listed: true}, {Name: "line", Kind: output.Number, Listed: true}, {Name: "finding", Listed: true, Wrapped: true},
	}}
	failed := 0
	for _, name := range order {
		for _, finding := range backend.Check(folders[name]) {
			failed++
			table.Rows = append(table.Rows, []any{name, finding.File, finding.Line, a.say(finding.Text)})
		}
	}
	if failed > 0 || a.format() != output.FormatTable {
		if err := a.printList(table); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fault.New(fault.Invalid, "%d findings in the scripts of backends", failed)
	}
	a.tell(message.New("Checked %d backends: nothing found.", len(order)))
	return nil
}

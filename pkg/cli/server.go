package cli

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/operation"
	"orchestra/pkg/output"
	"orchestra/pkg/remote"
	"orchestra/pkg/store"
)

// serverCommands makes the commands of the noun server that are not derived.
func (a *app) serverCommands() []*cobra.Command {
	var all bool
	check := &cobra.Command{
		Use:     "check [NAME...]",
		Short:   a.say(message.New("Check that servers can be reached and have what they need")),
		Long:    a.say(message.New("Check that servers can be reached and have what they need: the connection and its latency, root's rights, missing programs, free space, the clock, and settings of sshd that slow or refuse us. It changes nothing.")),
		Example: "orchestra server check h11\norchestra server check --all -o json",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.serverCheck(cmd.Context(), args, all) },
	}
	check.Flags().SortFlags = false
	check.Flags().BoolVar(&all, "all", false, a.say(message.New("Check every server that is enabled")))
	check.Flags().AddFlagSet(a.listFlags(false))
	adopt := &cobra.Command{
		Use:     "adopt NAME",
		Short:   a.say(message.New("Make a server follow this panel, or this restored database")),
		Long:    a.say(message.New("Make a server follow this panel, or this restored database.\n\nA server remembers which panel changed it last, and when. It refuses another panel, and a panel that was set back by a restored backup, until it is adopted: look at the differences first, with --dry-run; they are shown before it asks, too.\n\nThen what this database says is on the server is told to it anew, by whatever reaches it next, such as recover. Numbers that were given after the backup are not given again: adopt all servers before you add anything.")),
		Example: "orchestra server adopt h11 --dry-run\norchestra server adopt h11",
		Args:    exactly(1, "NAME"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.serverAdopt(cmd.Context(), args[0]) },
	}
	adopt.Flags().AddFlagSet(a.operationFlags())
	if n := a.registry.Noun("server"); n != nil {
		check.ValidArgsFunction = a.completeNames(n, 0)
		adopt.ValidArgsFunction = a.completeNames(n, 1)
	}
	return []*cobra.Command{check, adopt}
}

// checked is what was found about one server.
type checked struct {
	name     string
	latency  time.Duration
	problems []string
	advice   []string
	owed     message.Text // zero where nothing is
	err      error
}

func (a *app) serverCheck(ctx context.Context, names []string, all bool) error {
	if all == (len(names) > 0) {
		return fault.New(fault.Usage, "server check needs names, or --all").WithHint("for example: %s", "orchestra server check --all")
	}
	progress, done := a.startProgress()
	defer done()
	coordinator, err := a.openCoordinator(ctx, progress)
	if err != nil {
		return err
	}
	if names, err = a.serverNames(ctx, names, all); err != nil {
		return err
	}
	owed, err := a.owed(ctx)
	if err != nil {
		return err
	}
	results := make([]checked, len(names))
	each(len(names), 8, func(i int) {
		results[i] = a.probe(ctx, coordinator, names[i])
		results[i].owed = owed[names[i]]
	})
	done()
	return a.showChecked(results)
}

// each calls work for 0 … n-1, at most width at once.
func each(n, width int, work func(int)) {
	slots := make(chan struct{}, width)
	done := make(chan struct{})
	for i := range n {
		go func() {
			slots <- struct{}{}
			work(i)
			<-slots
			done <- struct{}{}
		}()
	}
	for range n {
		<-done
	}
}

// serverNames returns the servers to check: those named, or all enabled ones.
func (a *app) serverNames(ctx context.Context, names []string, all bool) ([]string, error) {
	err := a.view(ctx, func(tx *store.Tx) error {
		if !all {
			for _, name := range names {
				if _, err := tx.Find(ctx, "server", name); err != nil {
					return err
				}
			}
			return nil
		}
		rows, err := tx.Select(ctx, "server")
		for _, row := range rows {
			if len(row.List(noun.DisabledField)) == 0 {
				names = append(names, row.Text("name"))
			}
		}
		return err
	})
	return names, err
}

// owed says of servers that are owed changes how many, and what to do.
func (a *app) owed(ctx context.Context) (map[string]message.Text, error) {
	owed := map[string]message.Text{}
	err := a.view(ctx, func(tx *store.Tx) error {
		counts, err := tx.Owed(ctx)
		if err != nil || len(counts) == 0 {
			return err
		}
		rows, err := tx.Select(ctx, "server")
		for _, row := range rows {
			count, name := counts[row.ID], row.Text("name")
			switch {
			case count == 0:
			case len(row.List(noun.DisabledField)) > 0:
				owed[name] = message.New("changes owed to it: %d (%s)", count, "orchestra server enable "+name)
			default:
				owed[name] = message.New("changes owed to it: %d (%s)", count, "orchestra recover")
			}
		}
		return err
	})
	return owed, err
}

// slowClock is how far a server's clock may be off before it is told.
const slowClock = 2 * time.Second

// lowSpace is the free space of a file system below which it is told, in bytes.
const lowSpace = 256 << 20

func (a *app) probe(ctx context.Context, coordinator *operation.Coordinator, name string) checked {
	result := checked{name: name}
	probed, latency, err := coordinator.Probe(ctx, name)
	if err != nil {
		result.err = err
		return result
	}
	result.latency = latency
	problem := func(text message.Text) { result.problems = append(result.problems, a.say(text)) }
	advise := func(text message.Text) { result.advice = append(result.advice, a.say(text)) }
	if probed.EffectiveID != 0 {
		problem(message.New("no root rights: let its login use sudo without a password"))
	}
	if len(probed.Missing) > 0 {
		problem(message.New("missing programs: %s", strings.Join(probed.Missing, ", ")))
	}
	if off := a.process.Now().Sub(probed.Time); off > slowClock || off < -slowClock {
		advise(message.New("its clock is off by %s", output.Duration(off.Abs())))
	}
	var paths []string
	for path := range probed.FreeBytes {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	for _, path := range paths {
		if free := probed.FreeBytes[path]; free < lowSpace {
			problem(message.New("only %d MiB free in %s", free>>20, path))
		}
	}
	a.adviseSSHD(probed.SSHD, advise)
	return result
}

// adviseSSHD looks at settings of sshd that slow us, or refuse us.
func (a *app) adviseSSHD(settings map[string]string, advise func(message.Text)) {
	if strings.EqualFold(settings["usedns"], "yes") {
		advise(message.New("sshd looks up names at each login: set UseDNS no"))
	}
	if strings.EqualFold(settings["gssapiauthentication"], "yes") {
		advise(message.New("sshd tries GSSAPI at each login: set GSSAPIAuthentication no"))
	}
	var begin int
	if _, err := fmt.Sscanf(settings["maxstartups"], "%d", &begin); err == nil && a.settings != nil && begin < a.settings.SSH.Slots+2 {
		advise(message.New("sshd refuses logins beyond %d at once (MaxStartups %s): raise it, or lower ssh.slots", begin, settings["maxstartups"]))
	}
	var sessions int
	if _, err := fmt.Sscanf(settings["maxsessions"], "%d", &sessions); err == nil && sessions < 4 {
		advise(message.New("sshd allows only %d sessions over a connection (MaxSessions)", sessions))
	}
}

func (a *app) showChecked(results []checked) error {
	table := output.Table{Key: "server", Columns: []output.Column{
		{Name: "server", Listed: true, Fixed: true}, {Name: "state", Listed: true, Fixed: true}, {Name: "latency", Listed: true, Fixed: true},
		{Name: "problems", Listed: true, Wrapped: true}, {Name: "advice", Listed: true, Wrapped: true},
	}}
	var unreachable, failing, behind []string
	var first error
	for _, r := range results {
		state, latency := "ok", any(r.latency)
		switch {
		case r.err != nil:
			state, latency = "unreachable", nil
			if !fault.Is(r.err, fault.Unreachable) {
				state = "refused"
			}
			unreachable = append(unreachable, r.name)
			r.problems = append(r.problems, a.sentence(r.err))
			if first == nil {
				first = r.err
			}
		case len(r.problems) > 0:
			state = "not ready"
			failing = append(failing, r.name)
		case !r.owed.IsZero():
			state = "not up to date"
			behind = append(behind, r.name)
		}
		if !r.owed.IsZero() {
			r.problems = append(r.problems, a.say(r.owed))
		}
		if a.format() == output.FormatTable && r.err == nil {
			latency = output.Duration(r.latency)
		}
		table.Rows = append(table.Rows, []any{r.name, state, latency, r.problems, r.advice})
	}
	if len(results) == 1 && a.format() == output.FormatTable && a.flags.jq == "" {
		if err := a.printer().Show(table); err != nil {
			return err
		}
	} else if err := a.printList(table); err != nil {
		return err
	}
	if first != nil {
		missed := fault.New(fault.KindOf(first), "not reached: %s", strings.Join(unreachable, ", "))
		if a.format() == output.FormatTable && a.flags.jq == "" {
			missed.Hint = hintOf(first)                                           // the table has said why
			if missed.Hint.IsZero() || missed.Hint.String() == "orchestra server check "+unreachable[0] { // that was just typed
				missed.WithHint("mend what is said of them, then: %s", "orchestra server check "+strings.Join(unreachable, " "))
			}
			return missed
		}
		return missed.Because(first)
	}
	if len(failing) > 0 {
		return fault.New(fault.Failed, "not ready: %s", strings.Join(failing, ", ")).
			WithHint("mend what is said of them, then: %s", "orchestra server check "+strings.Join(failing, " "))
	}
	if len(behind) > 0 {
		return fault.New(fault.Failed, "not up to date: %s", strings.Join(behind, ", "))
	}
	return nil
}

func (a *app) serverAdopt(ctx context.Context, name string) error {
	if a.flags.exitCode && !a.flags.dryRun {
		return fault.New(fault.Usage, "--exit-code goes with --dry-run only")
	}
	if a.flags.dryRun {
		differences, err := a.beforeAdopt(ctx, name)
		if err != nil {
			return err
		}
		return a.showPreview(ctx, &operation.Preview{Servers: differences})
	}
	if !a.flags.yes {
		agreed, err := a.confirmAdopt(ctx, name)
		if err != nil {
			return err
		}
		if !agreed {
			return &exitCode{fault.Interrupted.ExitCode()}
		}
	}
	progress, done := a.startProgress()
	defer done()
	coordinator, err := a.openCoordinator(ctx, progress)
	if err != nil {
		return err
	}
	request, err := a.request(quoteWords([]string{"server", "adopt", name}), nil)
	if err != nil {
		return err
	}
	outcome, err := coordinator.Adopt(ctx, name, request)
	done()
	if err != nil {
		return err
	}
	a.log.Info("adopted", "server", name, "actor", request.Actor, "operation", outcome.Number)
	a.tell(message.New("Server %s follows this panel now.", name))
	return a.showOutcome(context.WithoutCancel(ctx), outcome, nil)
}

// beforeAdopt returns how a server that is to be adopted differs from the database.
func (a *app) beforeAdopt(ctx context.Context, name string) ([]operation.ServerDifferences, error) {
	progress, done := a.startProgress()
	defer done()
	coordinator, err := a.openCoordinator(ctx, progress)
	if err != nil {
		return nil, err
	}
	return coordinator.AdoptPreview(ctx, name)
}

// confirmAdopt shows how a server differs from the database, and asks.
func (a *app) confirmAdopt(ctx context.Context, name string) (bool, error) {
	if err := a.mayAsk(fault.New(fault.Usage, "adopting a server is to be confirmed, and there is nobody to ask").
		WithHint("add --yes to do it, or --dry-run to see how it differs")); err != nil {
		return false, err
	}
	differences, err := a.beforeAdopt(ctx, name)
	if err != nil {
		return false, err
	}
	if err := unanswered(differences); fault.Is(err, fault.Unreachable) {
		return false, err
	}
	paint := a.paintErr()
	writeServers(a.process.Streams.Err, paint, differences, func(text io.Writer, server operation.ServerDifferences) {
		a.writeDifferences(text, paint, server)
	})
	return a.asker().Confirm(ctx, a.say(message.New("Make server %s follow this panel from now on, whatever it followed before?", name)))
}

// fetchHostKey fills the host key of a new server: it asks the server for it
// and a person whether it is the right one. Without a person it is refused.
func (a *app) fetchHostKey(ctx context.Context, m *mutation) error {
	if m.noun.Name != "server" || m.verb != "add" || m.values["transport"] == "local" {
		return nil
	}
	if m.has("host_key") {
		return a.checkHostKey(ctx, m)
	}
	if err := a.mayAsk(fault.New(fault.Usage, "the host key of the server is needed: nobody is here to confirm a fetched one").About("server.host_key").
		WithHint("on the server: %s; then add %s", "cat /etc/ssh/ssh_host_ed25519_key.pub", "--host-key \"ssh-ed25519 AAAA…\"")); err != nil {
		return err
	}
	target, err := a.newTarget(ctx, m)
	if err != nil {
		return err
	}
	keys, err := remote.FetchHostKeys(ctx, target)
	if err != nil {
		return err
	}
	errs, paint := a.process.Streams.Err, a.paintErr()
	_, _ = fmt.Fprintln(errs, a.say(message.New("%s shows these host keys:", target.Address)))
	var lines []string
	for _, key := range keys {
		_, _ = fmt.Fprintf(errs, "  %-20s %s\n", output.Escape(key.Type), paint.Bold(output.Escape(key.Fingerprint)))
		lines = append(lines, key.Line)
	}
	_, _ = fmt.Fprintln(errs, a.say(message.New("Compare them with what the server itself says, on its console:")))
	_, _ = fmt.Fprintln(errs, "  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
	agreed, err := a.asker().Confirm(ctx, a.say(message.New("Are they the server's?")))
	if err != nil {
		return err
	}
	if !agreed {
		return fault.New(fault.Denied, "the host key was not confirmed: nothing was added").About("server.host_key")
	}
	m.set("host_key", lines)
	return nil
}

// keyTimeout is how long a server that is being added is asked for its key: it
// need not be there yet.
const keyTimeout = 3 * time.Second

// checkHostKey asks a new server for the key that was given: another one is
// refused, and one that does not answer is added all the same, with a warning.
func (a *app) checkHostKey(ctx context.Context, m *mutation) error {
	check := a.process.CheckHostKey
	if check == nil && a.process.Connect == nil {
		check = remote.CheckHostKey
	}
	if check == nil {
		return nil
	}
	target, err := a.newTarget(ctx, m)
	if err != nil {
		return err
	}
	target.HostKeys, _ = m.values["host_key"].([]string)
	target.KnownHosts = a.settings.SSH.KnownHosts
	target.ConnectTimeout = min(target.ConnectTimeout, keyTimeout)
	err = check(ctx, target)
	if !fault.Is(err, fault.Unreachable) {
		return err
	}
	a.warn(message.New("%s does not answer, so that its host key could not be checked: %s", target.Name, a.sentence(err)))
	return nil
}

// newTarget returns how a server that is not there yet is reached.
func (a *app) newTarget(ctx context.Context, m *mutation) (remote.Target, error) {
	text := func(field string) string { s, _ := m.values[field].(string); return s }
	target := remote.Target{Name: m.names[0], Address: text("address"), Login: text("login")}
	if target.Address == "" {
		return target, fault.New(fault.Usage, "server add needs also: %s", "--address").WithHint("for example: %s", verbExample(m.noun, "add"))
	}
	if port, is := m.values["port"].(int64); is {
		target.Port = int(port)
	}
	if _, err := a.openCoordinator(ctx, nil); err != nil {
		return target, err
	}
	target.ConnectTimeout = a.settings.SSH.ConnectTimeout
	if jump := text("jump"); jump != "" {
		var id int64
		if err := a.view(ctx, func(tx *store.Tx) error {
			row, err := tx.Find(ctx, "server", jump)
			id = row.ID
			return err
		}); err != nil {
			return target, err
		}
		through, err := a.connections.server(ctx, id)
		if err != nil {
			return target, err
		}
		jumped, err := a.connections.target(ctx, through, 0)
		if err != nil {
			return target, err
		}
		target.Jump = &jumped
	}
	return target, nil
}

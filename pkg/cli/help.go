package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/output"
)

const (
	helpWidth   = 80  // where there is no terminal
	widestHelp  = 100 // longer lines are hard to read
	flagsColumn = 30  // longer flags get a line of their own
)

// page writes one help.
type page struct {
	out   *bufio.Writer
	width int
	paint output.Painter
	app   *app
}

// help writes the help of a command to standard output.
func (a *app) help(cmd *cobra.Command) {
	a.grow(cmd.Root(), strings.Fields(cmd.CommandPath())[1:])
	p := a.page(a.process.Streams.Out)
	defer p.out.Flush()
	switch {
	case !cmd.HasParent():
		p.root(cmd)
	case cmd.HasAvailableSubCommands():
		p.noun(cmd)
	default:
		p.verb(cmd)
	}
}

func (a *app) page(out io.Writer) *page {
	return &page{
		out: bufio.NewWriter(out), paint: a.paintOut(), app: a,
		width: min(a.process.Streams.WidthOr(helpWidth), widestHelp),
	}
}

// text writes paragraphs, wrapped. Lines that begin with spaces stay as they are.
func (p *page) text(text string) {
	for _, paragraph := range strings.Split(text, "\n\n") {
		if strings.HasPrefix(paragraph, " ") {
			p.line(paragraph)
		} else {
			for _, line := range output.Wrap(strings.ReplaceAll(paragraph, "\n", " "), p.width) {
				p.line(line)
			}
		}
		p.line("")
	}
}

func (p *page) line(text string)    { _, _ = fmt.Fprintln(p.out, text) }
func (p *page) heading(text string) { p.line(p.paint.Bold(text)) }

// pairs writes names with their descriptions in two columns.
func (p *page) pairs(pairs [][2]string, column int) {
	left, column := 0, min(column, p.width/2-4)
	for _, pair := range pairs {
		if n := len(pair[0]); n <= column {
			left = max(left, n)
		}
	}
	for _, pair := range pairs {
		lines := output.Wrap(pair[1], p.width-left-4)
		first := "  " + pair[0] + strings.Repeat(" ", max(left-len(pair[0]), 0)) + "  "
		if len(pair[0]) > left {
			p.line("  " + pair[0])
			first = strings.Repeat(" ", left+4)
		}
		for i, line := range lines {
			if i > 0 {
				first = strings.Repeat(" ", left+4)
			}
			p.line(strings.TrimRight(first+line, " "))
		}
	}
}

func (p *page) phrase(format string) string { return p.app.say(message.New(format)) }

// root writes the help of the program.
func (p *page) root(cmd *cobra.Command) {
	p.text(p.phrase("Orchestra administers a hosting provider's accounts and services over its servers: one change reaches all of them, or none."))
	p.heading(p.phrase("Usage:"))
	p.line("  " + p.phrase("orchestra NOUN VERB [NAME] [flags]"))
	p.line("")
	longest := 0
	for _, command := range cmd.Commands() {
		if command.IsAvailableCommand() {
			longest = max(longest, len(command.Name()))
		}
	}
	for _, group := range cmd.Groups() {
		var pairs [][2]string
		for _, command := range cmd.Commands() {
			if command.GroupID == group.ID && command.IsAvailableCommand() {
				pairs = append(pairs, [2]string{command.Name() + strings.Repeat(" ", longest-len(command.Name())), command.Short})
			}
		}
		if len(pairs) > 0 {
			p.heading(p.app.say(areaTitle(group.ID)) + ":")
			p.pairs(pairs, flagsColumn)
			p.line("")
		}
	}
	p.text(p.phrase("Nouns have the verbs add, list, show, set and delete, and some have more: orchestra NOUN --help lists them."))
	p.heading(p.phrase("Begin here:"))
	for _, command := range []string{"orchestra init", "orchestra account add --help", "orchestra help topics"} {
		p.line("  " + p.paint.Cyan(command))
	}
}

// areaTitle returns the heading of a group of commands.
func areaTitle(area string) message.Text {
	switch area {
	case "Accounts":
		return message.New("Accounts")
	case "Mail":
		return message.New("Mail")
	case "DNS":
		return message.New("DNS")
	case "Web":
		return message.New("Web")
	case "Databases":
		return message.New("Databases")
	case "Billing":
		return message.New("Billing")
	case "Monitoring":
		return message.New("Monitoring")
	case "Servers":
		return message.New("Servers")
	}
	return message.New("Administration")
}

// noun writes the help of a command that has commands.
func (p *page) noun(cmd *cobra.Command) {
	p.text(cmdText(cmd))
	p.heading(p.phrase("Usage:"))
	word := p.phrase("VERB [NAME] [flags]")
	if p.app.registry.Noun(cmd.Name()) == nil {
		word = p.phrase("COMMAND [flags]")
	}
	p.line("  " + cmd.CommandPath() + " " + word)
	p.line("")
	p.heading(p.phrase("Verbs:"))
	var pairs [][2]string
	for _, command := range cmd.Commands() {
		if command.IsAvailableCommand() {
			pairs = append(pairs, [2]string{command.Name(), command.Short})
		}
	}
	p.pairs(pairs, flagsColumn)
	p.line("")
	p.example(cmd)
	p.text(p.app.say(message.New("%s tells about one of them.", cmd.CommandPath()+" VERB --help")))
}

func cmdText(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short + "."
}

func (p *page) example(cmd *cobra.Command) {
	if cmd.Example == "" {
		return
	}
	p.heading(p.phrase("Example:"))
	for _, line := range strings.Split(cmd.Example, "\n") {
		for n, part := range wrapCommand(line, p.width-4) {
			lead := "  "
			if n > 0 {
				lead = "      "
			}
			p.line(lead + p.paint.Cyan(part))
		}
	}
	p.line("")
}

// wrapCommand breaks a command line before flags, with backslashes, so that it
// can be copied as it stands.
func wrapCommand(line string, width int) []string {
	if len(line) <= width {
		return []string{line}
	}
	var lines []string
	current := ""
	for i, part := range strings.Split(line, " --") {
		if i > 0 {
			part = "--" + part
		}
		switch {
		case current == "":
			current = part
		case len(current)+1+len(part) > width-6:
			lines = append(lines, current+` \`)
			current = part
		default:
			current += " " + part
		}
	}
	return append(lines, current)
}

// verb writes the help of a command that does something.
func (p *page) verb(cmd *cobra.Command) {
	p.text(cmdText(cmd))
	p.heading(p.phrase("Usage:"))
	use := cmd.Use
	if cmd.HasParent() {
		use = cmd.Parent().CommandPath() + " " + use
	}
	if cmd.HasAvailableLocalFlags() {
		use += " " + p.phrase("[flags]")
	}
	p.line("  " + use)
	p.line("")
	p.example(cmd)
	for _, section := range [][2]string{
		{"", p.phrase("Flags:")}, {sectionList, p.phrase("What is shown:")}, {sectionOperation, p.phrase("How it is done:")},
	} {
		if pairs := flagPairs(cmd, section[0]); len(pairs) > 0 {
			p.heading(section[1])
			p.pairs(pairs, flagsColumn)
			p.line("")
		}
	}
	var names []string
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if sectionOf(flag) == sectionGlobal && !flag.Hidden && flag.Name != "help" {
			names = append(names, flagNames(flag))
		}
	})
	p.text(p.app.say(message.New("Everywhere: %s (%s)", strings.Join(names, ", "), "orchestra help flags")))
}

func sectionOf(flag *pflag.Flag) string {
	if section := flag.Annotations[sectionKey]; len(section) > 0 {
		return section[0]
	}
	return ""
}

func flagPairs(cmd *cobra.Command, section string) [][2]string {
	var pairs [][2]string
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden && sectionOf(flag) == section && flag.Name != "help" {
			pairs = append(pairs, flagPair(flag))
		}
	})
	return pairs
}

// flagPair returns a flag with its value, and its help.
func flagPair(flag *pflag.Flag) [2]string {
	name := "    --" + flag.Name
	if flag.Shorthand != "" {
		name = "-" + flag.Shorthand + ", --" + flag.Name
	}
	if kind := flag.Value.Type(); kind != "bool" {
		if flag.NoOptDefVal != "" {
			name += "[=" + kind + "]"
		} else {
			name += " " + kind
		}
	}
	return [2]string{name, flag.Usage}
}

func flagNames(flag *pflag.Flag) string {
	if flag.Shorthand != "" {
		return "-" + flag.Shorthand + " --" + flag.Name
	}
	return "--" + flag.Name
}

// helpCommand makes `orchestra help`.
func (a *app) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND...|TOPIC]",
		Short:   a.say(message.New("Show help about a command or a topic")),
		Example: "orchestra help account add\norchestra help topics",
		GroupID: areaAdministration,
		Args:    cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				a.help(root)
				return nil
			}
			if len(args) == 1 {
				if topic := findTopic(args[0]); topic != nil {
					p := a.page(a.process.Streams.Out)
					topic.write(p)
					return p.out.Flush()
				}
			}
			found, rest, err := root.Find(args)
			if err != nil || found == root || len(rest) > 0 {
				return fault.New(fault.Usage, "there is no help about %q", shown(strings.Join(args, " "))).
					WithHint("%s lists all commands, %s the topics", "orchestra --help", "orchestra help topics")
			}
			a.help(found)
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var words []string
			if len(args) == 0 {
				for _, command := range root.Commands() {
					if command.IsAvailableCommand() {
						words = append(words, command.Name())
					}
				}
				for _, topic := range topics() {
					words = append(words, topic.name)
				}
			}
			return words, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

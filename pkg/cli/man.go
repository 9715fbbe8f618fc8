package cli

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"orchestra/pkg/message"
	"orchestra/pkg/settings"
)

// manDate stands in all man pages: generated files differ only where the
// commands do.
const manDate = "2026-11-23"

// manual writes one page in the language of man(7).
type manual struct{ bytes.Buffer }

// roff escapes text for man(7): backslashes, dashes that are to be typed, and
// the characters that begin a request at the start of a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "→", `\(->`, "…", "...", "–", `\(en`, "“", `"`, "”", `"`, "’", "'").Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

func (m *manual) head(title, section, short string) {
	fmt.Fprintf(m, ".TH %s %s %s \"Orchestra\" \"Orchestra Manual\"\n", strings.ToUpper(roff(title)), section, manDate)
	m.section("NAME")
	fmt.Fprintf(m, "%s \\- %s\n", roff(title), roff(short))
}

func (m *manual) section(title string) { fmt.Fprintf(m, ".SH %s\n", title) }

func (m *manual) paragraphs(text string) {
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			m.WriteString(".PP\n")
		}
		m.WriteString(roff(strings.ReplaceAll(paragraph, "\n", " ")) + "\n")
	}
}

func (m *manual) tagged(tag, text string) {
	fmt.Fprintf(m, ".TP\n\\fB%s\\fR\n%s\n", roff(tag), roff(text))
}

func (m *manual) example(lines string) {
	m.WriteString(".PP\n.nf\n.RS 4\n" + roff(lines) + "\n.RE\n.fi\n")
}

// manPages returns the pages by file name: one for the program, one for each
// of its commands, and one for its configuration.
func manPages(a *app, root *cobra.Command) map[string][]byte {
	pages := map[string][]byte{"orchestra.1": rootPage(a, root), "orchestra.toml.5": configPage()}
	for _, command := range root.Commands() {
		if command.IsAvailableCommand() && command.Name() != "help" {
			pages["orchestra-"+command.Name()+".1"] = commandPage(a, command)
		}
	}
	return pages
}

func rootPage(a *app, root *cobra.Command) []byte {
	var m manual
	m.head("orchestra", "1", "administers a hosting provider over its own servers")
	m.section("SYNOPSIS")
	m.WriteString("\\fBorchestra\\fR \\fINOUN\\fR \\fIVERB\\fR [\\fINAME\\fR] [\\fIflags\\fR]\n")
	m.section("DESCRIPTION")
	m.paragraphs("Orchestra administers a hosting provider's accounts and services over its servers: one change reaches all of them, or none. It can be seen before, and is in the log after.\n\n" +
		"Objects are named by what people call them. Nouns have the verbs add, ensure, list, show, set and delete; some have enable and disable, and verbs of their own.")
	for _, group := range root.Groups() {
		begun := false
		for _, command := range root.Commands() {
			if command.GroupID != group.ID || !command.IsAvailableCommand() {
				continue
			}
			if !begun {
				m.section(strings.ToUpper(group.Title))
				begun = true
			}
			tag := "orchestra-" + command.Name() + "(1)"
			if command.Name() == "help" {
				tag = "help"
			}
			m.tagged(tag, command.Short)
		}
	}
	m.section("OPTIONS")
	for _, flags := range []*pflag.FlagSet{a.globalFlags(), a.operationFlags(), a.listFlags(true)} {
		flags.VisitAll(func(flag *pflag.Flag) { m.tagged(strings.TrimSpace(flagPair(flag)[0]), flag.Usage) })
	}
	m.section("EXIT STATUS")
	for _, status := range exitCodes() {
		m.tagged(status.code, status.text.String())
	}
	m.section("FILES")
	m.tagged("/etc/orchestra/orchestra.toml", "The configuration: orchestra.toml(5).")
	m.tagged("/etc/orchestra/backends/", "Backends of your own.")
	m.tagged("/var/lib/orchestra/orchestra.db", "The database.")
	m.section("ENVIRONMENT")
	m.tagged("ORCHESTRA_CONFIG", "The configuration file.")
	m.tagged("ORCHESTRA_*", "Any setting: ORCHESTRA_SSH_IDENTITY is ssh.identity.")
	m.tagged("NO_COLOR", "No colour, unless --color=always.")
	m.section("SEE ALSO")
	m.WriteString("\\fBorchestra.toml\\fR(5)\n")
	return m.Bytes()
}

// commandPage returns the page of a noun, or of another command, with its verbs.
func commandPage(a *app, command *cobra.Command) []byte {
	var m manual
	m.head("orchestra-"+command.Name(), "1", lowerFirst(command.Short))
	m.section("SYNOPSIS")
	verbs := command.Commands()
	if !command.HasAvailableSubCommands() {
		verbs = []*cobra.Command{command}
	}
	for i, verb := range verbs {
		if i > 0 {
			m.WriteString(".br\n")
		}
		fmt.Fprintf(&m, "\\fB%s\\fR %s\n", roff(verb.CommandPath()), roff(strings.TrimSpace(strings.TrimPrefix(verb.Use, verb.Name())+" [flags]")))
	}
	m.section("DESCRIPTION")
	m.paragraphs(cmdText(command))
	if n := a.registry.Noun(command.Name()); n != nil {
		m.section("FIELDS")
		for _, field := range n.AllFields() {
			if field.Shown() {
				m.tagged(field.Name, a.say(message.New(field.Help))+".")
			}
		}
	}
	if command.HasAvailableSubCommands() {
		m.section("VERBS")
		for _, verb := range verbs {
			fmt.Fprintf(&m, ".SS %s\n", roff(strings.TrimPrefix(verb.CommandPath(), "orchestra ")+strings.TrimPrefix(verb.Use, verb.Name())))
			m.paragraphs(cmdText(verb))
			m.verbFlags(verb)
			if verb.Example != "" {
				m.example(verb.Example)
			}
		}
	} else {
		m.section("OPTIONS")
		m.verbFlags(command)
		m.section("EXAMPLE")
		m.example(command.Example)
	}
	m.section("SEE ALSO")
	m.WriteString("\\fBorchestra\\fR(1), which tells the flags of all commands and the exit status.\n")
	return m.Bytes()
}

// verbFlags writes the flags that are this verb's own.
func (m *manual) verbFlags(verb *cobra.Command) {
	verb.Flags().VisitAll(func(flag *pflag.Flag) {
		if section := sectionOf(flag); !flag.Hidden && flag.Name != "help" && section != sectionGlobal && section != sectionOperation {
			m.tagged(strings.TrimSpace(flagPair(flag)[0]), flag.Usage)
		}
	})
	if verb.Flags().Lookup("dry-run") != nil {
		m.WriteString(".PP\nIt also takes \\fB\\-\\-dry\\-run\\fR, \\fB\\-\\-exit\\-code\\fR, \\fB\\-\\-yes\\fR, \\fB\\-\\-reason\\fR and \\fB\\-\\-wait\\fR.\n")
	}
}

func lowerFirst(text string) string {
	if text == "" {
		return text
	}
	return strings.ToLower(text[:1]) + text[1:]
}

// configPage returns the page of the configuration file.
func configPage() []byte {
	var m manual
	m.head("orchestra.toml", "5", "configuration of Orchestra")
	m.section("DESCRIPTION")
	m.paragraphs("/etc/orchestra/orchestra.toml is read first, then the files *.toml of conf.d beside it in the order of their names, then variables of the environment (ssh.identity is ORCHESTRA_SSH_IDENTITY), then flags. Tables are merged key by key. A key that does not exist is refused. \"orchestra config show --explain\" says what holds and where it came from.")
	m.section("KEYS")
	for _, entry := range settings.Default().Explain() {
		value := entry.Value
		if value == "" {
			value = `""`
		}
		m.tagged(entry.Key+" = "+value, entry.Help+".")
	}
	m.section("SEE ALSO")
	m.WriteString("\\fBorchestra\\fR(1)\n")
	return m.Bytes()
}

package cli

import (
	"github.com/spf13/pflag"

	"orchestra/pkg/message"
)

// topic is a help about no single command.
type topic struct {
	name  string
	short message.Text
	write func(*page)
}

func topics() []topic {
	return []topic{
		{"topics", message.New("This list"), (*page).topicList},
		{"flags", message.New("The flags of every command"), (*page).topicFlags},
		{"exit-codes", message.New("What the exit codes mean"), (*page).topicCodes},
		{"output", message.New("Formats, columns and what scripts can rely on"), (*page).topicOutput},
		{"filters", message.New("Expressions of --filter and of routes"), (*page).topicFilters},
		{"passwords", message.New("How secrets are given"), (*page).topicPasswords},
	}
}

func findTopic(name string) *topic {
	for _, t := range topics() {
		if t.name == name {
			return &t
		}
	}
	return nil
}

func (p *page) topicList() {
	p.heading(p.phrase("Topics:"))
	var pairs [][2]string
	for _, t := range topics() {
		pairs = append(pairs, [2]string{t.name, p.app.say(t.short)})
	}
	p.pairs(pairs, flagsColumn)
	p.line("")
	p.line(p.app.say(message.New("%s shows one of them.", "orchestra help TOPIC")))
}

func (p *page) topicFlags() {
	for _, section := range []struct {
		title string
		flags *pflag.FlagSet
	}{
		{p.phrase("Everywhere:"), p.app.globalFlags()},
		{p.phrase("Where something is changed:"), p.app.operationFlags()},
		{p.phrase("Where something is listed:"), p.app.listFlags(true)},
	} {
		p.heading(section.title)
		var pairs [][2]string
		section.flags.VisitAll(func(flag *pflag.Flag) {
			pairs = append(pairs, flagPair(flag))
		})
		p.pairs(pairs, flagsColumn)
		p.line("")
	}
}

// exitStatus is an exit code and what it means.
type exitStatus struct {
	code string
	text message.Text
}

// exitCodes are the published contract with scripts.
func exitCodes() []exitStatus {
	return []exitStatus{
		{"0", message.New("Done")},
		{"1", message.New("Internal: a defect, or the machine below it")},
		{"2", message.New("Usage: the command line is wrong")},
		{"3", message.New("Not found")},
		{"4", message.New("It exists already, or something prevents the change")},
		{"5", message.New("A value is not acceptable")},
		{"6", message.New("Denied")},
		{"7", message.New("A server could not be reached; nothing was changed")},
		{"8", message.New("A backend failed; everything was rolled back")},
		{"9", message.New("A server could not be rolled back or recovered; it is named, with what to do")},
		{"10", message.New("A lock was not obtained in time")},
		{"11", message.New("Differences were found (drift; --dry-run --exit-code)")},
		{"130", message.New("Interrupted; nothing was changed")},
	}
}

func (p *page) topicCodes() {
	p.heading(p.phrase("Exit codes:"))
	var pairs [][2]string
	for _, status := range exitCodes() {
		pairs = append(pairs, [2]string{status.code, p.app.say(status.text)})
	}
	p.pairs(pairs, flagsColumn)
	p.line("")
	p.text(p.phrase("With -o json an error is one line of JSON on standard error: {\"error\": {\"kind\", \"code\", \"field\", \"message\", \"hint\", \"cause\"}}. kind and code never change their meaning; message, hint and cause are for people, in their language."))
}

func (p *page) topicOutput() {
	p.text(p.phrase("Standard output is the answer and nothing else; warnings, questions, progress and errors go to standard error."))
	p.pairs([][2]string{
		{"table", p.phrase("For people. On a terminal it fits the width and times are relative; in a pipe columns are aligned with spaces, nothing is cut, times are RFC 3339 in UTC, and an empty cell is \"-\".")},
		{"json", p.phrase("Lists are arrays of objects with all fields; show is one object; a change is {operation, changed, changes, warnings, servers}.")},
		{"yaml", p.phrase("The same as YAML.")},
		{"csv", p.phrase("A header and rows. A text that a spreadsheet would take for a formula has an apostrophe in front.")},
		{"name", p.phrase("One name a line.")},
	}, flagsColumn)
	p.line("")
	p.text(p.phrase("--columns NAME,NAME chooses columns, +NAME adds one to those that are shown by default. --jq EXPRESSION filters the JSON; texts are printed without quotes."))
	p.text(p.phrase("In everything that is shown, control characters are escaped."))
}

func (p *page) topicFilters() {
	p.text(p.phrase("A filter is an expression over the columns of a noun that is true of what is wanted."))
	p.heading(p.phrase("Examples:"))
	for _, line := range []string{
		`orchestra account list --filter 'type == "company" and active'`,
		`orchestra user list --filter 'name startsWith "web" or access in ["sftp", "jail"]'`,
		`orchestra user list --filter 'len(group) > 2'`,
	} {
		p.line("  " + p.paint.Cyan(line))
	}
	p.line("")
	p.text(p.phrase("Operators: == != < <= > >=, and or not, in, contains, startsWith, endsWith, matches, + - * / %%. Functions: len lower upper trim hasPrefix hasSuffix. Lists are searched with in: \"sudo\" in group."))
}

func (p *page) topicPasswords() {
	p.text(p.phrase("A secret is never an argument: every user of this machine could read it there, and it would stay in the shell's history. --password=… is refused."))
	p.pairs([][2]string{
		{"orchestra passwd user ana", p.phrase("asks for it, twice, unseen")},
		{"--password-stdin", p.phrase("reads it from standard input: all of it, less one line end")},
		{"--generate-password", p.phrase("makes one up and prints it once, alone, on standard output")},
	}, flagsColumn)
	p.line("")
	p.text(p.phrase("In a batch a line may say --generate-password: the answer is then a list of name, field and value. A line may also give a hash that was made elsewhere, --password-hash='$6$…'."))
}

package adversarial

import "strings"

// Command is how a value is tried through the real command line, on a panel
// that has no route, so that nothing but the panel is asked.
type Command struct {
	Setup     [][]string // command lines that must succeed first
	Arguments []string   // the command line with the value
	Input     string     // its standard input
	// Show is the command line whose JSON has the value of an accepted case
	// under Key; a list has it as its only element. Empty: it cannot be read back.
	Show []string
	Key  string
	// Field is how our messages call the field.
	Field string
	// Impossible says that no process can be given such an argument, as one
	// with a NUL: that is a refusal too.
	Impossible bool
}

// hostKey is a key that no server has.
const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"

var (
	anAccount = []string{"account", "add", "acme", "--email", "office@example.net"}
	aServer   = []string{"server", "add", "h1", "--address", "192.0.2.11", "--host-key", hostKey}
)

// CommandFor returns how the case is tried, and false where no noun has the field yet.
func CommandFor(c Case, value string) (Command, bool) {
	command, known := commandFor(c, value)
	for _, argument := range command.Arguments {
		if strings.Contains(argument, "\x00") {
			command.Impossible = true
		}
	}
	return command, known
}

func commandFor(c Case, value string) (Command, bool) {
	json := func(words ...string) []string { return append([]string{"--output", "json"}, words...) }
	withAccount := [][]string{anAccount}
	user := func(flags ...string) []string {
		return append([]string{"user", "add", "acme-web", "--account", "acme"}, flags...)
	}
	switch c.Field {
	case "account.name":
		return Command{Arguments: []string{"account", "add", "--email", "office@example.net", "--", value},
			Show: json("account", "show", "--", value), Key: "name", Field: "account.name"}, true
	case "account.notes":
		return Command{Arguments: append(anAccount, "--notes="+value),
			Show: json("account", "show", "acme"), Key: "notes", Field: "account.notes"}, true
	case "systemuser.username":
		return Command{Setup: withAccount, Arguments: []string{"user", "add", "--account", "acme", "--", value},
			Show: json("user", "show", "--", value), Key: "name", Field: "user.name"}, true
	case "systemuser.password":
		if c.Kind == "channel" {
			return Command{Setup: withAccount, Arguments: user(value), Field: "user.password"}, true
		}
		return Command{Setup: withAccount, Arguments: user("--password-stdin"), Input: value + "\n", Field: "user.password"}, true
	case "systemuser.home":
		return Command{Setup: withAccount, Arguments: user("--home=" + value),
			Show: json("user", "show", "acme-web"), Key: "home", Field: "user.home"}, true
	case "systemuser.shell":
		return Command{Setup: withAccount, Arguments: user("--access", "shell", "--shell="+value),
			Show: json("user", "show", "acme-web"), Key: "shell", Field: "user.shell"}, true
	case "contact.full_name", "contact.email", "contact.phone":
		field := strings.TrimPrefix(c.Field, "contact.")
		return Command{Setup: withAccount,
			Arguments: []string{"contact", "add", "acme-office", "--account", "acme", "--" + strings.ReplaceAll(field, "_", "-") + "=" + value},
			Show:      json("contact", "show", "acme-office"), Key: field, Field: c.Field}, true
	case "server.address":
		return serverCommand("server.address", "address", "--host-key", hostKey, "--address="+value), true
	case "server.port":
		return serverCommand("server.port", "port", "--address", "192.0.2.11", "--host-key", hostKey, "--port="+value), true
	case "server.user":
		return serverCommand("server.login", "login", "--address", "192.0.2.11", "--host-key", hostKey, "--login="+value), true
	case "server.host_key":
		if c.ID == "srv-095" { // about connecting, not about the value
			return Command{}, true
		}
		return serverCommand("server.host_key", "host_key", "--address", "192.0.2.11", "--host-key="+value), true
	case "route.match":
		if ofMissingNoun(value) && c.Expect == Accept {
			return Command{}, false
		}
		return Command{Setup: [][]string{aServer},
			Arguments: []string{"route", "add", "unix-user", "--server", "h1", "--match=" + value},
			Show:      json("route", "show", "unix-user@h1"), Key: "match", Field: "route.match"}, true
	}
	return dnsCommand(c, value)
}

func serverCommand(field, key string, flags ...string) Command {
	return Command{Arguments: append([]string{"server", "add", "h1"}, flags...),
		Show: []string{"server", "show", "h1", "--output", "json"}, Key: key, Field: field}
}

// ofMissingNoun tells whether an expression is about a noun that does not exist yet.
func ofMissingNoun(expression string) bool {
	for _, noun := range []string{"database.", "databaseuser.", "webapp.", "mailbox."} {
		if strings.Contains(expression, noun) {
			return true
		}
	}
	return false
}

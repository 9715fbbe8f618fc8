package cli

import (
	"os"
	"os/user"
	"path"
	"strconv"
	"strings"

	"orchestra/pkg/output"
)

// proc is where the kernel tells about this process.
const proc = "/proc/self/"

// actor returns who runs the command, for the log: the person who logged in,
// behind sudo or su, and the unit or terminal it came from: "ana (pts/3, as root)".
func (a *app) actor() string {
	if a.who == "" {
		source := actorSource{
			user: a.process.User, getenv: a.process.getenv,
			read: func(name string) string {
				text, _ := os.ReadFile(proc + name) // no such file: nothing is known
				return string(text)
			},
			name: userName,
			terminal: func() string {
				link, err := os.Readlink(proc + "fd/0")
				if err != nil || !strings.HasPrefix(link, "/dev/") || link == "/dev/null" {
					return ""
				}
				return strings.TrimPrefix(link, "/dev/")
			},
		}
		a.who = source.describe()
	}
	return a.who
}

// actorSource is what an actor is found out from.
type actorSource struct {
	user     int
	getenv   func(string) string
	read     func(name string) string // of /proc/self
	name     func(id int) string
	terminal func() string
}

// noLogin is what the kernel says of a process that nobody logged in for.
const noLogin = "4294967295"

func (s actorSource) describe() string {
	own := s.name(s.user)
	person := own
	// The kernel's own record comes first: nobody can change it after the login.
	if login := strings.TrimSpace(s.read("loginuid")); login != "" && login != noLogin {
		if id, err := strconv.Atoi(login); err == nil {
			person = s.name(id)
		}
	} else if sudo := s.getenv("SUDO_USER"); sudo != "" && s.user == 0 {
		// Only root can be here with a SUDO_USER of its own making.
		person = clean(sudo)
	}
	var notes []string
	if unit := serviceUnit(s.read("cgroup")); unit != "" {
		notes = append(notes, unit)
	} else if terminal := s.terminal(); terminal != "" {
		notes = append(notes, clean(terminal))
	}
	if client := s.getenv("SSH_CONNECTION"); client != "" {
		if address, _, found := strings.Cut(client, " "); found {
			notes = append(notes, "from "+clean(address))
		}
	}
	if person != own {
		notes = append(notes, "as "+own)
	}
	if len(notes) == 0 {
		return person
	}
	return person + " (" + strings.Join(notes, ", ") + ")"
}

// serviceUnit returns the systemd service that a process belongs to, cron's
// among them, "" for a login session.
func serviceUnit(cgroups string) string {
	for _, line := range strings.Split(cgroups, "\n") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) != 3 || !strings.HasPrefix(fields[2], "/system.slice/") {
			continue
		}
		for part := fields[2]; part != "/" && part != "."; part = path.Dir(part) {
			unit := path.Base(part)
			if strings.HasSuffix(unit, ".service") && unit != "ssh.service" && unit != "sshd.service" {
				return clean(unit)
			}
		}
	}
	return ""
}

func userName(id int) string {
	found, err := user.LookupId(strconv.Itoa(id))
	if err != nil {
		return "uid " + strconv.Itoa(id)
	}
	return clean(found.Username)
}

// clean makes a word from the environment harmless in a log.
func clean(text string) string {
	const most = 64
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return output.Escape(text)
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// scene is a part of the story; its steps run in order.
type scene struct {
	title string
	steps []step
}

// step is a remark, something done behind the scenes, or a command with the
// exit code that it must give.
type step struct {
	tell    string
	do      func(*stage) error
	command []string
	exit    int
}

func orchestra(words ...string) step { return step{command: append([]string{"orchestra"}, words...)} }

func (s step) exits(code int) step     { s.exit = code; return s }
func (s step) saying(text string) step { s.tell = text; return s }

var story = []scene{
	{"A panel and two servers", []step{
		orchestra("init"),
		orchestra("server", "add", "one", "--address", "127.0.0.1", "--port", "{port one}", "--host-key", "{key one}"),
		orchestra("server", "add", "two", "--address", "127.0.0.1", "--port", "{port two}", "--host-key", "{key two}"),
		orchestra("backend", "setup", "unix-user", "--server", "one", "--yes"),
		orchestra("log", "show", "3").
			saying("What only root or a daemon could do has a stand-in here, which says so:"),
		orchestra("backend", "setup", "unix-user", "--server", "two", "--yes", "--quiet"),
		orchestra("route", "add", "unix-user", "--server", "one", "--match", "true"),
		orchestra("route", "add", "unix-user", "--server", "two", "--match", "true"),
		orchestra("server", "list"),
	}},
	{"A customer, on both servers or on none", []step{
		orchestra("account", "add", "acme", "--full-name", "Acme & Sons", "--type", "company", "--email", "info@acme.example"),
		orchestra("user", "add", "acme-web", "--account", "acme", "--access", "sftp", "--dry-run").
			saying("First look at what would change, on which server."),
		orchestra("user", "add", "acme-web", "--account", "acme", "--access", "sftp"),
		orchestra("account", "list"),
		orchestra("user", "list"),
	}},
	{"A failure on one leaves nothing on the other", []step{
		{tell: "Somebody once made a user named globex by hand on server two.", do: makeByHand},
		orchestra("account", "add", "globex", "--full-name", "Globex").exits(8),
		{command: []string{"grep", "-c", "globex", "one/etc/passwd"}, exit: 1, tell: "Server one was undone:"},
		orchestra("account", "show", "globex").exits(3),
	}},
	{"What happened", []step{
		orchestra("log", "list"),
		orchestra("log", "show", "8"),
	}},
	{"All gone again", []step{
		orchestra("account", "delete", "acme", "--yes"),
		{command: []string{"grep", "-c", "acme", "one/etc/passwd"}, exit: 1},
	}},
}

// makeByHand adds a foreign user to server two, as an administrator might have.
func makeByHand(s *stage) error {
	for _, each := range []struct{ file, line string }{
		{"passwd", "globex:x:1001:1001::/home/globex:/bin/bash\n"}, {"shadow", "globex:*:20000:0:99999:7:::\n"},
		{"group", "globex:x:1001:\n"}, {"gshadow", "globex:!::\n"},
	} {
		path := filepath.Join(s.directory, "two", "etc", each.file)
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("making a user by hand: %w", err)
		}
		_, err = file.WriteString(each.line)
		if closed := file.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return fmt.Errorf("making a user by hand: %w", err)
		}
	}
	return nil
}

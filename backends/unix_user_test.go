package backends_test

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"orchestra/pkg/backend"
	"orchestra/pkg/noun"
	"orchestra/pkg/runtime"
	"orchestra/pkg/settings"
)

func TestEmbeddedBackendsPassTheirOwnCheck(t *testing.T) {
	for _, name := range []string{"unix-user", "bind9-master", "bind9-slave", "dns-update"} {
		for _, finding := range backend.Check(name) {
			t.Errorf("%s: %s:%d: %s", name, finding.File, finding.Line, finding.Text)
		}
	}
}

// declared returns what the declaring part says about objects, a line a declaration.
func declared(t *testing.T, script, acts string, objects ...backend.Object) string {
	t.Helper()
	records, _, err := backend.EncodeObjects(objects)
	if err != nil {
		t.Fatal(err)
	}
	told, err := backend.EncodeSettings([]string{"unix.first_id", "unix.last_id"}, settings.Default())
	if err != nil {
		t.Fatal(err)
	}
	runner, err := runtime.NewRealRunner("/", false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := runner.Close(); err != nil {
			t.Error(err)
		}
	}()
	result, err := runner.Run(context.Background(), runtime.Child{
		Kind: runtime.ChildDeclare, Script: script, Input: []byte(told + records), Timeout: time.Minute,
	})
	if err != nil || result.ExitCode != 0 {
		t.Fatalf("%v, exit code %d: %s", err, result.ExitCode, result.Output)
	}
	if err := runtime.CheckDeclarations(result.Answer, acts); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	fields := bytes.Split(result.Answer, []byte{0})
	for len(fields) > 1 {
		count, err := strconv.Atoi(string(fields[0]))
		if err != nil {
			t.Fatal(err)
		}
		lines.WriteString(string(bytes.Join(fields[2:count+1], []byte(" "))) + "\n")
		fields = fields[count+1:]
	}
	return lines.String()
}

func unixUser(t *testing.T) *backend.Backend {
	t.Helper()
	catalogue, err := backend.Load("")
	if err != nil {
		t.Fatal(err)
	}
	return catalogue.Backend("unix-user")
}

func facts(changes noun.Facts) noun.Facts {
	all := noun.Facts{
		"uid": int64(70001), "home": "/home/acme-web", "home_uid": int64(70001), "home_kept": false, "directory": "",
		"shell": "/usr/sbin/nologin", "gecos": "Acme $(id) 'n", "active": true, "access": "sftp", "main": "acme",
		"group": []string{}, "keys": noun.Content("ssh-ed25519 AAAA\n"), "password": noun.Confidential("$y$j9T$x$y"), "password_mark": "0123",
	}
	for name, value := range changes {
		all[name] = value
	}
	return all
}

func save(now, before noun.Facts) backend.Object {
	return backend.Object{Action: "save", Noun: "user", ID: 7, Name: "acme-web", Facts: now, Before: before}
}

func TestWhatAUserDeclares(t *testing.T) {
	b := unixUser(t)
	for _, one := range []struct {
		name    string
		object  backend.Object
		has     []string
		without []string
	}{
		{"a new one", save(facts(nil), nil), []string{
			"group acme-web 70001", "user acme-web 70001 70001 /home/acme-web /usr/sbin/nologin Acme $(id) 'n \x101\x11 0",
			"member acme-web acme", "member orchestra-sftp acme-web", "dir /home/acme-web 70001 70001 0750",
			"file /etc/ssh/orchestra/keys/acme-web root 70001 0640 \x100\x11",
		}, []string{"drop", "act", "entry", "park"}},
		{"the main user", save(facts(noun.Facts{"main": "acme-web"}), nil), nil, []string{"member acme-web acme"}},
		{"without keys and password", save(facts(noun.Facts{"keys": "", "password": "", "password_mark": ""}), nil), []string{
			"absent /etc/ssh/orchestra/keys/acme-web", "Acme $(id) 'n ! 0"}, []string{"file "}},
		{"disabled", save(facts(noun.Facts{"active": false}), facts(nil)), []string{
			"absent /etc/ssh/orchestra/keys/acme-web", "\x101\x11 1", "act processes 70001 probe_processes end_processes nothing later",
		}, []string{"file "}},
		{"into the jail", save(facts(noun.Facts{"access": "jail", "shell": "/bin/bash"}), facts(nil)), []string{
			"entry /srv/orchestra/jail/etc/passwd acme-web x:70001:70001::/home/acme-web:/bin/bash colon", "member orchestra-jail acme-web",
			"drop-member orchestra-sftp acme-web", "act processes 70001 probe_processes end_processes nothing later",
		}, []string{"drop-entry"}},
		{"out of the jail", save(facts(nil), facts(noun.Facts{"access": "jail"})), []string{
			"drop-entry /srv/orchestra/jail/etc/passwd acme-web colon", "drop-member orchestra-jail acme-web"}, nil},
		{"other keys only", save(facts(nil), facts(noun.Facts{"keys": ""})), []string{"\x101\x11 0 keep\n"}, []string{"act "}},
		{"another password", save(facts(noun.Facts{"password_mark": "4567"}), facts(nil)), []string{"\x101\x11 0\n"}, []string{" keep"}},
		{"no password any more", save(facts(noun.Facts{"password": "", "password_mark": ""}), facts(nil)), []string{"'n ! 0\n"}, []string{" keep"}},
		{"access none", save(facts(noun.Facts{"access": "none"}), nil), []string{
			"absent /etc/ssh/orchestra/keys/acme-web", "member orchestra-none acme-web"}, []string{"file "}},
		{"groups", save(facts(noun.Facts{"group": []string{"one", "two"}}), facts(noun.Facts{"group": []string{"two", "three"}})), []string{
			"member one acme-web", "member two acme-web", "drop-member three acme-web"}, []string{"drop-member two"}},
		{"moved", save(facts(noun.Facts{"main": "other"}), facts(nil)), []string{"member acme-web other", "drop-member acme-web acme"}, nil},
		{"a directory", save(facts(noun.Facts{"directory": "web/logs"}), nil), []string{
			"dir /home/acme-web/web 70001 70001 0750", "dir /home/acme-web/web/logs 70001 70001 0750"}, nil},
		{"at the main user's home", save(facts(noun.Facts{"home": "/home/acme", "home_uid": int64(70000), "home_kept": true, "directory": "web"}), nil), []string{
			"dir /home/acme/web 70000 70000 2770"}, []string{"dir /home/acme 7"}},
		{"inside the main user's home", save(facts(noun.Facts{"home": "/home/acme/x", "home_uid": int64(70000)}), nil), []string{
			"dir /home/acme/x 70000 70000 2770"}, nil},
		{"deleted", backend.Object{Action: "delete", Noun: "user", ID: 7, Name: "acme-web", Facts: facts(nil)}, []string{
			"drop-user acme-web 70001", "drop-group acme-web 70001", "park /home/acme-web", "park /var/spool/cron/crontabs/acme-web",
			"absent /etc/ssh/orchestra/keys/acme-web", "act processes 70001", "act at_jobs 70001",
		}, []string{"user acme-web 70001 70001"}},
		{"deleted, its home is another's", backend.Object{Action: "delete", Noun: "user", ID: 7, Name: "acme-web",
			Facts: facts(noun.Facts{"home": "/home/acme", "home_kept": true})}, nil, []string{"park /home"}},
	} {
		t.Run(one.name, func(t *testing.T) {
			got := declared(t, b.Declare, b.Acts, one.object)
			for _, wanted := range one.has {
				if !strings.Contains(got, wanted) {
					t.Errorf("it does not declare %q:\n%s", wanted, got)
				}
			}
			for _, unwanted := range one.without {
				for line := range strings.Lines(got) {
					if strings.HasPrefix(line, unwanted) {
						t.Errorf("it declares %s", line)
					}
				}
			}
		})
	}
}

func TestItOwnsItsPlacesWithAndWithoutUsers(t *testing.T) {
	ours := []string{
		"own user 70000-99999", "own group 70000-99999", "own member orchestra-none", "own member orchestra-shell", "own file /etc/ssh/orchestra/keys all",
		"own entry /srv/orchestra/jail/etc/passwd all colon", "own entry /srv/orchestra/jail/etc/group all colon",
	}
	none, one := declared(t, unixUser(t).Declare, unixUser(t).Acts), declared(t, unixUser(t).Declare, unixUser(t).Acts, save(facts(nil), nil))
	for _, wanted := range ours {
		if !strings.Contains(none, wanted+"\n") || !strings.Contains(one, wanted+"\n") {
			t.Errorf("it does not own %q:\n%s\n%s", wanted, none, one)
		}
	}
	if !strings.Contains(one, "own member acme-web\n") {
		t.Errorf("it does not own its user's group:\n%s", one)
	}
}

func TestSetupShutsUsersIn(t *testing.T) {
	got := declared(t, unixUser(t).Setup, unixUser(t).Acts, backend.Object{Action: "save", Noun: "server", ID: 1, Name: "h11",
		Facts: map[string]any{"name": "h11", "login": "deploy", "home_roots": "/home /srv/my-users"}})
	for _, wanted := range []string{
		"group orchestra-none -", "group orchestra-shell -", "dir /home root root 0711", "# panel-login deploy\n",
		"file /etc/systemd/system/srv-orchestra-sftp-home.mount root root 0644",
		`file /etc/systemd/system/srv-orchestra-jail-srv-my\x2dusers.mount root root 0644`,
		"dir /srv/orchestra/jail/srv root root 0755",
		"act mount_writable /srv/my-users:/srv/orchestra/sftp/srv/my-users probe_mounts mount_writable unmount reversible",
		"act mount_readonly /usr:/srv/orchestra/jail/usr probe_mounts mount_readonly unmount reversible",
		"act device 1:3:/srv/orchestra/jail/dev/null probe_devices make_devices remove_devices reversible",
		"ForceCommand /usr/bin/rrsync \"$HOME\"\n", "check check_sshd", "reload ssh",
	} {
		if !strings.Contains(got, wanted) {
			t.Errorf("setup does not declare %q:\n%s", wanted, got)
		}
	}
}

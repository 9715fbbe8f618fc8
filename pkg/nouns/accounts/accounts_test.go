package accounts_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/nouns/accounts"
	"orchestra/pkg/nouns/nountest"
	"orchestra/pkg/nouns/servers"
	"orchestra/pkg/settings"
)

func newPanel(t testing.TB, change func(*settings.Settings)) *nountest.Panel {
	backends := func() ([]servers.Backend, error) { return []servers.Backend{{Name: "unix-user", Noun: "user"}}, nil }
	return nountest.New(t, slices.Concat(accounts.Nouns(nil), servers.Nouns(backends)), change)
}

const aKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"

func TestAnAccountComesWithItsMainUser(t *testing.T) {
	p := newPanel(t, nil)
	outcome := p.Run(nountest.Add("account", noun.Values{"name": "acme", "full_name": "Acme & Sons", "type": "company"}))
	if len(outcome.Changes) != 2 || outcome.Changes[0].Noun != "account" || outcome.Changes[1].Noun != "user" {
		t.Fatalf("one operation wants the account and its user: %+v", outcome.Changes)
	}
	user := p.Find("user", "acme")
	if !user.Bool("main") || user.Text("home") != "/home/acme" || user.Int("uid") != 70000 || user.Text("access") != "none" {
		t.Errorf("the main user is not as it should be: %v", user.Values)
	}
	if account := p.Find("account", "acme"); account.Text("language") != "en" || account.Text("type") != "company" {
		t.Errorf("account: %v", account.Values)
	}
}

func TestTheMainUserGoesOnlyWithItsAccount(t *testing.T) {
	p := newPanel(t, nil)
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("account", noun.Values{"name": "other"}))
	err := p.Refused(fault.Conflict, nountest.Delete("user", "acme"))
	if !strings.Contains(err.Error(), "main user") {
		t.Errorf("the refusal does not say why: %v", err)
	}
	p.Refused(fault.Conflict, nountest.Set("user", "acme", noun.Values{"account": "other"}))
	p.Run(nountest.Add("user", noun.Values{"name": "acme-web", "account": "acme"}))
	p.Run(nountest.Add("contact", noun.Values{"name": "ana", "account": "acme"}))
	p.Run(nountest.Delete("account", "acme"))
	for _, gone := range [][2]string{{"account", "acme"}, {"user", "acme"}, {"user", "acme-web"}, {"contact", "ana"}} {
		if p.Exists(gone[0], gone[1]) {
			t.Errorf("%s %s is still there", gone[0], gone[1])
		}
	}
	if !p.Exists("user", "other") {
		t.Error("another account's user went too")
	}
}

func TestNumbersAreNeverGivenTwice(t *testing.T) {
	p := newPanel(t, nil)
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("user", noun.Values{"name": "web", "account": "acme"}))
	first := p.Find("user", "web").Int("uid")
	p.Run(nountest.Delete("user", "web"))
	p.Run(nountest.Add("user", noun.Values{"name": "web", "account": "acme"}))
	if second := p.Find("user", "web").Int("uid"); second <= first {
		t.Errorf("number %d was given after %d", second, first)
	}
}

func TestReasonsStackOnTheAccountAndAreNeverCopied(t *testing.T) {
	p := newPanel(t, nil)
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("user", noun.Values{"name": "web", "account": "acme"}))
	disable := func(name, called, reason string) {
		p.Run(func(ctx context.Context, plan noun.Planner) error {
			row, err := plan.Find(ctx, name, called)
			if err != nil {
				return err
			}
			_, err = noun.Disable(ctx, plan, row, reason)
			return err
		})
	}
	enable := func(name, called string) {
		p.Run(func(ctx context.Context, plan noun.Planner) error {
			row, err := plan.Find(ctx, name, called)
			if err != nil {
				return err
			}
			_, err = noun.Enable(ctx, plan, row, "")
			return err
		})
	}
	wants := func(when string, acme, web bool) {
		t.Helper()
		for called, wanted := range map[string]bool{"acme": acme, "web": web} {
			if active := facts(p, called)["active"]; active != wanted {
				t.Errorf("%s: user %s is active: %v, wanted %v", when, called, active, wanted)
			}
		}
	}
	disable("user", "web", "abuse")
	wants("web disabled", true, false)
	disable("account", "acme", "unpaid")
	disable("account", "acme", "administrative")
	wants("account disabled", false, false)
	if reasons := p.Find("user", "acme").List("disabled"); len(reasons) != 0 {
		t.Errorf("the account's reasons were copied: %v", reasons)
	}
	enable("account", "acme")
	wants("one reason left", false, false)
	enable("account", "acme")
	wants("account enabled", true, false)
	enable("user", "web")
	wants("all enabled", true, true)
}

func facts(p *nountest.Panel, called string) noun.Facts {
	p.T.Helper()
	var found []noun.Facts
	p.View(func(ctx context.Context, view noun.View) error {
		row, err := view.Find(ctx, "user", called)
		if err != nil {
			return err
		}
		found, err = noun.FactsOf(ctx, view, []noun.Row{row})
		return err
	})
	return found[0]
}

func TestClosingKeepsNameContactsAndHistory(t *testing.T) {
	p := newPanel(t, nil)
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("account", noun.Values{"name": "other"}))
	p.Run(nountest.Add("user", noun.Values{"name": "web", "account": "acme", "group": []string{"acme"}}))
	p.Run(nountest.Add("user", noun.Values{"name": "web2", "account": "acme", "group": []string{"web"}}))
	p.Run(nountest.Add("contact", noun.Values{"name": "ana", "account": "acme"}))
	first := p.Find("user", "acme").Int("uid")
	p.Run(nountest.Verb("account", "close", "acme", nil))
	if p.Exists("user", "acme") || p.Exists("user", "web") || p.Exists("user", "web2") {
		t.Error("a service of a closed account is still there")
	}
	if !p.Exists("contact", "ana") || !slices.Equal(p.Find("account", "acme").List("disabled"), []string{"closed"}) {
		t.Error("a closed account keeps its contacts, and is disabled as closed")
	}
	p.Refused(fault.Conflict, nountest.Verb("account", "close", "acme", nil))
	p.Refused(fault.Conflict, nountest.Add("user", noun.Values{"name": "web", "account": "acme"}))
	p.Refused(fault.Conflict, nountest.Add("account", noun.Values{"name": "acme"}))
	p.Refused(fault.Conflict, nountest.Add("user", noun.Values{"name": "acme", "account": "other"}))

	p.Run(func(ctx context.Context, plan noun.Planner) error {
		row, err := plan.Find(ctx, "account", "acme")
		if err != nil {
			return err
		}
		_, err = noun.Enable(ctx, plan, row, "closed")
		return err
	})
	if again := p.Find("user", "acme"); !again.Bool("main") || again.Int("uid") <= first {
		t.Errorf("an account that is opened again has its main user, with a new number: %v", again.Values)
	}
}

func TestServicesListsWhatAnAccountHas(t *testing.T) {
	p := newPanel(t, nil)
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("account", noun.Values{"name": "other"}))
	p.Run(nountest.Add("user", noun.Values{"name": "web", "account": "acme"}))
	p.Run(nountest.Add("contact", noun.Values{"name": "ana", "account": "acme"}))
	var table noun.Table
	p.View(func(ctx context.Context, view noun.View) error {
		row, err := view.Find(ctx, "account", "acme")
		if err != nil {
			return err
		}
		for _, verb := range view.Noun("account").Verbs {
			if verb.Name == "services" {
				table, err = verb.Show(ctx, view, row, nil)
			}
		}
		return err
	})
	var listed []string
	for _, row := range table.Rows {
		listed = append(listed, fmt.Sprint(row["noun"], " ", row["name"], " ", row["active"]))
	}
	if want := []string{"user acme true", "user web true"}; !slices.Equal(listed, want) {
		t.Errorf("services are %v, wanted %v", listed, want)
	}
}

func TestAccountsAndUsersShareNames(t *testing.T) {
	p := newPanel(t, func(s *settings.Settings) {
		s.Names.Reserved = []string{"hosting"}
		s.Unix.Groups = []string{"webdev"}
	})
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("user", noun.Values{"name": "web", "account": "acme"}))
	if err := p.Refused(fault.Conflict, nountest.Add("account", noun.Values{"name": "web"})); !strings.Contains(err.Error(), "account.name") {
		t.Errorf("the refusal does not name the field: %v", err)
	}
	for _, taken := range []string{"root", "www-data", "hosting", "webdev", "orchestra-sftp"} {
		p.Refused(fault.Invalid, nountest.Add("account", noun.Values{"name": taken}))
		p.Refused(fault.Invalid, nountest.Add("user", noun.Values{"name": taken, "account": "acme"}))
	}
}

func TestMovingAUserToAnotherAccount(t *testing.T) {
	p := newPanel(t, nil)
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("account", noun.Values{"name": "other"}))
	p.Run(nountest.Add("user", noun.Values{"name": "web", "account": "acme"}))
	p.Run(nountest.Add("user", noun.Values{"name": "dev", "account": "acme", "group": []string{"web"}}))
	p.Run(nountest.Add("user", noun.Values{"name": "inside", "account": "acme", "home": "/home/acme/inside"}))

	p.Refused(fault.Conflict, nountest.Set("user", "dev", noun.Values{"account": "other"}))    // its group stays
	p.Refused(fault.Conflict, nountest.Set("user", "inside", noun.Values{"account": "other"})) // its home stays
	p.Run(nountest.Set("user", "web", noun.Values{"account": "other"}))
	if groups := p.Find("user", "dev").List("group"); len(groups) != 0 {
		t.Errorf("dev is still in the group of a user of another account: %v", groups)
	}
	p.Run(nountest.Set("user", "dev", noun.Values{"account": "other", "group": []string{"web"}}))
	if facts(p, "dev")["main"] != "other" {
		t.Error("the facts still name the former main user")
	}
}

func TestGroupsAreOfTheAccountOrAllowed(t *testing.T) {
	p := newPanel(t, func(s *settings.Settings) { s.Unix.Groups = []string{"webdev"} })
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("account", noun.Values{"name": "victim"}))
	for _, groups := range [][]string{{"victim"}, {"sudo"}, {"nosuch"}, {"web"}, {"acme", "root"}} {
		p.Refused(fault.Invalid, nountest.Add("user", noun.Values{"name": "web", "account": "acme", "group": groups}))
	}
	p.Run(nountest.Add("user", noun.Values{"name": "web", "account": "acme", "group": []string{"acme", "webdev"}}))
	p.Run(nountest.Add("user", noun.Values{"name": "dev", "account": "acme", "group": []string{"web"}}))
	p.Run(nountest.Delete("user", "web"))
	if groups := p.Find("user", "dev").List("group"); len(groups) != 0 {
		t.Errorf("dev would be in the group of a later user called web: %v", groups)
	}
}

func TestHomes(t *testing.T) {
	p := newPanel(t, func(s *settings.Settings) { s.Unix.HomeRoots = []string{"/home", "/srv/users"} })
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("account", noun.Values{"name": "victim"}))
	for _, home := range []string{"/home/victim", "/home/victim/x", "/home", "/root", "/home/acmevictim", "/home/other"} {
		p.Refused(fault.Invalid, nountest.Add("user", noun.Values{"name": "web", "account": "acme", "home": home}))
	}
	p.Run(nountest.Add("user", noun.Values{"name": "own", "account": "acme", "home": "/srv/users/own"}))
	p.Run(nountest.Add("user", noun.Values{"name": "shared", "account": "acme", "home": "/home/acme", "directory": "web"}))
	p.Run(nountest.Add("user", noun.Values{"name": "inside", "account": "acme", "home": "/home/acme/inside"}))
	p.Refused(fault.Conflict, nountest.Add("user", noun.Values{"name": "web", "account": "acme", "home": "/home/acme/inside"}))
	p.Refused(fault.Invalid, nountest.Add("user", noun.Values{"name": "web", "account": "acme", "home": "/home/acme/inside/more"}))
	p.Refused(fault.Invalid, nountest.Set("user", "own", noun.Values{"home": "/home/own"}))

	for called, wanted := range map[string]struct {
		home, owner string
		kept        bool
		groups      string
	}{
		"own":    {"/srv/users/own", "own", false, ""},
		"shared": {"/home/acme", "acme", true, "acme"},
		"inside": {"/home/acme/inside", "acme", false, "acme"},
		"acme":   {"/home/acme", "acme", false, ""},
	} {
		got := facts(p, called)
		groups, _ := got["group"].([]string)
		if got["home"] != wanted.home || got["home_uid"] != p.Find("user", wanted.owner).Int("uid") || got["home_kept"] != wanted.kept ||
			strings.Join(groups, ",") != wanted.groups {
			t.Errorf("%s: %v with groups %v, wanted %v", called, got, groups, wanted)
		}
	}
}

func TestShellsAndKeys(t *testing.T) {
	p := newPanel(t, nil)
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Refused(fault.Invalid, nountest.Set("user", "acme", noun.Values{"shell": "/tmp/sh"}))
	p.Run(nountest.Set("user", "acme", noun.Values{"shell": "/bin/sh", "access": "jail", "key": []string{aKey + " a", aKey + " b"}}))
	user := p.Find("user", "acme")
	if keys := user.List("key"); len(keys) != 1 || keys[0] != aKey+" a" {
		t.Errorf("the same key twice is one key: %v", keys)
	}
	for access, shell := range map[string]string{
		"none": "/usr/sbin/nologin", "sftp": "/usr/sbin/nologin", "rsync": "/bin/sh", "jail": "/bin/sh", "shell": "/bin/sh",
	} {
		p.Try(nountest.Set("user", "acme", noun.Values{"access": access})) //nolint:errcheck // jail is what it is already
		if got := facts(p, "acme"); got["shell"] != shell || got["access"] != access {
			t.Errorf("access %s: shell %v", access, got["shell"])
		}
	}
	if keys := facts(p, "acme")["keys"]; keys != noun.Content(aKey+" a\n") {
		t.Errorf("keys are %q", keys)
	}
}

func TestFactsAskTheSameNumberOfQuestionsHoweverMany(t *testing.T) {
	p := newPanel(t, nil)
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	p.Run(nountest.Add("account", noun.Values{"name": "other"}))
	for i := range 40 {
		p.Run(nountest.Add("user", noun.Values{"name": fmt.Sprintf("user%d", i), "account": []string{"acme", "other"}[i%2], "directory": "x"}))
	}
	count := func(most int) int {
		asked := 0
		p.View(func(ctx context.Context, view noun.View) error {
			rows, err := view.Select(ctx, "user")
			if err != nil {
				return err
			}
			before := p.Statements
			if _, err := noun.FactsOf(ctx, view, rows[:min(most, len(rows))]); err != nil {
				return err
			}
			asked = p.Statements - before
			return nil
		})
		return asked
	}
	if one, all := count(1), count(1000); one != all || one > 2 {
		t.Errorf("%d statements for one user, %d for all", one, all)
	}
}

func TestGecosCannotBreakPasswd(t *testing.T) {
	p := newPanel(t, nil)
	p.Run(nountest.Add("account", noun.Values{"name": "acme", "full_name": "A:0:0::/root:/bin/sh, & Söhne = \\ \"x\" " + strings.Repeat("é", 90)}))
	got, _ := facts(p, "acme")["gecos"].(string)
	if strings.ContainsAny(got, ":,&=\\\"\n") || !strings.HasPrefix(got, "A 0 0 /root /bin/sh Söhne x é") || len(got) > 100 {
		t.Errorf("gecos is %q", got)
	}
	p.Run(nountest.Add("account", noun.Values{"name": "plain"}))
	if got := facts(p, "plain")["gecos"]; got != "plain" {
		t.Errorf("gecos is %q", got)
	}
}

package servers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/nouns/accounts"
	"orchestra/pkg/nouns/nountest"
	"orchestra/pkg/nouns/servers"
	"orchestra/testdata/adversarial"
)

const aKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"

func backends() ([]servers.Backend, error) {
	return []servers.Backend{{Name: "unix-user", Noun: "user"}, {Name: "billing-file", Noun: "account"}, {Name: "lost", Noun: "nothing"},
		{Name: "provider", Noun: "user", OnPanel: true}}, nil
}

func newPanel(t testing.TB) *nountest.Panel {
	p := nountest.New(t, slices.Concat(accounts.Nouns(nil), servers.Nouns(backends)), nil)
	p.Run(nountest.Add("server", server("h11")))
	return p
}

func server(name string) noun.Values {
	return noun.Values{"name": name, "address": "192.0.2.11", "host_key": []string{aKey}}
}

func TestAServerIsKnownByItsHostKey(t *testing.T) {
	p := newPanel(t)
	row := p.Find("server", "h11")
	if row.Int("port") != 22 || row.Text("login") != "root" || row.Text("transport") != "ssh" {
		t.Errorf("defaults: %v", row.Values)
	}
	err := p.Refused(fault.Invalid, nountest.Add("server", noun.Values{"name": "h12", "address": "192.0.2.12"}))
	if !strings.Contains(err.Error(), "server.host_key") {
		t.Errorf("the refusal does not name the field: %v", err)
	}
	p.Refused(fault.Invalid, nountest.Add("server", noun.Values{"name": "h12", "host_key": []string{aKey}}))
	p.Refused(fault.Invalid, nountest.Set("server", "h11", noun.Values{"host_key": nil}))
	p.Run(nountest.Add("server", noun.Values{"name": "here", "transport": "local"}))
	p.Refused(fault.Invalid, nountest.Set("server", "here", noun.Values{"host_key": []string{aKey}}))
}

func TestTheWayToAServerLeadsThroughNoneTwice(t *testing.T) {
	p := newPanel(t)
	p.Run(nountest.Add("server", noun.Values{"name": "h12", "address": "192.0.2.12", "host_key": []string{aKey}, "jump": "h11"}))
	p.Refused(fault.Invalid, nountest.Set("server", "h11", noun.Values{"jump": "h12"}))
	p.Refused(fault.Invalid, nountest.Set("server", "h11", noun.Values{"jump": "h11"}))
	p.Refused(fault.Conflict, nountest.Delete("server", "h11"))
	p.Run(nountest.Add("server", noun.Values{"name": "here", "transport": "local"}))
	p.Refused(fault.Invalid, nountest.Set("server", "h11", noun.Values{"jump": "here"}))
}

func route(name string, more noun.Values) noun.Values {
	values := noun.Values{"name": name, "server": "h11", "match": "true"}
	for field, value := range more {
		values[field] = value
	}
	return values
}

func TestRoutesAreCalledByBackendAndServer(t *testing.T) {
	p := newPanel(t)
	p.Run(nountest.Add("route", route("unix-user", nil)))
	row := p.Find("route", "unix-user@h11")
	if row.Text("backend") != "unix-user" || row.Text("on_unreachable") != "fail" {
		t.Errorf("route: %v", row.Values)
	}
	p.Refused(fault.Conflict, nountest.Add("route", route("unix-user", nil)))
	p.Run(nountest.Add("route", route("unix-user@h11-www", nil)))
	err := p.Refused(fault.Invalid, nountest.Add("route", route("unix-users", nil)))
	if !strings.Contains(err.Error(), "route.name") {
		t.Errorf("the refusal does not name the field: %v", err)
	}
	p.Refused(fault.Invalid, nountest.Add("route", route("unix-user@../x", nil)))
	p.Refused(fault.Invalid, nountest.Add("route", route("unix-user@@h11", nil)))
	p.Refused(fault.Invalid, nountest.Add("route", route("lost", nil)))
	p.Refused(fault.Invalid, nountest.Add("route", noun.Values{"name": "unix-user@x", "server": "h11"}))
	p.Refused(fault.Conflict, nountest.Delete("server", "h11"))
}

func TestNoRouteWaitsForItself(t *testing.T) {
	p := newPanel(t)
	for _, name := range []string{"a", "b", "c"} {
		p.Run(nountest.Add("route", route("unix-user@"+name, nil)))
	}
	p.Run(nountest.Set("route", "unix-user@b", noun.Values{"after": []string{"unix-user@a"}}))
	p.Run(nountest.Set("route", "unix-user@c", noun.Values{"after": []string{"unix-user@b"}}))
	p.Refused(fault.Invalid, nountest.Set("route", "unix-user@a", noun.Values{"after": []string{"unix-user@c"}}))
	p.Refused(fault.Invalid, nountest.Set("route", "unix-user@a", noun.Values{"after": []string{"unix-user@a"}}))
	p.Refused(fault.Invalid, nountest.Set("route", "unix-user@a", noun.Values{"after": []string{"unix-user@z"}}))
	p.Run(nountest.Delete("route", "unix-user@b"))
	if after := p.Find("route", "unix-user@c").List("after"); len(after) != 0 {
		t.Errorf("c still waits for %v", after)
	}
}

func TestTopologyTellsServersAndRoutes(t *testing.T) {
	p := newPanel(t)
	p.Run(nountest.Add("server", noun.Values{"name": "h12", "address": "web2.example.org", "host_key": []string{aKey}, "jump": "h11",
		"port": int64(2222), "login": "deploy", "label": []string{"web"}}))
	p.Run(nountest.Add("route", route("unix-user", nil)))
	p.Run(nountest.Add("route", noun.Values{"name": "unix-user", "server": "h12", "match": `account.name == "acme"`,
		"on_unreachable": "queue", "after": []string{"unix-user@h11"}}))
	p.Run(func(ctx context.Context, plan noun.Planner) error {
		row, err := plan.Find(ctx, "server", "h11")
		if err != nil {
			return err
		}
		_, err = noun.Disable(ctx, plan, row, "maintenance")
		return err
	})
	p.View(func(ctx context.Context, view noun.View) error {
		all, err := servers.Topology{}.Servers(ctx, view)
		if err != nil {
			return err
		}
		routes, err := servers.Topology{}.Routes(ctx, view)
		if err != nil {
			return err
		}
		if len(all) != 2 || all[0].Enabled || !all[1].Enabled || all[1].Jump != all[0].ID || all[1].Port != 2222 || all[1].Login != "deploy" ||
			all[1].Transport != "ssh" || !slices.Equal(all[1].HostKeys, []string{aKey}) || !slices.Equal(all[1].Labels, []string{"web"}) {
			t.Errorf("servers: %+v", all)
		}
		if len(routes) != 2 || routes[0].Queue || !routes[1].Queue || !slices.Equal(routes[1].After, []int64{routes[0].ID}) ||
			routes[1].Server != all[1].ID || routes[1].Backend != "unix-user" {
			t.Errorf("routes: %+v", routes)
		}
		return nil
	})
}

func match(p *nountest.Panel, expression, name string) (matched []string) {
	p.T.Helper()
	p.View(func(ctx context.Context, view noun.View) error {
		rows, err := view.Select(ctx, name)
		if err != nil {
			return err
		}
		matches, err := servers.Topology{}.Match(ctx, view, servers.Route{Backend: "unix-user", Match: expression}, rows)
		if err != nil {
			return err
		}
		for i, row := range rows {
			if matches[i] {
				matched = append(matched, row.Text("name"))
			}
		}
		return nil
	})
	return matched
}

func TestMatchingSeesObjectAndAccount(t *testing.T) {
	p := newPanel(t)
	p.Run(nountest.Add("account", noun.Values{"name": "acme", "type": "company"}))
	p.Run(nountest.Add("account", noun.Values{"name": "bob", "disabled": []string{"unpaid"}}))
	p.Run(nountest.Add("user", noun.Values{"name": "acme-web", "account": "acme", "access": "sftp", "group": []string{"acme"}}))
	for expression, wanted := range map[string]string{
		"true": "acme acme-web bob", "True": "acme acme-web bob", "  False ": "",
		`account.name == "acme"`: "acme acme-web", `user.account == "acme" and user.main`: "acme",
		`user.access in ["sftp", "jail"]`: "acme-web", `account.type == 'company' and not user.main`: "acme-web",
		`not user.active`: "bob", `not account.active`: "bob", `"acme" in user.group`: "acme-web",
		`user.name startsWith "acme" and user.uid > 70000`: "acme-web", `"unpaid" in account.disabled`: "bob",
		`user.name matches "^b"`: "bob", `user.account != "acme" and user.active`: "",
	} {
		if got := strings.Join(match(p, expression, "user"), " "); got != wanted {
			t.Errorf("%s matches %q, wanted %q", expression, got, wanted)
		}
	}
	if got := strings.Join(match(p, `account.name == "bob" and account.type == "individual"`, "account"), " "); got != "bob" {
		t.Errorf("a backend of accounts matches %q", got)
	}
}

func TestAdversarialExpressions(t *testing.T) {
	p := newPanel(t)
	cases, err := adversarial.Cases("route.match")
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		typed, err := c.Value()
		if err != nil {
			t.Fatal(err)
		}
		if _, known := adversarial.CommandFor(c, typed); !known {
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			name := fmt.Sprintf("unix-user@case%d", i)
			_, err := p.Try(nountest.Add("route", route(name, noun.Values{"match": typed})))
			switch {
			case c.Expect == adversarial.Accept && err != nil && c.AlsoOK == "":
				t.Errorf("%.80q (%s) was refused: %v", typed, c.Why, err)
			case c.Expect == adversarial.Accept && err == nil:
				if got := p.Find("route", name).Text("match"); got != c.Wanted(typed) {
					t.Errorf("%q came back as %q", typed, got)
				}
			case c.Expect == adversarial.Reject && (!fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), "route.match: ")):
				t.Errorf("%.80q (%s): %v", typed, c.Why, err)
			}
		})
	}
}

func TestTenThousandRowsAreMatchedQuickly(t *testing.T) {
	p := newPanel(t)
	p.Run(nountest.Add("account", noun.Values{"name": "acme"}))
	user := p.Find("user", "acme")
	rows := make([]noun.Row, 10_000)
	for i := range rows {
		rows[i] = user.Clone()
	}
	p.View(func(ctx context.Context, view noun.View) error {
		before, started := p.Statements, time.Now()
		matches, err := servers.Topology{}.Match(ctx, view, servers.Route{Backend: "unix-user",
			Match: `account.name == "acme" and user.account == "acme" and user.active and user.name startsWith "ac"`}, rows)
		if err != nil {
			return err
		}
		if !matches[0] || !matches[9_999] {
			t.Error("they match")
		}
		took, statements := time.Since(started), p.Statements-before
		t.Logf("%v, %d statements", took, statements)
		if statements > 5 || took > 2*time.Second {
			t.Errorf("10,000 rows took %v and %d statements", took, statements)
		}
		return nil
	})
}

func TestABackendOfThePanelRunsThereAlone(t *testing.T) {
	p := newPanel(t)
	err := p.Refused(fault.Invalid, nountest.Add("route", route("provider", nil)))
	if !strings.Contains(err.Error(), "route.server") {
		t.Errorf("the refusal does not name the field: %v", err)
	}
	p.Run(nountest.Add("server", noun.Values{"name": "panel", "transport": "local"}))
	p.Run(nountest.Add("route", route("provider", noun.Values{"server": "panel"})))
	p.Refused(fault.Conflict, nountest.Set("server", "panel", noun.Values{"transport": "ssh", "address": "192.0.2.11", "host_key": []string{aKey}}))
	p.Run(nountest.Delete("route", "provider@panel"))
	p.Run(nountest.Set("server", "panel", noun.Values{"transport": "ssh", "address": "192.0.2.11", "host_key": []string{aKey}}))
}

package servers

import (
	"context"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/value"
)

func serverNoun(backends Backends) *noun.Noun {
	return &noun.Noun{
		Name:   serverName,
		Plural: "servers",
		Area:   "Servers",
		Kind:   noun.Management,
		Help:   "A machine on which backends run",
		Long: "A server is reached over SSH, with its host key verified, or it is this machine (--transport local). Nothing is " +
			"installed on it but a copy of this program that runs for the length of an operation. A server that is disabled is not " +
			"contacted: what concerns it is remembered, and brought there once it is enabled.",
		Key:         "name",
		Disableable: true,
		World:       true,
		Fields: []noun.Field{
			{Name: "name", Type: noun.Parsed{Label: "handle", Canonical: value.Handle}, Required: true, Immutable: true, Listed: true,
				Help: "What the server is called here", Example: "h11"},
			{Name: "address", Type: noun.Parsed{Label: "address", Canonical: value.HostAddress}, Listed: true,
				Help: "Its host name or IP address", Example: "192.0.2.11"},
			{Name: "port", Type: noun.Integer{Min: 1, Max: 65535}, Required: true, Listed: true, Default: noun.Always(int64(22)),
				Help: "The TCP port of its sshd", Example: "22"},
			{Name: "login", Type: noun.Parsed{Label: "name", Canonical: value.Login}, Required: true, Default: noun.Always("root"),
				Help: "The user that we log in as: root, or one that may use sudo without a password", Example: "root"},
			{Name: "host_key", Type: noun.List{Of: noun.Parsed{Label: "host key", Canonical: value.HostKey}, Lines: true},
				Help:    "Its SSH host keys; any other is refused",
				Example: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"},
			{Name: "jump", Reference: serverName, OnDelete: noun.Restrict,
				Help: "The server through which it is reached", Example: "gateway"},
			{Name: "transport", Type: noun.Choice{transportSSH, transportLocal}, Required: true, Listed: true, Default: noun.Always(transportSSH),
				Help: "How it is reached: over ssh, or local for this machine", Example: "ssh"},
			{Name: "label", Type: noun.List{Of: noun.Parsed{Label: "handle", Canonical: value.Handle}}, Listed: true,
				Help: "Labels to select servers by", Example: "web,madrid"},
		},
		Prepare: func(ctx context.Context, plan noun.Planner, before, after *noun.Row) error {
			if err := prepareServer(ctx, plan, after); err != nil {
				return err
			}
			return keepPanel(ctx, plan, backends, before, *after)
		},
	}
}

func prepareServer(ctx context.Context, plan noun.Planner, after *noun.Row) error {
	name := after.Text("name")
	if after.Text("transport") == transportLocal {
		if len(after.List("host_key")) > 0 || after.Int("jump") != 0 {
			return fault.New(fault.Invalid, "server %s is this machine: it has no host key and no server before it", name).
				About("server.transport")
		}
		return nil
	}
	switch {
	case after.Text("address") == "":
		return fault.New(fault.Invalid, "server %s has no address, and is not this machine", name).
			About("server.address").WithHint("add --address, or --transport local for this machine")
	case len(after.List("host_key")) == 0:
		return fault.New(fault.Invalid, "server %s has no host key: nothing could tell it from another machine", name).
			About("server.host_key").WithHint("on the server: cat /etc/ssh/ssh_host_ed25519_key.pub; then add --host-key \"ssh-ed25519 …\"")
	}
	return checkJumps(ctx, plan, *after)
}

// keepPanel refuses to make another machine of the one on which backends of the
// panel run.
func keepPanel(ctx context.Context, plan noun.Planner, backends Backends, before *noun.Row, after noun.Row) error {
	if before == nil || before.Text("transport") != transportLocal || after.Text("transport") == transportLocal {
		return nil
	}
	routes, err := plan.Select(ctx, routeName, noun.Where("server", after.ID))
	if err != nil {
		return err
	}
	for _, route := range routes {
		backend, err := findBackend(backends, route.Text("backend"))
		if err != nil {
			return err
		}
		if backend.OnPanel {
			return fault.New(fault.Conflict, "backend %s runs on the panel itself, and route %s leads to this server", backend.Name, route.Text("name")).
				About("server.transport").WithHint("orchestra route delete %s", route.Text("name"))
		}
	}
	return nil
}

// checkJumps refuses a way to a server that leads through itself, or through
// more servers than anybody has.
func checkJumps(ctx context.Context, view noun.View, server noun.Row) error {
	const most = 4 // as many as are jumped through when connecting
	at := server
	for range most {
		next := at.Int("jump")
		if next == 0 {
			return nil
		}
		if next == server.ID {
			return fault.New(fault.Invalid, "the way to server %s leads through itself", server.Text("name")).About("server.jump")
		}
		var err error
		if at, err = view.Get(ctx, serverName, next); err != nil {
			return err
		}
		if at.Text("transport") == transportLocal {
			return fault.New(fault.Invalid, "server %s is this machine: nothing is reached through it", at.Text("name")).About("server.jump")
		}
	}
	return fault.New(fault.Invalid, "the way to server %s leads through more than %d servers", server.Text("name"), most).About("server.jump")
}

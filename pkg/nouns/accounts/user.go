package accounts

import (
	"context"
	"slices"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/settings"
	"orchestra/pkg/value"
)

// The ways in which a user may come in.
const (
	accessNone  = "none"
	accessSFTP  = "sftp"
	accessRsync = "rsync"
	accessJail  = "jail"
	accessShell = "shell"
)

func userNoun(current func() *settings.Settings) *noun.Noun {
	return &noun.Noun{
		Name:   userName,
		Plural: "users",
		Area:   "Accounts",
		Kind:   noun.Service,
		Help:   "A user of the servers' operating system",
		Long: "A user has the same number on all servers, which no other user ever gets, and a group of its name. The main user, of " +
			"its account's name, is in the groups of all users of the account. Access is none; sftp, which sees no more " +
			"than the homes; rsync, within the home; jail, a shell that sees no more than programs and homes; or shell. A user that is " +
			"disabled is refused with its password and with its keys, its processes are ended, and cron and at run nothing of it.",
		Key:         "name",
		Owner:       accountName,
		Disableable: true,
		Fields: []noun.Field{
			{Name: "name", Type: noun.Parsed{Label: "name", Canonical: value.UnixName}, Required: true, Immutable: true, Listed: true,
				Help: "The login name", Example: "acme-web"},
			{Name: "account", Reference: accountName, OnDelete: noun.Cascade, Required: true, Listed: true,
				Help: "The account that it belongs to", Example: "acme"},
			{Name: "server", Reference: serverName, Placement: true,
				Help: "The server on which alone it is, of those that the routes say", Example: "h12"},
			{Name: "main", Type: noun.Boolean{}, Hidden: true,
				Help: "Whether it is the main user, which goes only with its account", Example: "no"},
			{Name: "uid", Type: noun.Integer{}, Hidden: true, Unique: true, Listed: true, Counter: "unix_id",
				Help: "Its number and its group's, the same on all servers", Example: "70001"},
			{Name: "home", Type: noun.Parsed{Label: "path", Canonical: value.AbsolutePath}, Required: true, Immutable: true, Default: defaultHome,
				Help: "The home: its own, the main user's, or inside of that", Example: "/home/acme-web"},
			{Name: "directory", Type: noun.Parsed{Label: "relative path", Canonical: value.RelativePath},
				Help: "A directory below the home that is made for it", Example: "web/logs"},
			{Name: "access", Type: noun.Choice{accessNone, accessSFTP, accessRsync, accessJail, accessShell},
				Required: true, Listed: true, Default: noun.Always(accessNone),
				Help: "How it may come in", Example: "sftp"},
			{Name: "shell", Type: noun.Parsed{Label: "path", Canonical: value.AbsolutePath}, Required: true, Default: defaultShell,
				Help: "The login shell, used with the access jail or shell", Example: "/bin/bash"},
			{Name: "group", Type: noun.List{Of: noun.Parsed{Label: "name", Canonical: value.UnixName}},
				Help: "Further groups: of users of the account, or those that the settings allow", Example: "acme"},
			{Name: "key", Type: noun.List{Of: noun.Parsed{Label: "SSH public key", Canonical: value.PublicKey}, Lines: true},
				Help:    "SSH public keys that let it in",
				Example: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g ana@laptop"},
			{Name: "password", Type: noun.Text{Max: value.PasswordLimit}, Secret: passwordSecret(current),
				Help: "The password; none lets nobody in by password"},
		},
		Prepare: prepareUser,
		Cascade: cascadeUser,
		Guard:   guardUser,
		Facts:   userFacts,
		Settle:  settlePlacements,
	}
}

func defaultHome(_ context.Context, view noun.View, row noun.Row) (any, error) {
	roots := view.Settings().Unix.HomeRoots
	if len(roots) == 0 {
		return nil, fault.New(fault.Invalid, "the setting unix.home_roots is empty, so no user can have a home")
	}
	return roots[0] + "/" + row.Text("name"), nil
}

func defaultShell(_ context.Context, view noun.View, _ noun.Row) (any, error) {
	if shells := view.Settings().Unix.Shells; len(shells) > 0 {
		return shells[0], nil
	}
	return value.DefaultShells()[0], nil
}

func prepareUser(ctx context.Context, plan noun.Planner, before, after *noun.Row) error {
	account, err := plan.Get(ctx, accountName, after.Int("account"))
	if err != nil {
		return err
	}
	moved := before != nil && before.Int("account") != account.ID
	if before == nil || moved {
		if err := checkOwner(ctx, plan, account, before, after); err != nil {
			return err
		}
	}
	if before == nil {
		if err := checkFree(plan, "user.name", after.Text("name")); err != nil {
			return err
		}
	}
	if before == nil || moved {
		err := checkHome(ctx, plan, account, after)
		if moved && fault.Is(err, fault.Invalid) {
			return homeStays(after.Text("name"), after.Text("home"), account.Text("name"))
		}
		if err != nil {
			return err
		}
	}
	// One that the settings do not allow any more stays until it is changed.
	if before == nil || before.Text("shell") != after.Text("shell") {
		if _, err := value.Shell(after.Text("shell"), plan.Settings().Unix.Shells); err != nil {
			return fault.AboutField(err, "user.shell")
		}
	}
	if err := checkGroups(ctx, plan, before, after); err != nil {
		return err
	}
	after.Values["key"] = withoutDoubles(after.List("key"))
	return nil
}

// checkOwner checks that the account may have this user.
func checkOwner(ctx context.Context, plan noun.Planner, account noun.Row, before, after *noun.Row) error {
	name := after.Text("name")
	switch {
	case before != nil && before.Bool("main"):
		return fault.New(fault.Conflict, "user %s is the main user of its account and stays with it", name).About("user.account")
	case isClosed(account) && !after.Bool("main"):
		return fault.New(fault.Conflict, "account %s is closed: nothing can be added to it", account.Text("name")).
			About("user.account").WithHint("orchestra account enable %s --reason %s", account.Text("name"), closedReason)
	case after.Bool("main"):
		return nil
	}
	// A closed account has no main user, but keeps its name.
	switch other, err := plan.Find(ctx, accountName, name); {
	case err == nil:
		return fault.New(fault.Conflict, "%s is the name of the main user of account %s", name, other.Text("name")).About("user.name")
	case !fault.Is(err, fault.NotFound):
		return err
	}
	return nil
}

// checkHome checks where the home is: at the user's own place, or the main
// user's or directly inside of it, and then not another one's.
func checkHome(ctx context.Context, plan noun.Planner, account noun.Row, user *noun.Row) error {
	home, name := user.Text("home"), user.Text("name")
	mainHome := ""
	if !user.Bool("main") {
		main, err := plan.Find(ctx, userName, account.Text("name"))
		if err != nil {
			return err
		}
		mainHome = main.Text("home")
	}
	if home == mainHome {
		return nil
	}
	if err := value.Home(home, name, mainHome, plan.Settings().Unix.HomeRoots); err != nil {
		return fault.AboutField(err, "user.home")
	}
	if mainHome == "" || !value.Within(home, mainHome) {
		return nil
	}
	if strings.Contains(strings.TrimPrefix(home, mainHome+"/"), "/") {
		return fault.New(fault.Invalid, "%s is not directly inside the home of the main user, %s", home, mainHome).
			About("user.home").WithHint("a directory further down is made with --directory")
	}
	users, err := plan.Select(ctx, userName, noun.Where("account", account.ID))
	if err != nil {
		return err
	}
	for _, other := range users {
		theirs := other.Text("home")
		if other.ID == user.ID || theirs == mainHome {
			continue
		}
		if theirs == home {
			return fault.New(fault.Conflict, "%s is the home of user %s", home, other.Text("name")).About("user.home")
		}
	}
	return nil
}

// homeStays refuses to move a user to an account where its home can't be.
func homeStays(name, home, account string) error {
	return fault.New(fault.Conflict, "user %s can't go to account %s: its home, %s, is inside that of another user, which stays", name, account, home).
		About("user.home").WithHint("a home can't be changed: make another user there with orchestra user add … --account %s", account)
}

// checkGroups checks that each further group is that of a user of the same
// account, or one that the settings allow.
func checkGroups(ctx context.Context, plan noun.Planner, before, after *noun.Row) error {
	groups := after.List("group")
	if before != nil && before.Int("account") == after.Int("account") && slices.Equal(before.List("group"), groups) {
		return nil
	}
	names := make([]any, len(groups))
	for i, group := range groups {
		names[i] = group
	}
	var users []noun.Row
	if len(names) > 0 {
		var err error
		if users, err = plan.Select(ctx, userName, noun.Where("name", names...)); err != nil {
			return err
		}
	}
	for _, group := range groups {
		if group == after.Text("name") {
			return fault.New(fault.Invalid, "user %s is in its own group already", group).About("user.group")
		}
		if slices.Contains(plan.Settings().Unix.Groups, group) || slices.ContainsFunc(users, func(user noun.Row) bool {
			return user.Text("name") == group && user.Int("account") == after.Int("account")
		}) {
			continue
		}
		if before != nil && before.Int("account") != after.Int("account") && slices.Contains(before.List("group"), group) {
			account, err := plan.Get(ctx, accountName, after.Int("account"))
			if err != nil {
				return err
			}
			name := after.Text("name")
			return fault.New(fault.Conflict, "user %s can't go to another account: it is in the group of user %s, which stays", name, group).
				About("user.group").WithHint("orchestra user set %s --account %s --remove-group %s", name, account.Text("name"), group)
		}
		return fault.New(fault.Invalid, "%q is neither a user of the same account nor one of the groups that the settings allow", group).
			About("user.group").WithHint("the setting unix.groups lists system groups that may be given")
	}
	return nil
}

// withoutDoubles drops keys that are there already under another comment.
func withoutDoubles(keys []string) []string {
	var kept []string
	seen := map[string]bool{}
	for _, key := range keys {
		if blob := value.KeyBlob(key); !seen[blob] {
			seen[blob] = true
			kept = append(kept, key)
		}
	}
	return kept
}

// cascadeUser takes a user that is deleted, or moved to another account, off
// the groups of the others: a later user of that name is somebody else.
func cascadeUser(ctx context.Context, plan noun.Planner, change noun.Change) error {
	if change.Before == nil || change.After != nil && change.After["account"] == change.Before["account"] {
		return nil
	}
	was := noun.Row{Values: change.Before}
	if was.Bool("main") {
		return nil // the whole account goes
	}
	if plan.Deleting(accountName, was.Int("account")) {
		return nil
	}
	account, err := plan.Get(ctx, accountName, was.Int("account"))
	if err != nil {
		return err
	}
	if _, err := plan.Find(ctx, userName, account.Text("name")); fault.Is(err, fault.NotFound) {
		return nil // the main user has gone, so all do: the account is being closed
	} else if err != nil {
		return err
	}
	users, err := plan.Select(ctx, userName, noun.Where("account", account.ID))
	if err != nil {
		return err
	}
	for _, user := range users {
		if at := slices.Index(user.List("group"), was.Text("name")); at >= 0 {
			rest := slices.Delete(slices.Clone(user.List("group")), at, at+1)
			if _, err := plan.Set(ctx, user, noun.Values{"group": rest}); err != nil {
				return err
			}
		}
	}
	return nil
}

// guardUser refuses to delete the main user by itself.
func guardUser(_ context.Context, _ noun.Planner, user noun.Row) error {
	if !user.Bool("main") {
		return nil
	}
	name := user.Text("name")
	return fault.New(fault.Conflict, "user %s is the main user of account %s and goes only with it", name, name).
		WithHint("orchestra account delete %s, or orchestra user disable %s", name, name)
}

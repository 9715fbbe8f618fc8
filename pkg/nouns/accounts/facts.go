package accounts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"orchestra/pkg/noun"
	"orchestra/pkg/value"
)

// userFacts tells backends about users: two questions, however many there are.
//
//	uid            its number, and its group's
//	home           its home
//	home_uid       the number of the user whom the home belongs to: the main user's where it is at or inside that one's
//	home_kept      true where the home is the main user's, and so stays when this user goes
//	directory      the directory below the home that is made for it, relative; or nothing
//	shell          the login shell in passwd, which follows from the access
//	gecos          the comment in passwd
//	active         true, or false where it or its account is disabled
//	access         none, sftp, rsync, jail or shell
//	main           the main user of its account, its own name where it is that
//	group          further groups that it is in
//	keys           the text of its authorized_keys, nothing where it has none
//	password       the hash of its password, nothing where it has none
//	password_mark  tells one password from another without telling it, nothing where it has none
func userFacts(ctx context.Context, view noun.View, users []noun.Row) ([]noun.Facts, error) {
	accounts, mains, err := owners(ctx, view, users)
	if err != nil {
		return nil, err
	}
	all := make([]noun.Facts, len(users))
	for i, user := range users {
		account := accounts[user.Int("account")]
		main := mains[account.ID]
		home := user.Text("home")
		facts := noun.Facts{
			"uid": user.Int("uid"), "home": home, "home_uid": user.Int("uid"), "home_kept": false, "directory": user.Text("directory"),
			"shell": loginShell(user), "gecos": gecos(account.Text("full_name"), account.Text("short_name"), account.Text("name")),
			"active": noun.Active(user, &account), "access": user.Text("access"),
			"main": account.Text("name"), "group": user.List("group"), "keys": "", "password": "", "password_mark": "",
		}
		if mainHome := main.Text("home"); !user.Bool("main") && mainHome != "" && (home == mainHome || value.Within(home, mainHome)) {
			facts["home_uid"], facts["home_kept"] = main.Int("uid"), home == mainHome
			// The way to such a home leads through the main user's.
			if !slices.Contains(user.List("group"), main.Text("name")) {
				facts["group"] = append(slices.Clone(user.List("group")), main.Text("name"))
			}
		}
		if keys := user.List("key"); len(keys) > 0 {
			facts["keys"] = noun.Content(strings.Join(keys, "\n") + "\n")
		}
		if hash := user.Text("password"); hash != "" {
			facts["password"], facts["password_mark"] = noun.Confidential(hash), markOf(hash)
		}
		all[i] = facts
	}
	return all, nil
}

// markOf returns what tells a hash from others. It is short, and the hash is
// salted and slow: nothing can be learned of the password by it.
func markOf(hash string) string {
	sum := sha256.Sum256([]byte(hash))
	return hex.EncodeToString(sum[:8])
}

// owners returns the accounts of users and their main users, by the account's id.
func owners(ctx context.Context, view noun.View, users []noun.Row) (accounts, mains map[int64]noun.Row, err error) {
	accounts, mains = map[int64]noun.Row{}, map[int64]noun.Row{}
	var ids []any
	for _, user := range users {
		id := user.Int("account")
		if _, known := accounts[id]; !known {
			accounts[id] = noun.Row{}
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return accounts, mains, nil
	}
	rows, err := view.Select(ctx, accountName, noun.Where("id", ids...))
	if err != nil {
		return nil, nil, err
	}
	names := make([]any, len(rows))
	for i, account := range rows {
		accounts[account.ID] = account
		names[i] = account.Text("name")
	}
	// A main user has its account's name, which is indexed.
	rows, err = view.Select(ctx, userName, noun.Where("name", names...))
	if err != nil {
		return nil, nil, err
	}
	for _, main := range rows {
		mains[main.Int("account")] = main
	}
	return accounts, mains, nil
}

// loginShell returns the shell of the passwd line. Who may not run a shell has
// none there either, so that su, cron's mails and other daemons agree with sshd.
// rrsync is started by a shell, whatever the user's own one is.
func loginShell(user noun.Row) string {
	switch user.Text("access") {
	case accessJail, accessShell:
		return user.Text("shell")
	case accessRsync:
		return "/bin/sh"
	}
	return value.NoLogin
}

// gecos returns the first of texts that has something to say, without what has
// a meaning in passwd (":" and ","), in its readers ("&" is the login name) or
// on a terminal.
func gecos(texts ...string) string {
	const limit = 100 // bytes; passwd lines are read into buffers
	for _, text := range texts {
		text = strings.Map(func(r rune) rune {
			if r < ' ' || strings.ContainsRune(":,&=\\\"\x7f", r) {
				return ' '
			}
			return r
		}, text)
		text = strings.Join(strings.Fields(text), " ")
		for len(text) > limit {
			text = strings.TrimRight(text[:strings.LastIndexFunc(text, func(rune) bool { return true })], " ")
		}
		if text != "" {
			return text
		}
	}
	return ""
}

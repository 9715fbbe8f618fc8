package noun_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

// This file is one noun, fully worked: copy it to begin another. Nouns live in
// pkg/nouns/AREA/NAME.go, one a file, and are listed by the area's Nouns().
//
// From the declaration follow the table "boxes" and its columns, the verbs add,
// ensure, list, show, set, delete, enable and disable with their flags
// (--account, --quota, --alias …), the form, filters and sorting, output,
// completion, the man page and the audit. What has a life of its own is a Verb.

// box is a mailbox: it has each trait that a field can have.
func box() *noun.Noun {
	return &noun.Noun{
		Name: "box", Plural: "boxes", Area: "Mail", Kind: noun.Service,
		Help: "Where somebody's mail is kept",
		Long: "A box belongs to an account and is reached with its name and password.",

		// People say "box show acme.info"; the engine makes the name unique.
		Key: "name",
		// Locks, active and cascades follow the owner up to the account.
		Owner:       "account",
		Disableable: true,

		Fields: []noun.Field{
			{
				Name: "name", Type: noun.Text{Max: 64}, Help: "What it is called",
				Example: "acme.info", Required: true, Immutable: true, Listed: true,
			},
			{ // The stored value is the account's id; people type and see its name.
				Name: "account", Reference: "account", Help: "The account that owns it",
				Example: "acme", Required: true, OnDelete: noun.Cascade, Listed: true,
			},
			{ // Deleting the other box empties this field; Restrict would refuse it.
				Name: "copy", Reference: "box", Help: "A box that gets a copy of all",
				Example: "acme.copy", OnDelete: noun.Forget,
			},
			{
				Name: "kind", Type: noun.Choice{"personal", "shared"}, Help: "Who reads it", Example: "shared",
				Default: noun.Always("personal"),
			},
			{
				Name: "quota", Type: noun.Integer{Min: 1, Max: 1 << 20}, Help: "Its size at most, in MiB", Example: "1024",
			},
			{ // A list is a flag that may be repeated: --alias info --alias sales.
				Name: "alias", Type: noun.List{Of: noun.Text{Max: 64}}, Help: "Further names", Example: "sales",
			},
			{ // The counter's number is given at add, and never to another.
				Name: "number", Type: noun.Integer{}, Help: "Its number on servers", Example: "1",
				Counter: "box", Unique: true, Hidden: true,
			},
			{ // Only the hash is stored. No flag takes a secret: --password-stdin, a prompt.
				Name: "password", Type: noun.Text{Max: 128}, Help: "Its password", Example: "correct horse",
				Secret: &noun.Secret{
					Hash: func(plain string) (string, error) { return "hash of " + plain, nil },
				},
			},
			{ // Sent to the service when the box is made, and not kept here.
				Name: "welcome", Type: noun.LongText{}, Help: "A first mail", Example: "Welcome!", ServiceOwned: true,
			},
			{ // Computed for all rows at once: never a statement per row.
				Name: "copied_by", Type: noun.Integer{}, Help: "How many boxes copy to it", Example: "2", Compute: copiedBy,
			},
		},

		Prepare: prepareBox,
		Guard:   guardBox,
		Facts:   boxFacts,
		Check:   checkBoxes,

		Verbs: []noun.Verb{{
			Name: "double", Help: "Double the size that it may have", Example: "orchestra box double acme.info",
			Plan: func(ctx context.Context, plan noun.Planner, box noun.Row, _ noun.Values) error {
				_, err := plan.Set(ctx, box, noun.Values{"quota": 2 * box.Int("quota")})
				return err
			},
		}},
	}
}

// prepareBox checks what no single field can check. It may complete the row;
// it may warn; it refuses with a fault that names the field.
func prepareBox(_ context.Context, plan noun.Planner, _, after *noun.Row) error {
	if after.Int("copy") == after.ID {
		return fault.New(fault.Invalid, "a box can't copy to itself").About("box.copy")
	}
	if after.Int("quota") > 100_000 {
		plan.Warn(message.New("a box of %d MiB is unusual", after.Int("quota")))
	}
	return nil
}

// guardBox is asked by the verb delete alone, not where an account is deleted.
func guardBox(_ context.Context, _ noun.Planner, row noun.Row) error {
	if row.Text("kind") == "shared" {
		return fault.New(fault.Conflict, "box %s is shared by others", row.Text("name")).
			WithHint("orchestra box set %s --kind personal", row.Text("name"))
	}
	return nil
}

func copiedBy(ctx context.Context, view noun.View, rows []noun.Row) ([]any, error) {
	ids := make([]any, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	copies, err := view.Select(ctx, "box", noun.Where("copy", ids...))
	if err != nil {
		return nil, err
	}
	count := map[int64]int64{}
	for _, other := range copies {
		count[other.Int("copy")]++
	}
	values := make([]any, len(rows))
	for i, row := range rows {
		values[i] = count[row.ID]
	}
	return values, nil
}

// boxFacts is what backends are told. Without it they would be told all fields
// that are no secret.
func boxFacts(ctx context.Context, view noun.View, rows []noun.Row) ([]noun.Facts, error) {
	active, err := noun.ActiveOf(ctx, view, rows)
	if err != nil {
		return nil, err
	}
	facts := make([]noun.Facts, len(rows))
	for i, row := range rows {
		facts[i] = noun.Facts{
			"name": row.Text("name"), "number": row.Int("number"), "quota": row.Int("quota"), "active": active[i],
			"password": noun.Confidential(row.Text("password")), // travels apart, and is never shown
		}
	}
	return facts, nil
}

// checkBoxes is part of the command check.
func checkBoxes(ctx context.Context, view noun.View) ([]noun.Finding, error) {
	boxes, err := view.Select(ctx, "box", noun.Where("quota", nil))
	if err != nil {
		return nil, err
	}
	var findings []noun.Finding
	for _, row := range boxes {
		findings = append(findings, noun.Finding{
			Noun: "box", Name: row.Text("name"), Text: message.New("box %s may grow without end", row.Text("name")),
		})
	}
	return findings, nil
}

func payer() *noun.Noun {
	return &noun.Noun{
		Name: "account", Plural: "accounts", Area: "Accounts", Kind: noun.Management, Help: "Who pays",
		Key: "name", Owner: "id", Disableable: true,
		Fields: []noun.Field{{Name: "name", Type: noun.Text{}, Help: "What it is called", Example: "acme", Required: true}},
	}
}

// Example declares the noun and runs one operation's plan, as commands do.
func Example() {
	if err := example(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// account acme: made
	// box acme.copy: made
	// box acme.info: made
	// box acme.info: quota 1024 → 2048
	// sent to the service: welcome
	// acme.copy account=acme kind=personal copied_by=1 active=true
	// acme.info account=acme kind=personal copied_by=0 active=true
	// box.quota: 0 is not from 1 to 1048576
}

func example(ctx context.Context) error {
	registry, err := noun.NewRegistry(payer(), box())
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(directory) }()
	database, err := store.Create(ctx, store.Options{
		Path: filepath.Join(directory, "orchestra.db"), Registry: registry,
		Now: func() time.Time { return time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		return err
	}
	defer func() { _ = database.Close() }()

	return database.Update(ctx, func(tx *store.Tx) error {
		planner, err := tx.Plan(ctx, func(ctx context.Context, plan *store.Planner) error {
			if _, err := plan.Add(ctx, "account", noun.Values{"name": "acme"}); err != nil {
				return err
			}
			if _, err := plan.Add(ctx, "box", noun.Values{"name": "acme.copy", "account": "acme"}); err != nil {
				return err
			}
			info, err := plan.Add(ctx, "box", noun.Values{
				"name": "acme.info", "account": "acme", "copy": "acme.copy", "quota": "1024", "alias": []string{"sales"},
				"welcome": "Welcome!", "password": "hash of correct horse",
			})
			if err != nil {
				return err
			}
			return registry.Noun("box").Verbs[0].Plan(ctx, plan, info, nil)
		})
		if err != nil {
			return err
		}
		print(planner)
		// The plan is rolled back; the operation writes its changes when all servers have them.
		if err := tx.Apply(ctx, planner.Changes()); err != nil {
			return err
		}
		rows, err := tx.List(ctx, "box", store.Query{Filter: `account == "acme"`, Sort: []string{"name"}})
		if err != nil {
			return err
		}
		for _, row := range rows {
			fmt.Printf("%s account=%v kind=%v copied_by=%v active=%v\n", row.Text("name"), row.Values["account"],
				row.Values["kind"], row.Values["copied_by"], row.Values["active"])
		}
		_, err = tx.Plan(ctx, func(ctx context.Context, plan *store.Planner) error {
			_, err := plan.Add(ctx, "box", noun.Values{"name": "small", "account": "acme", "quota": 0})
			return err
		})
		fmt.Println(err)
		return nil
	})
}

func print(planner *store.Planner) {
	for _, change := range planner.Changes() {
		if change.Before == nil {
			fmt.Printf("%s %s: made\n", change.Noun, change.Name)
			continue
		}
		fmt.Printf("%s %s: quota %v → %v\n", change.Noun, change.Name, change.Before["quota"], change.After["quota"])
	}
	for _, sent := range planner.Sent() {
		var names []string
		for name := range sent.Values {
			names = append(names, name)
		}
		fmt.Println("sent to the service:", strings.Join(names, ", "))
	}
}

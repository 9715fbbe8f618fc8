package noun_test

import (
	"context"
	"strings"
	"testing"

	"orchestra/pkg/noun"
)

func valid() []*noun.Noun {
	return []*noun.Noun{
		{
			Name: "account", Plural: "accounts", Area: "Accounts", Help: "Who pays", Key: "name", Owner: "id", Disableable: true,
			Fields: []noun.Field{{Name: "name", Type: noun.Text{}, Help: "What it is called", Required: true}},
		},
		{
			Name: "domain", Plural: "domains", Area: "DNS", Help: "A name", Key: "name", Owner: "account",
			Fields: []noun.Field{
				{Name: "name", Type: noun.Text{}, Help: "What it is called", Required: true},
				{Name: "account", Reference: "account", Help: "Whose it is", Required: true, OnDelete: noun.Cascade},
			},
		},
		{
			Name: "record", Plural: "records", Area: "DNS", Help: "What a name says", Key: "name", Owner: "domain",
			Positional: []string{"value"},
			Fields: []noun.Field{
				{Name: "name", Type: noun.Text{}, Help: "What it is called", Required: true},
				{Name: "domain", Reference: "domain", Help: "Its domain", Required: true},
				{Name: "value", Type: noun.Text{}, Help: "What it says"},
			},
		},
	}
}

func TestARegistryOfSoundNouns(t *testing.T) {
	r, err := noun.NewRegistry(valid()...)
	if err != nil {
		t.Fatal(err)
	}
	var path []string
	for _, n := range r.OwnerPath("record") {
		path = append(path, n.Name)
	}
	if got := strings.Join(path, " "); got != "record domain account" {
		t.Errorf("the way from a record to its account is %q", got)
	}
	if d := r.Dependents("domain"); len(d) != 1 || d[0].Noun.Name != "record" || d[0].Field.Name != "domain" {
		t.Errorf("dependents of domain: %v", d)
	}
	if r.Noun("nothing") != nil || len(r.Nouns()) != 3 {
		t.Error("the nouns are not those that were given")
	}
	verbs := strings.Join(r.Noun("account").DerivedVerbs(), " ")
	if verbs != "add ensure list show set delete enable disable" {
		t.Errorf("verbs of an account: %s", verbs)
	}
	var fields []string
	for _, f := range r.Noun("record").AllFields() {
		fields = append(fields, f.Name)
	}
	if got := strings.Join(fields, " "); got != "name domain value created active" {
		t.Errorf("fields of a record: %s", got)
	}
}

func TestDefectsOfDeclarationsAreFoundAtStartUp(t *testing.T) {
	show := func(context.Context, noun.View, noun.Row, noun.Values) (noun.Table, error) { return noun.Table{}, nil }
	plan := func(context.Context, noun.Planner, noun.Row, noun.Values) error { return nil }
	compute := func(context.Context, noun.View, []noun.Row) ([]any, error) { return nil, nil }
	field := func(change func(f *noun.Field)) func(n []*noun.Noun) {
		return func(n []*noun.Noun) { change(&n[2].Fields[2]) }
	}
	verb := func(v noun.Verb) func(n []*noun.Noun) {
		return func(n []*noun.Noun) { n[1].Verbs = append(n[1].Verbs, v) }
	}
	for want, break_ := range map[string]func(n []*noun.Noun){
		"declared twice":                  func(n []*noun.Noun) { n[1].Name = "account" },
		"same plural":                     func(n []*noun.Noun) { n[1].Plural = "accounts" },
		"noun Domain: the name":           func(n []*noun.Noun) { n[1].Name = "Domain" },
		"the plural \"domain\"":           func(n []*noun.Noun) { n[1].Plural = "domain" },
		"the area \"Names\"":              func(n []*noun.Noun) { n[1].Area = "Names" },
		"noun domain: has no help":        func(n []*noun.Noun) { n[1].Help = "" },
		"ends in a full stop":             func(n []*noun.Noun) { n[1].Help = "A name." },
		"several lines":                   func(n []*noun.Noun) { n[1].Help = "A\nname" },
		"the key \"title\"":               func(n []*noun.Noun) { n[1].Key = "title" },
		"the key \"name\"":                func(n []*noun.Noun) { n[1].Fields[0].Required = false },
		"the owner \"nobody\"":            func(n []*noun.Noun) { n[1].Owner = "nobody" },
		"does not lead to an account":     func(n []*noun.Noun) { n[0].Owner = "" },
		"the positional \"none\"":         func(n []*noun.Noun) { n[2].Positional = []string{"none"} },
		"it references \"zone\"":          func(n []*noun.Noun) { n[2].Fields[1].Reference = "zone" },
		"goes without \"destroy\"":        func(n []*noun.Noun) { n[1].Without = []string{"destroy"} },
		"field Value: the name":           field(func(f *noun.Field) { f.Name = "Value" }),
		"field full-name: the name":       field(func(f *noun.Field) { f.Name = "full-name" }),
		"field created is declared twice": field(func(f *noun.Field) { f.Name = "created" }),
		"field name is declared twice":    field(func(f *noun.Field) { f.Name = "name" }),
		"field value: has no help":        field(func(f *noun.Field) { f.Help = "" }),
		"either a type or a reference":    field(func(f *noun.Field) { f.Type = nil }),
		"a computed field":                field(func(f *noun.Field) { f.Compute, f.Required = compute, true }),
		"a placement is an optional":      field(func(f *noun.Field) { f.Placement = true }),
		"both domain and other say where": func(n []*noun.Noun) {
			n[2].Fields[1].Placement, n[2].Fields[1].Required = true, false
			n[2].Fields = append(n[2].Fields, noun.Field{Name: "other", Reference: "domain", Help: "Another", Placement: true})
		},
		"a secret is neither":              field(func(f *noun.Field) { f.Secret, f.Listed = &noun.Secret{}, true }),
		"a secret that is stored has no":   field(func(f *noun.Field) { f.Secret = &noun.Secret{} }),
		"a value of the service":           field(func(f *noun.Field) { f.ServiceOwned, f.Unique = true, true }),
		"it references nothing":            field(func(f *noun.Field) { f.OnDelete = noun.Cascade }),
		"can't be forgotten":               func(n []*noun.Noun) { n[2].Fields[1].OnDelete = noun.Forget },
		"a counter numbers an integer":     field(func(f *noun.Field) { f.Counter = "x" }),
		"verb Move: the name":              verb(noun.Verb{Name: "Move", Help: "Move", Example: "x", Plan: plan}),
		"verb add: it is declared twice":   verb(noun.Verb{Name: "add", Help: "Add", Example: "x", Plan: plan}),
		"verb move: has no help":           verb(noun.Verb{Name: "move", Example: "x", Plan: plan}),
		"verb move: it has no example":     verb(noun.Verb{Name: "move", Help: "Move", Plan: plan}),
		"verb move: it has either Plan":    verb(noun.Verb{Name: "move", Help: "Move", Example: "x", Plan: plan, Show: show}),
		"verb move: option to: has no hel": verb(noun.Verb{Name: "move", Help: "Move", Example: "x", Plan: plan, Options: []noun.Field{{Name: "to", Type: noun.Text{}}}}),
	} {
		nouns := valid()
		break_(nouns)
		_, err := noun.NewRegistry(nouns...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

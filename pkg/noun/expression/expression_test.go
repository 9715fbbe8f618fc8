package expression_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/noun/expression"
)

func user() *noun.Noun {
	return &noun.Noun{
		Name: "user", Plural: "users", Key: "name", Owner: "account", Disableable: true,
		Fields: []noun.Field{
			{Name: "name", Type: noun.Text{}}, {Name: "account", Reference: "account"},
			{Name: "uid", Type: noun.Integer{}}, {Name: "backup", Type: noun.Boolean{}},
			{Name: "group", Type: noun.List{Of: noun.Text{}}},
			{Name: "password", Type: noun.Text{}, Secret: &noun.Secret{}},
			{Name: "sieve", Type: noun.Text{}, ServiceOwned: true},
		},
	}
}

func environment() expression.Environment {
	fields := expression.Fields(user())
	fields["user"] = expression.Fields(user())
	return fields
}

func values() expression.Values {
	row := noun.Row{Noun: "user", Values: noun.Values{
		"name": "acme-web", "account": "acme", "uid": int64(70000), "backup": true, "group": []string{"a", "wheel"},
		"active": true,
	}}
	all := expression.Of(user(), row)
	all["user"] = expression.Of(user(), row)
	return all
}

func TestConditionsHoldOrNot(t *testing.T) {
	for source, want := range map[string]bool{
		`True`: true, `  True  `: true, `false`: false, `not False`: true,
		`name == "acme-web"`: true, `name == 'o\'brien'`: false, `name == "密"`: false,
		`account == "acme" and not backup`: false, `account == 'acme' && backup`: true,
		`uid >= 70000 and uid < 80000`: true, `uid % 2 == 0`: true, `uid + 1 == 70001`: true,
		`name in ["a", "acme-web"]`: true, `name not in ["a"]`: true, `"wheel" in group`: true,
		`name startsWith "acme" and name endsWith "web" and name contains "-"`: true,
		`name matches "^acme-[a-z]+$"`:                                         true, `any(group, # == "wheel")`: true, `len(group) == 2`: true,
		`all(group, {len(#) > 0})`: true, `upper(name) == "ACME-WEB"`: true, `hasPrefix(name, "acme")`: true,
		`len(disabled) == 0 and active`: true, `max(uid, 1) > 5`: true,
		`user.account == "acme"`: true, `user.uid == 1`: false, `(backup ? uid : 0) == 70000`: true,
	} {
		program, err := expression.Compile(source, environment())
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		got, err := program.Match(values())
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", source, got, err, want)
		}
	}
}

func TestAnythingElseIsRefused(t *testing.T) {
	for _, source := range []string{
		"", "   ", "name", "1", "name + name", "1 OR 1=1", "True; DROP TABLE account", "$HOME", "`id`", "$env", "$env.name == ''",
		"__import__('os').system('id')", "().__class__.__bases__[0].__subclasses__()", "exec('import os')", "eval('1')",
		"(lambda f: f(f))(lambda f: f(f))", "2**10**10", "2^10 > 1", "sum(range(10**12))", "while True: pass", "name = 'root'",
		"user.delete()", "password == 'x'", "user.password == 'x'", "sieve == ''", "user.nme == 'acme'", "nme == 'acme'",
		"name.x == 1", "user == user", "user == nil", "name == nil", "True\nTrue", "True\x00False", "Ｔrue", "\xff == ''",
		strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000), strings.Repeat("not ", 900) + "True",
		strings.Repeat("backup and ", 10_000) + "backup", strings.Repeat("[", 33), "format('{0.__class__}', account)",
		"'%s' % account.__dict__", "now().hour < 8", "random() < 0.5", "now() == now()", "1..1000000000 == []", "1 in 1..5",
		"let a = 1; a == 1", "len(repeat(name, 1000000)) > 1", "date('2020-01-01') == now()", "toJSON(name) == ''",
		"name matches account", `name matches "("`, "any(group, any(group, # == #))", "map(group, #) == group", "{'a': 1} == {}",
		"group[0] == 'a'", "group[0:1] == group", "name?.x == 1", "user[name] == ''", "uid == '1'", "name == 1", "uid", "not name",
		"reduce(group, #acc + #) == ''", "uid ?? 1 == 1", "name | lower() | x()", "\u202euid == 1", "sort(group) == group",
		strings.Repeat("a", 100_000), "name == \"" + strings.Repeat("x", 5000) + "\"",
	} {
		program, err := expression.Compile(source, environment())
		if err == nil {
			t.Errorf("%.60q was accepted: %v", source, program)
			continue
		}
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%.60q: %v is of kind %s", source, err, fault.KindOf(err))
		}
		if len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("%.60q: the sentence is %q", source, err)
		}
	}
}

func TestAMisspeltFieldNamesTheNearest(t *testing.T) {
	for source, near := range map[string]string{
		"nme == 'acme'": "name", "user.acount == 'acme'": "account", "lenn(group) == 1": "len",
	} {
		_, err := expression.Compile(source, environment())
		if hint := fault.HintOf(err).String(); !strings.Contains(hint, near) {
			t.Errorf("%s: the hint is %q", source, hint)
		}
	}
}

func TestTheExampleOfTheHintIsACondition(t *testing.T) {
	fields := func(declared ...noun.Field) expression.Environment {
		return expression.Fields(&noun.Noun{Fields: declared})
	}
	company := expression.Fields(&noun.Noun{Disableable: true, Fields: []noun.Field{{Name: "name", Type: noun.Text{}}, {Name: "type", Type: noun.Text{}}}})
	for name, known := range map[string]expression.Environment{
		"a route": {"user": expression.Fields(user()), "account": company}, "a list": company, "another list": fields(noun.Field{Name: "label", Type: noun.Text{}}),
		"numbers": fields(noun.Field{Name: "uid", Type: noun.Integer{}}),
	} {
		_, err := expression.Compile("len(1) == ", known)
		_, example, said := strings.Cut(fault.HintOf(err).String(), ": ")
		if !said {
			t.Fatalf("%s: %v has the hint %q", name, err, fault.HintOf(err))
		}
		if _, err := expression.Compile(example, known); err != nil {
			t.Errorf("%s: the example %s is none: %v", name, example, err)
		}
	}
}

func TestOnlyNecessaryEqualitiesAreLookedUp(t *testing.T) {
	for source, want := range map[string]int{
		`name == "a"`: 1, `"a" == name and account == "b" and backup`: 2, `name == "a" or account == "b"`: 0,
		`not (name == "a")`: 0, `name == ""`: 0, `uid == 1`: 0, `name == account`: 0,
	} {
		program, err := expression.Compile(source, environment())
		if err != nil {
			t.Fatal(err)
		}
		if got := program.Equalities(); len(got) != want {
			t.Errorf("%s: %v", source, got)
		}
	}
}

func TestUsesTellsWhatIsMentioned(t *testing.T) {
	program, err := expression.Compile(`user.account == "a" or uid == 3`, environment())
	if err != nil {
		t.Fatal(err)
	}
	if !program.Uses("user") || !program.Uses("user.account") || !program.Uses("uid") || program.Uses("name") {
		t.Error("wrong")
	}
}

// FuzzCompile wants every text to be either refused as invalid or to give an
// answer, twice the same, in little time, without a panic.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`name == "a"`, `any(group, # == "a")`, `uid % 0 == 1`, `user.uid in [1, 2]`, `"a" matches "a{1000}{1000}"`,
		`(((True)))`, `True ? backup : backup`, `not not not True`, `-uid == - - uid`, `"\u00e9" == name`, "`raw` == name",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		began := time.Now()
		guard := time.AfterFunc(5*time.Second, func() { panic(fmt.Sprintf("%q does not end", source)) })
		defer guard.Stop()
		program, err := expression.Compile(source, environment())
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: %v", source, err)
			}
			return
		}
		first, err1 := program.Match(values())
		second, err2 := program.Match(values())
		if first != second || (err1 == nil) != (err2 == nil) {
			t.Fatalf("%q: %v %v, then %v %v", source, first, err1, second, err2)
		}
		if err1 != nil && !fault.Is(err1, fault.Invalid) {
			t.Fatalf("%q: %v", source, err1)
		}
		if spent := time.Since(began); spent > 2*time.Second {
			t.Fatalf("%q took %v", source, spent)
		}
	})
}

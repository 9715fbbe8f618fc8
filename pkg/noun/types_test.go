package noun_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
)

func types() map[string]noun.Type {
	return map[string]noun.Type{
		"text": noun.Text{}, "short": noun.Text{Max: 3}, "long": noun.LongText{}, "number": noun.Integer{},
		"port": noun.Integer{Min: 1, Max: 65535}, "natural": noun.Integer{Min: 1}, "yes": noun.Boolean{},
		"choice": noun.Choice{"individual", "company"}, "time": noun.Time{}, "date": noun.Date{},
		"list": noun.List{Of: noun.Text{Max: 20}}, "lines": noun.List{Of: noun.Text{}, Lines: true},
		"choices": noun.List{Of: noun.Choice{"a", "b"}},
	}
}

func TestTypesTakeWhatIsRight(t *testing.T) {
	for _, c := range []struct {
		kind, text string
		want       any
	}{
		{"text", "José Muñoz", "José Muñoz"}, {"text", "👩\u200d💻", "👩\u200d💻"}, {"text", "=1+2", "=1+2"},
		{"text", strings.Repeat("ñ", 256), strings.Repeat("ñ", 256)}, {"long", "one\n\ttwo\n", "one\n\ttwo\n"},
		{"number", "-5", int64(-5)}, {"port", "65535", int64(65535)}, {"natural", "9223372036854775807", int64(1<<63 - 1)},
		{"yes", "Yes", true}, {"yes", "off", false}, {"choice", "company", "company"},
		{"time", "2026-11-23T19:00:00+01:00", "2026-11-23T18:00:00Z"}, {"date", "2028-02-29", "2028-02-29"},
		{"list", " b, a ,b,", []string{"b", "a"}}, {"list", " , ", nil}, {"lines", "x,y\nz", []string{"x,y", "z"}},
		{"choices", "b,a", []string{"b", "a"}},
	} {
		got, err := types()[c.kind].Parse(c.text)
		if err != nil {
			t.Errorf("%s %q: %v", c.kind, c.text, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s %q: %s", c.kind, c.text, diff)
		}
	}
}

func TestTypesRefuseWhatIsNot(t *testing.T) {
	for kind, texts := range map[string][]string{
		"text": {"a\nb", "a\x00b", "a\x1b]52;c;aWQK\x07", "ok\rFAILED", "a\u202etxt.exe", "a\u200bb", "a\ufeffb", "   ", "\u00a0",
			"Jos\xe9", strings.Repeat("y", 257), strings.Repeat("y", 10_000_000), "a\u2028b", "a\u0085b", "a\x7f"},
		"short":   {"four"},
		"long":    {"a\x00", "a\r\nb", "\n\n", strings.Repeat("y", 65_537)},
		"number":  {"", "+1", "01", "1_000", "1.0", "１", "0x10", "9223372036854775808", " 1", "1e3", "--1"},
		"port":    {"0", "65536", "-1"},
		"natural": {"0", "-1"},
		"yes":     {"", "maybe", "2"},
		"choice":  {"", "Company", "companies"},
		"time":    {"", "yesterday", "2026-11-23", "2026-13-01T00:00:00Z", "0000-01-01T00:00:00Z"},
		"date":    {"", "2026-02-29", "23/11/2026", "2026-1-1", "0000-01-01"},
		"list":    {"a\nb", strings.Repeat("x", 21), strings.Repeat("a,", 100_000)},
		"lines":   {"a\x00"},
		"choices": {"a,c"},
	} {
		for _, text := range texts {
			if got, err := types()[kind].Parse(text); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s %.40q: %v, %v", kind, text, got, err)
			}
		}
	}
}

// TestWhatIsParsedIsCanonical holds for any text: it is refused, or its value
// is of one form that the text form gives back.
func TestWhatIsParsedIsCanonical(t *testing.T) {
	for name, kind := range types() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[-0-9a-cTZ:, \n]{0,30}`)).Draw(r, "text")
				canonical(r, kind, text)
			})
		})
	}
}

func canonical(t rapid.TB, kind noun.Type, text string) {
	value, err := kind.Parse(text)
	if err != nil {
		if !fault.Is(err, fault.Invalid) {
			t.Fatalf("%q: %v", text, err)
		}
		return
	}
	if value == nil {
		return
	}
	again, err := kind.Parse(kind.Format(value))
	if err != nil || !noun.EqualValue(value, again) {
		t.Fatalf("%q is %#v, and that is %#v (%v)", text, value, again, err)
	}
}

func FuzzList(f *testing.F) {
	for _, seed := range []string{"", "a,b", " , ,", "a\nb", "a\x00b", "\xff,\xff", strings.Repeat(",", 3000), "a,A,a"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, lines bool) {
		kind := noun.List{Of: noun.Text{}, Lines: lines}
		value, err := kind.Parse(text)
		if err != nil {
			return
		}
		list, _ := value.([]string)
		if len(list) > noun.MaxElements || value != nil && len(list) == 0 {
			t.Fatalf("%q: %#v", text, value)
		}
		for i, element := range list {
			if slices.Contains(list[:i], element) || strings.Contains(element, kind.Separator()) {
				t.Fatalf("%q: %#v", text, value)
			}
		}
		again, err := kind.Parse(kind.Format(value))
		if err != nil || !noun.EqualValue(value, again) {
			t.Fatalf("%q: %#v, then %#v (%v)", text, value, again, err)
		}
	})
}

func TestValuesSurviveTheJournal(t *testing.T) {
	value := rapid.OneOf(
		rapid.String().AsAny(), rapid.Int64().AsAny(), rapid.Bool().AsAny(), rapid.Just(any(nil)),
		rapid.SliceOfN(rapid.String(), 1, 4).AsAny(),
	)
	rapid.Check(t, func(r *rapid.T) {
		before := noun.Values(rapid.MapOf(rapid.String(), value).Draw(r, "values"))
		text, err := json.Marshal(noun.Change{Noun: "user", ID: 1 << 60, Before: before})
		if err != nil {
			r.Fatal(err)
		}
		var after noun.Change
		if err := json.Unmarshal(text, &after); err != nil {
			r.Fatal(err)
		}
		if !before.Equal(after.Before) || !after.Before.Equal(before) || after.ID != 1<<60 {
			r.Fatalf("%#v became %#v", before, after.Before)
		}
		if after.After != nil {
			r.Fatal("what did not exist exists")
		}
	})
	for _, text := range []string{`{"a": 1.5}`, `{"a": {"b": 1}}`, `{"a": [1]}`, `{"a": 1e400}`} {
		var values noun.Values
		if err := json.Unmarshal([]byte(text), &values); err == nil {
			t.Errorf("%s gave %#v", text, values)
		}
	}
}

func TestEqualValue(t *testing.T) {
	for _, c := range []struct {
		a, b any
		want bool
	}{
		{nil, nil, true}, {nil, "", true}, {nil, false, true}, {nil, []string{}, true}, {nil, int64(0), false},
		{"a", "a", true}, {"a", "b", false}, {int64(1), int64(1), true}, {int64(1), "1", false}, {true, true, true},
		{true, nil, false}, {[]string{"a"}, []string{"a"}, true}, {[]string{"a"}, []string{"b"}, false},
		{[]string{"a"}, nil, false}, {"a", []string{"a"}, false}, {[]string{"a"}, "a", false},
	} {
		if noun.EqualValue(c.a, c.b) != c.want || noun.EqualValue(c.b, c.a) != c.want {
			t.Errorf("%#v and %#v", c.a, c.b)
		}
	}
}

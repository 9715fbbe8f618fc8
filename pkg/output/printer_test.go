package output

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"orchestra/pkg/fault"

	"orchestra/pkg/escape"
)

var now = time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)

func people() Table {
	return Table{
		Key: "name",
		Columns: []Column{
			{Name: "name", Listed: true, Fixed: true}, {Name: "uid", Kind: Number, Listed: true},
			{Name: "full_name", Listed: true}, {Name: "created", Kind: Time, Listed: true},
			{Name: "groups"}, {Name: "active", Listed: true}, {Name: "notes"},
		},
		Rows: [][]any{
			{"ana", int64(70000), "Ana \x1b[31mGarcía", "2026-11-23T15:00:00Z", []string{"web", "mail"}, true, nil},
			{"bob", int64(7), "", "2025-01-01T00:00:00Z", []string(nil), false, "a\nb"},
		},
	}
}

func printed(t *testing.T, p Printer, table Table) string {
	t.Helper()
	var out bytes.Buffer
	p.Out = &out
	p.Now = func() time.Time { return now }
	if _, err := p.List(table); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPlainTableIsAlignedWholeAndAbsolute(t *testing.T) {
	want := "" +
		"NAME    UID  FULL_NAME             CREATED               ACTIVE\n" +
		"ana   70000  Ana \\x1b[31mGarcía     2026-11-23T15:00:00Z  yes\n" +
		"bob       7  -                     2025-01-01T00:00:00Z  no\n"
	got := printed(t, Printer{Format: FormatTable}, people())
	// The escape is longer than it looks: compare the columns, not the spaces.
	if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	at := strings.Index(lines[0], "CREATED")
	for _, line := range lines[1:] {
		if Width(line[:strings.Index(line, "20")]) != at {
			t.Errorf("not aligned:\n%s", got)
		}
	}
}

func TestHumanTableFitsTheTerminal(t *testing.T) {
	table := people()
	table.Rows[0][2] = strings.Repeat("long ", 30)
	for columns := 30; columns < 120; columns++ {
		got := printed(t, Printer{Format: FormatTable, Terminal: true, Width: columns}, table)
		for _, line := range strings.Split(got, "\n") {
			if Width(line) > columns {
				t.Fatalf("%d columns: %d wide: %s", columns, Width(line), line)
			}
		}
		if !strings.Contains(got, "ana") {
			t.Fatalf("%d columns: the name was cut:\n%s", columns, got)
		}
	}
	if got := printed(t, Printer{Format: FormatTable, Terminal: true, Width: 120}, people()); !strings.Contains(got, "3 hours ago") {
		t.Errorf("times are not relative:\n%s", got)
	}
}

func TestUnknownColumnListsTheOthers(t *testing.T) {
	p := Printer{Out: &bytes.Buffer{}, Format: FormatTable, Columns: []string{"nmae"}}
	_, err := p.List(people())
	if !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), "nmae") {
		t.Errorf("got %v", err)
	}
	if hint := fault.HintOf(err).String(); !strings.Contains(hint, `"name"`) || !strings.Contains(hint, "full_name") {
		t.Errorf("hint %q", hint)
	}
}

func TestNamesAndColumns(t *testing.T) {
	if got := printed(t, Printer{Format: FormatName}, people()); got != "ana\nbob\n" {
		t.Errorf("names: %q", got)
	}
	got := printed(t, Printer{Format: FormatCSV, Columns: []string{"uid", "name"}}, people())
	if got != "uid,name\n70000,ana\n7,bob\n" {
		t.Errorf("csv: %q", got)
	}
	got = printed(t, Printer{Format: FormatTable, Columns: []string{"+groups"}}, people())
	if !strings.Contains(got, "ACTIVE  GROUPS\n") || !strings.Contains(got, "web, mail") {
		t.Errorf("added column:\n%s", got)
	}
}

func TestJQ(t *testing.T) {
	for _, c := range []struct{ jq, want string }{
		{".[0].name", "ana\n"},
		{"map(.uid) | add", "70007\n"},
		{".[] | select(.active) | .groups", "[\"web\",\"mail\"]\n"},
		{".[0].full_name", "Ana \\x1b[31mGarcía\n"},
		{".[1].groups | length", "0\n"},
	} {
		if got := printed(t, Printer{JQ: c.jq}, people()); got != c.want {
			t.Errorf("%s: %q, want %q", c.jq, got, c.want)
		}
	}
	for _, bad := range []string{"[", ".name", "error(1)", "nofunction"} {
		p := Printer{Out: &bytes.Buffer{}, JQ: bad}
		if _, err := p.List(people()); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// JSON, YAML and CSV say the same of any value, and nothing that they write
// moves a cursor.
func TestFormatsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		list := rapid.SliceOf(rapid.String()).Draw(t, "list")
		number := rapid.Int64().Draw(t, "number")
		table := Table{Key: "a", Columns: []Column{{Name: "a"}, {Name: "b"}, {Name: "c", Kind: Number}}, Rows: [][]any{{text, list, number}}}
		write := func(format Format) []byte {
			var out bytes.Buffer
			p := Printer{Out: &out, Format: format}
			if _, err := p.List(table); err != nil {
				t.Fatal(err)
			}
			for _, r := range out.String() {
				if r != '\n' && r != '\t' && (r < 0x20 || r >= 0x7f && r <= 0x9f || escape.Deceives(r)) {
					t.Fatalf("%s lets %U through: %q", format, r, out.String())
				}
			}
			return out.Bytes()
		}
		type row struct {
			A string   `json:"a" yaml:"a"`
			B []string `json:"b" yaml:"b"`
			C int64    `json:"c" yaml:"c"`
		}
		var fromJSON, fromYAML []row
		if err := json.Unmarshal(write(FormatJSON), &fromJSON); err != nil {
			t.Fatal(err)
		}
		written := write(FormatYAML)
		if err := yaml.Unmarshal(written, &fromYAML); err != nil {
			t.Fatalf("%v in %q", err, written)
		}
		want := fmt.Sprintf("%#v", []row{{text, append([]string{}, list...), number}})
		if fmt.Sprintf("%#v", fromJSON) != want {
			t.Fatalf("JSON: %#v, want %s", fromJSON, want)
		}
		if fmt.Sprintf("%#v", fromYAML) != want {
			t.Fatalf("YAML: %#v, want %s, from %q", fromYAML, want, written)
		}
		records, err := csv.NewReader(bytes.NewReader(write(FormatCSV))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, cell := range records[1][:2] {
			if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
				t.Fatalf("CSV cell %q begins a formula", cell)
			}
		}
	})
}

func TestDiff(t *testing.T) {
	var got []string
	for _, line := range Diff("a\nb\nc\nd\ne\nf\n", "a\nb\nX\nd\ne\nf\nY\n", 1) {
		got = append(got, string(line.Sign)+line.Text)
	}
	if want := " b|-c|+X| d|@| f|+Y"; strings.Join(got, "|") != want {
		t.Errorf("got %s, want %s", strings.Join(got, "|"), want)
	}
	if lines := Diff("same\n", "same\n", 3); len(lines) != 0 {
		t.Errorf("equal texts differ: %v", lines)
	}
}

// Whatever the texts: the lines that are not new are the old text, in order,
// and those that are not old are the new one.
func TestDiffHoldsBothTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SampledFrom([]string{"a", "b", "c", ""})
		before := rapid.SliceOfN(line, 0, 12).Draw(t, "before")
		after := rapid.SliceOfN(line, 0, 12).Draw(t, "after")
		var old, fresh []string
		differences := middle(before, after)
		for _, l := range differences {
			if l.Sign != '+' {
				old = append(old, l.Text)
			}
			if l.Sign != '-' {
				fresh = append(fresh, l.Text)
			}
		}
		if fmt.Sprint(old) != fmt.Sprint(before) || fmt.Sprint(fresh) != fmt.Sprint(after) {
			t.Fatalf("%v", differences)
		}
	})
}

func TestWrapKeepsWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zé 密]{0,80}`).Draw(t, "text")
		columns := rapid.IntRange(8, 40).Draw(t, "columns")
		lines := Wrap(text, columns)
		for _, line := range lines {
			if Width(line) > columns {
				t.Fatalf("%q is %d wide, not %d", line, Width(line), columns)
			}
		}
		if strings.Join(strings.Fields(strings.Join(lines, "")), "") != strings.Join(strings.Fields(text), "") {
			t.Fatalf("%q became %q", text, lines)
		}
	})
}

func BenchmarkHumanTable(b *testing.B) {
	table := people()
	table.Rows = nil
	for i := range 10_000 {
		table.Rows = append(table.Rows, []any{fmt.Sprintf("user%d", i), int64(i), "Somebody", "2026-11-23T15:00:00Z", nil, true, nil})
	}
	for b.Loop() {
		p := Printer{Out: &bytes.Buffer{}, Format: FormatTable, Terminal: true, Width: 80}
		if _, err := p.List(table); err != nil {
			b.Fatal(err)
		}
	}
}

// A sentence in a table is read whole: it takes several lines, and what is
// beside it stays beside it.
func TestAWrappedColumnIsNotCut(t *testing.T) {
	table := Table{Key: "name", Columns: []Column{
		{Name: "name", Listed: true, Fixed: true}, {Name: "finding", Listed: true, Wrapped: true}, {Name: "end", Listed: true},
	}, Rows: [][]any{{"acme", "it has no contact at all", "x"}, {"b", "well", "y"}}}
	var out bytes.Buffer
	printer := Printer{Out: &out, Terminal: true, Width: 29, Format: FormatTable}
	hidden, err := printer.List(table)
	if err != nil || len(hidden) > 0 {
		t.Fatal(hidden, err)
	}
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	want := []string{"acme │ it has no │ x", "│ contact at all │", "b │ well │ y"}
	if !slices.Equal(lines[2:], want) {
		t.Errorf("%s", out.String())
	}
}

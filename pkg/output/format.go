package output

import (
	"sort"
	"strings"

	"orchestra/pkg/fault"
)

// Format is a value of the flag --output.
type Format string

// The formats. Table is for people; the others are stable for programs.
const (
	FormatTable Format = "table"
	FormatJSON  Format = "json"
	FormatYAML  Format = "yaml"
	FormatCSV   Format = "csv"
	FormatName  Format = "name"
)

// Formats returns the values of --output in the order of the help.
func Formats() []string { return []string{"table", "json", "yaml", "csv", "name"} }

// ParseFormat returns the format called text, or a fault of kind Usage.
func ParseFormat(text string) (Format, error) {
	for _, known := range Formats() {
		if text == known {
			return Format(text), nil
		}
	}
	return "", fault.New(fault.Usage, "unknown output format %q", text).About("output").
		WithHint("use one of: %s", strings.Join(Formats(), ", "))
}

// Structured tells whether programs read this format.
func (f Format) Structured() bool { return f == FormatJSON || f == FormatYAML }

// Nearest returns the known word that word was most likely meant to be, or "".
func Nearest(word string, known []string) string {
	best, distance := "", len(word)/3+2
	for _, candidate := range known {
		if candidate == word {
			return candidate
		}
		d := editDistance(word, candidate)
		if len(word) >= 3 && strings.HasPrefix(candidate, word) {
			d = 1
		}
		if d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

// editDistance is that of Damerau and Levenshtein: a swap of neighbours counts one.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64
	}
	older, old, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range old {
		old[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(old[j]+1, row[j-1]+1, old[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, old, row = old, row, older
	}
	return old[len(y)]
}

// selectColumns returns the indexes of the columns to show. wanted holds names;
// "+name" adds one to those that are shown by default.
func selectColumns(t Table, wanted []string, all bool) ([]int, error) {
	var indexes []int
	added := len(wanted) > 0
	for _, name := range wanted {
		added = added && strings.HasPrefix(name, "+")
	}
	if len(wanted) == 0 || added {
		for i, column := range t.Columns {
			if all || column.Listed {
				indexes = append(indexes, i)
			}
		}
	}
	for _, name := range wanted {
		i := t.column(strings.TrimPrefix(name, "+"))
		if i < 0 {
			return nil, unknownColumn(t, strings.TrimPrefix(name, "+"))
		}
		if !added || !contains(indexes, i) {
			indexes = append(indexes, i)
		}
	}
	return indexes, nil
}

func contains(indexes []int, i int) bool {
	for _, index := range indexes {
		if index == i {
			return true
		}
	}
	return false
}

func unknownColumn(t Table, name string) error {
	names := make([]string, len(t.Columns))
	for i, column := range t.Columns {
		names[i] = column.Name
	}
	e := fault.New(fault.Usage, "there is no column %q", name).About("columns")
	listed := append([]string(nil), names...)
	sort.Strings(listed)
	if near := Nearest(name, names); near != "" {
		return e.WithHint("did you mean %q? The columns are: %s", near, strings.Join(listed, ", "))
	}
	return e.WithHint("the columns are: %s", strings.Join(listed, ", "))
}

package output

import (
	"slices"
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
		if !added || !slices.Contains(indexes, i) {
			indexes = append(indexes, i)
		}
	}
	return indexes, nil
}

func unknownColumn(t Table, name string) error {
	names := make([]string, len(t.Columns))
	for i, column := range t.Columns {
		names[i] = column.Name
	}
	e := fault.New(fault.Usage, "there is no column %q", name).About("columns")
	listed := append([]string(nil), names...)
	sort.Strings(listed)
	if near := fault.Nearest(name, names); near != "" {
		return e.WithHint("did you mean %q? The columns are: %s", near, strings.Join(listed, ", "))
	}
	return e.WithHint("the columns are: %s", strings.Join(listed, ", "))
}

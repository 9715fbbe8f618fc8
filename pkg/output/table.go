package output

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Kind says how the values of a column are shown.
type Kind int

// The kinds of columns.
const (
	Text   Kind = iota
	Number      // to the right
	Time        // relative on a terminal, RFC 3339 in UTC elsewhere
)

// Column is one column of a Table.
type Column struct {
	Name   string // as in --columns and JSON: snake_case
	Kind   Kind
	Listed bool // shown by default
	// Fixed columns are never cut on a terminal: the name that people type.
	Fixed bool
	// Wrapped columns take several lines on a terminal instead of being cut:
	// sentences, and values of which the end matters.
	Wrapped bool
}

// Table is what a question is answered with. Cells are string, int64, bool,
// []string, time.Time, nil, or anything that encoding/json can write.
type Table struct {
	Columns []Column
	Rows    [][]any
	// Key is the name of the column that `-o name` prints.
	Key string
}

func (t Table) column(name string) int {
	for i, column := range t.Columns {
		if column.Name == name {
			return i
		}
	}
	return -1
}

// record returns a row as an object for programs.
func (t Table) record(row []any, indexes []int) Record {
	record := make(Record, 0, len(indexes))
	for _, i := range indexes {
		record = append(record, Member{t.Columns[i].Name, plain(row[i])})
	}
	return record
}

// plain returns a value as programs are told it.
func plain(value any) any {
	switch v := value.(type) {
	case time.Time:
		if v.IsZero() {
			return nil
		}
		return v.UTC().Format(time.RFC3339)
	case time.Duration:
		return v.Seconds()
	case []string:
		if v == nil {
			return []string{}
		}
	}
	return value
}

// cell returns a value as people read it, not yet escaped.
func cell(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	case []string:
		return strings.Join(v, ", ")
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339)
	case time.Duration:
		return Duration(v)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	return string(text)
}

// humanCell is cell for a terminal: times are relative to now.
func (p *Printer) humanCell(value any, kind Kind, now time.Time) string {
	if kind == Time {
		switch v := value.(type) {
		case time.Time:
			if v.IsZero() {
				return ""
			}
			return Relative(v, now).In(p.Language)
		case string:
			if parsed, err := time.Parse(time.RFC3339, v); err == nil {
				return Relative(parsed, now).In(p.Language)
			}
		}
	}
	return cell(value)
}

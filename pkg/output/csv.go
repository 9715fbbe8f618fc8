package output

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// writeCSV writes a header and the rows as RFC 4180 has it, with \n as the end
// of lines. A text that a spreadsheet would take for a formula gets an
// apostrophe in front; numbers are numbers.
func writeCSV(out io.Writer, t Table, indexes []int) error {
	writer := csv.NewWriter(out)
	line := make([]string, len(indexes))
	for n, i := range indexes {
		line[n] = t.Columns[i].Name
	}
	if err := writer.Write(line); err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}
	for _, row := range t.Rows {
		for n, i := range indexes {
			switch v := row[i].(type) {
			case int64, int:
				line[n] = cell(v)
			default:
				line[n] = csvText(cell(v))
			}
		}
		if err := writer.Write(line); err != nil {
			return fmt.Errorf("writing CSV: %w", err)
		}
	}
	writer.Flush()
	return writer.Error()
}

// csvText disarms a text: spreadsheets skip spaces and control characters
// before they look for the sign of a formula.
func csvText(text string) string {
	text = EscapeLines(text)
	if trimmed := strings.TrimLeft(text, " \t\n\u00a0"); trimmed != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(trimmed)[0]) {
		return "'" + text
	}
	return text
}

// writeNames writes the value of the key column of each row on a line.
func writeNames(out io.Writer, t Table) error {
	key := t.column(t.Key)
	if key < 0 {
		return fmt.Errorf("table without its key column %q", t.Key)
	}
	for _, row := range t.Rows {
		if _, err := fmt.Fprintln(out, Escape(cell(row[key]))); err != nil {
			return err
		}
	}
	return nil
}

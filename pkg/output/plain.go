package output

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// writePlain writes a table for pipes: a header, columns aligned with two
// spaces between them, nothing cut, nothing relative, no empty cell ("-").
func writePlain(out io.Writer, t Table, indexes []int) error {
	widths := make([]int, len(indexes))
	header := make([]string, len(indexes))
	for n, i := range indexes {
		header[n] = strings.ToUpper(t.Columns[i].Name)
		widths[n] = Width(header[n])
	}
	lines := make([][]string, len(t.Rows))
	for r, row := range t.Rows {
		lines[r] = make([]string, len(indexes))
		for n, i := range indexes {
			text := Escape(cell(row[i]))
			if text == "" {
				text = "-"
			}
			lines[r][n] = text
			widths[n] = max(widths[n], Width(text))
		}
	}
	var line strings.Builder
	write := func(cells []string) error {
		line.Reset()
		for n, text := range cells {
			pad := strings.Repeat(" ", widths[n]-Width(text))
			switch last := n == len(cells)-1; {
			case t.Columns[indexes[n]].Kind == Number:
				line.WriteString(pad)
				line.WriteString(text)
				if !last {
					line.WriteString("  ")
				}
			case last:
				line.WriteString(text)
			default:
				line.WriteString(text)
				line.WriteString(pad)
				line.WriteString("  ")
			}
		}
		_, err := fmt.Fprintln(out, line.String())
		return err
	}
	if err := write(header); err != nil {
		return err
	}
	for _, cells := range lines {
		if err := write(cells); err != nil {
			return err
		}
	}
	return nil
}

// width returns how many columns text takes on a terminal.
func Width(text string) int {
	for i := 0; i < len(text); i++ {
		if text[i] >= 0x80 {
			return runewidth.StringWidth(text)
		}
	}
	return len(text)
}

// Cut returns text in at most columns columns, with … where something is missing.
func Cut(text string, columns int) string {
	if Width(text) <= columns {
		return text
	}
	return runewidth.Truncate(text, columns, "…")
}

// Wrap breaks text at spaces into lines of at most columns columns. Words that
// are longer are broken where they must be. Line ends in text stay.
func Wrap(text string, columns int) []string {
	columns = max(columns, 8)
	var lines []string
	for _, paragraph := range strings.Split(text, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			for Width(word) > columns {
				if line != "" {
					lines = append(lines, line)
					line = ""
				}
				head := runewidth.Truncate(word, columns, "")
				if head == "" {
					break
				}
				lines = append(lines, head)
				word = word[len(head):]
			}
			switch {
			case line == "":
				line = word
			case Width(line)+1+Width(word) <= columns:
				line += " " + word
			default:
				lines = append(lines, line)
				line = word
			}
		}
		lines = append(lines, line)
	}
	return lines
}

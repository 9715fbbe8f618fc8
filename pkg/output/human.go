package output

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

const (
	columnGap = 3  // what stands between two columns: space, line, space
	minColumn = 6  // no column is cut below this
	minText   = 10 // and none that is wrapped
)

// humanTable writes a table that fits the terminal: long cells are cut, then
// columns at the right are left out. It returns the names of those.
func (p *Printer) humanTable(out io.Writer, t Table, indexes []int) ([]string, error) {
	now := p.now()
	natural := make([]int, len(indexes))
	cells := make([][]string, len(t.Rows))
	for n, i := range indexes {
		natural[n] = Width(title(t.Columns[i].Name))
	}
	for r, row := range t.Rows {
		cells[r] = make([]string, len(indexes))
		for n, i := range indexes {
			cells[r][n] = Escape(p.humanCell(row[i], t.Columns[i].Kind, now))
			natural[n] = max(natural[n], Width(cells[r][n]))
		}
	}
	least := make([]int, len(indexes))
	for n, i := range indexes {
		switch column := t.Columns[i]; {
		case column.Fixed || column.Kind == Number:
			least[n] = natural[n]
		case column.Wrapped:
			least[n] = min(minText, natural[n])
		default:
			least[n] = min(minColumn, natural[n])
		}
	}
	widths := fit(natural, least, p.Width)
	var hidden []string
	for n := len(widths); n < len(indexes); n++ {
		hidden = append(hidden, t.Columns[indexes[n]].Name)
	}

	table := tablewriter.NewTable(out,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone,
			Symbols: tw.NewSymbols(tw.StyleLight),
			Settings: tw.Settings{
				Separators: tw.Separators{BetweenRows: tw.Off, BetweenColumns: tw.On, ShowHeader: tw.On},
				Lines:      tw.Lines{ShowHeaderLine: tw.On, ShowTop: tw.Off, ShowBottom: tw.Off},
			},
		})),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithHeaderAlignment(tw.AlignLeft),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: alignments(t, indexes[:len(widths)])}),
	)
	header := make([]string, len(widths))
	for n := range widths {
		header[n] = p.Paint.Bold(Cut(title(t.Columns[indexes[n]].Name), widths[n]))
	}
	table.Header(header)
	for _, row := range cells {
		for _, line := range lines(t, indexes, row, widths) {
			if err := table.Append(line); err != nil {
				return nil, fmt.Errorf("writing a table: %w", err)
			}
		}
	}
	if err := table.Render(); err != nil {
		return nil, fmt.Errorf("writing a table: %w", err)
	}
	return hidden, nil
}

// lines returns a row as the lines that it takes.
func lines(t Table, indexes []int, row []string, widths []int) [][]string {
	columns := make([][]string, len(widths))
	high := 1
	for n := range widths {
		columns[n] = []string{Cut(row[n], widths[n])}
		if t.Columns[indexes[n]].Wrapped && Width(row[n]) > widths[n] {
			columns[n] = Wrap(row[n], widths[n])
		}
		high = max(high, len(columns[n]))
	}
	all := make([][]string, high)
	for i := range all {
		all[i] = make([]string, len(widths))
		for n := range widths {
			if i < len(columns[n]) {
				all[i][n] = columns[n][i]
			}
		}
	}
	return all
}

func (p *Printer) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

func alignments(t Table, indexes []int) []tw.Align {
	aligns := make([]tw.Align, len(indexes))
	for n, i := range indexes {
		aligns[n] = tw.AlignLeft
		if t.Columns[i].Kind == Number {
			aligns[n] = tw.AlignRight
		}
	}
	return aligns
}

// title is a column's name as people read it.
func title(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "_", " "))
}

// fit returns widths for the columns, none below its least one, so that a line
// takes at most total columns. The widest give first; a column at the right is left out only when
// none can give more. total 0 means that there is no limit.
func fit(natural, least []int, total int) []int {
	widths := append([]int(nil), natural...)
	if total <= 0 {
		return widths
	}
	for len(widths) > 0 {
		taken := 2 + columnGap*(len(widths)-1)
		for _, w := range widths {
			taken += w
		}
		for taken > total {
			widest := -1
			for n, w := range widths {
				if w > least[n] && (widest < 0 || w > widths[widest]) {
					widest = n
				}
			}
			if widest < 0 {
				break
			}
			widths[widest]--
			taken--
		}
		if taken <= total || len(widths) == 1 {
			break
		}
		widths = append([]int(nil), natural[:len(widths)-1]...)
	}
	return widths
}

// fields writes one object, a line a field: on a terminal with wrapped values,
// in a pipe "name  value" with nothing cut.
func (p *Printer) fields(out io.Writer, t Table, indexes []int) error {
	now, row := p.now(), t.Rows[0]
	longest := 0
	for _, i := range indexes {
		longest = max(longest, Width(t.Columns[i].Name))
	}
	for _, i := range indexes {
		name := t.Columns[i].Name
		pad := strings.Repeat(" ", longest-Width(name)+2)
		if !p.Terminal {
			value := Escape(cell(row[i]))
			if value == "" {
				value = "-"
			}
			if _, err := fmt.Fprintf(out, "%s%s%s\n", name, pad, value); err != nil {
				return err
			}
			continue
		}
		value := EscapeLines(cell(row[i]))
		if t.Columns[i].Kind == Time && value != "" {
			if relative := p.humanCell(row[i], Time, now); relative != value {
				value += " (" + relative + ")"
			}
		}
		label := strings.ReplaceAll(name, "_", " ")
		lines := Wrap(value, max(p.Width-longest-2, 20))
		for len(lines) > 1 && lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		for n, line := range lines {
			lead := p.Paint.Dim(label) + pad
			if n > 0 {
				lead = strings.Repeat(" ", longest+2)
			}
			if line == "" && n == 0 {
				line = p.Paint.Dim("-")
			}
			if _, err := fmt.Fprintln(out, strings.TrimRight(lead+line, " ")); err != nil {
				return err
			}
		}
	}
	return nil
}

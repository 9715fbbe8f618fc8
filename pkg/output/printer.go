package output

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"orchestra/pkg/fault"
)

// Printer writes the answer of a command to standard output.
type Printer struct {
	Out      io.Writer
	Terminal bool
	Width    int // of the terminal; 0 where Out is none
	Format   Format
	Columns  []string // of --columns; empty for the default
	JQ       string   // of --jq; "" for none
	Paint    Painter
	Now      func() time.Time
	Language string // of relative times; "" is English
}

// List writes many rows. It returns the columns that did not fit on the terminal.
func (p *Printer) List(t Table) (hidden []string, err error) {
	if p.JQ != "" {
		indexes, err := selectColumns(t, p.Columns, true)
		if err != nil {
			return nil, err
		}
		records := make([]Record, len(t.Rows))
		for i, row := range t.Rows {
			records[i] = t.record(row, indexes)
		}
		return nil, p.query(records)
	}
	indexes, err := selectColumns(t, p.Columns, p.Format != FormatTable)
	if err != nil {
		return nil, err
	}
	out := bufio.NewWriterSize(p.Out, 64<<10)
	switch p.Format {
	case FormatJSON:
		err = p.listJSON(out, t, indexes)
	case FormatYAML:
		records := make([]Record, len(t.Rows))
		for i, row := range t.Rows {
			records[i] = t.record(row, indexes)
		}
		err = writeYAML(out, records)
	case FormatCSV:
		err = writeCSV(out, t, indexes)
	case FormatName:
		err = writeNames(out, t)
	default:
		if p.Terminal {
			hidden, err = p.humanTable(out, t, indexes)
		} else {
			err = writePlain(out, t, indexes)
		}
	}
	if err != nil {
		return nil, err
	}
	return hidden, out.Flush()
}

// Show writes the one row of t, one line a field.
func (p *Printer) Show(t Table) error {
	if len(t.Rows) != 1 {
		return fmt.Errorf("showing %d rows as one", len(t.Rows))
	}
	indexes, err := selectColumns(t, p.Columns, true)
	if err != nil {
		return err
	}
	record := t.record(t.Rows[0], indexes)
	if p.JQ != "" {
		return p.query(record)
	}
	out := bufio.NewWriter(p.Out)
	switch p.Format {
	case FormatJSON:
		err = writeJSON(out, record)
	case FormatYAML:
		err = writeYAML(out, record)
	case FormatCSV:
		err = writeCSV(out, t, indexes)
	case FormatName:
		err = writeNames(out, t)
	default:
		err = p.fields(out, t, indexes)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// Document writes an answer that is no table: document for programs, human for
// people. rows are its tabular form for csv and name, nil where it has none.
func (p *Printer) Document(document any, rows *Table, human func(io.Writer) error) error {
	if p.JQ != "" {
		return p.query(document)
	}
	out := bufio.NewWriter(p.Out)
	var err error
	switch {
	case p.Format == FormatJSON:
		err = writeJSON(out, document)
	case p.Format == FormatYAML:
		err = writeYAML(out, document)
	case p.Format == FormatCSV && rows != nil:
		var indexes []int
		if indexes, err = selectColumns(*rows, p.Columns, true); err == nil {
			err = writeCSV(out, *rows, indexes)
		}
	case p.Format == FormatName && rows != nil:
		err = writeNames(out, *rows)
	case p.Format == FormatTable:
		err = human(out)
	default:
		return fault.New(fault.Usage, "this command has no output as %s", string(p.Format)).About("output").
			WithHint("use one of: %s", "table, json, yaml")
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

func (p *Printer) listJSON(out *bufio.Writer, t Table, indexes []int) error {
	if len(t.Rows) == 0 {
		_, err := out.WriteString("[]\n")
		return err
	}
	opening := "[\n  "
	for _, row := range t.Rows {
		text, err := encodeJSON(t.record(row, indexes), "  ")
		if err != nil {
			return err
		}
		if _, err := out.WriteString(opening); err != nil {
			return err
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
		opening = ",\n  "
	}
	_, err := out.WriteString("\n]\n")
	return err
}

func writeJSON(out io.Writer, value any) error {
	text, err := encodeJSON(value, "")
	if err != nil {
		return err
	}
	_, err = out.Write(append(text, '\n'))
	return err
}

// JSON returns value as one line of JSON that a terminal may be shown.
func JSON(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	return escapeJSON(bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))), nil
}

func encodeJSON(value any, prefix string) ([]byte, error) {
	text, err := JSON(value)
	if err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	if err := json.Indent(&buffer, text, prefix, "  "); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	return buffer.Bytes(), nil
}

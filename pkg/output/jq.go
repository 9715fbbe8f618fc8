package output

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/itchyny/gojq"

	"orchestra/pkg/fault"
)

// query runs the expression of --jq over document and writes each result on a
// line: texts as they are (control characters escaped), the rest as JSON.
func (p *Printer) query(document any) error {
	parsed, err := gojq.Parse(p.JQ)
	if err != nil {
		return fault.New(fault.Usage, "the expression of --jq cannot be read").About("jq").Because(err).
			WithHint("try it with: %s", "-o json | jq")
	}
	code, err := gojq.Compile(parsed)
	if err != nil {
		return fault.New(fault.Usage, "the expression of --jq cannot be read").About("jq").Because(err)
	}
	input, err := generic(document)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(p.Out)
	results := code.Run(input)
	for {
		result, more := results.Next()
		if !more {
			return out.Flush()
		}
		if failed, is := result.(error); is {
			_ = out.Flush()
			return fault.New(fault.Usage, "the expression of --jq failed").About("jq").Because(failed)
		}
		if text, is := result.(string); is {
			result = nil
			if _, err := fmt.Fprintln(out, EscapeLines(text)); err != nil {
				return err
			}
			continue
		}
		text, err := JSON(result)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s\n", text); err != nil {
			return err
		}
	}
}

// CheckJQ refuses an expression that cannot be compiled, before any work is done.
func CheckJQ(expression string) error {
	_, err := gojq.Parse(expression)
	if err != nil {
		return fault.New(fault.Usage, "the expression of --jq cannot be read").About("jq").Because(err)
	}
	return nil
}

// generic returns document as gojq wants it: maps, slices, strings, float64,
// int and big.Int.
func generic(document any) (any, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("reading JSON back: %w", err)
	}
	return numbers(value), nil
}

func numbers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			v[key] = numbers(item)
		}
	case []any:
		for i, item := range v {
			v[i] = numbers(item)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return int(n)
		}
		if n, ok := new(big.Int).SetString(v.String(), 10); ok {
			return n
		}
		f, err := v.Float64()
		if err == nil {
			return f
		}
	}
	return value
}

package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// writeYAML writes what JSON says of value, in the same order, as YAML.
func writeYAML(out io.Writer, value any) error {
	text, err := JSON(value)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	node, err := yamlNode(decoder)
	if err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	var buffer bytes.Buffer
	encoder := yaml.NewEncoder(&buffer)
	encoder.SetIndent(2)
	if err := encoder.Encode(node); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	_, err = out.Write(escapeYAML(buffer.Bytes()))
	return err
}

// escapeYAML rewrites deceiving characters, which stand within double quotes:
// yamlNode sees to that.
func escapeYAML(text []byte) []byte {
	return escapeRunes(text, func(out []byte, r rune) []byte {
		if r > 0xffff {
			return fmt.Appendf(out, `\U%08x`, r)
		}
		return fmt.Appendf(out, `\u%04x`, r)
	})
}

// errEnd is the closing delimiter of what yamlNode reads.
var errEnd = errors.New("end")

func yamlNode(decoder *json.Decoder) (*yaml.Node, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		node := &yaml.Node{Kind: yaml.SequenceNode}
		switch v {
		case '{':
			node.Kind = yaml.MappingNode
		case '[':
		default:
			return nil, errEnd
		}
		for {
			item, err := yamlNode(decoder)
			if errors.Is(err, errEnd) {
				break
			} else if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, item)
		}
		if len(node.Content) == 0 {
			node.Style = yaml.FlowStyle
		}
		return node, nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}, nil
	case string:
		// What the encoder would write as a block must not begin with white space:
		// it then cannot be read again (it marks no indentation for a tab).
		if strings.ContainsAny(v, "\t\r\n") && strings.TrimLeft(v, " \t\r\n") != v {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: v}, nil
		}
		node := &yaml.Node{}
		if err := node.Encode(v); err != nil {
			return nil, err
		}
		// The emitter escapes what is not printable, and only within double
		// quotes; deceiving characters it would let through.
		if Escape(v) != strings.ReplaceAll(v, "\n", `\n`) {
			node.Style = yaml.DoubleQuotedStyle
			node.Value = v
		}
		return node, nil
	default:
		node := &yaml.Node{}
		return node, node.Encode(v)
	}
}

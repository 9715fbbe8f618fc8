package cli

import (
	"strings"

	"orchestra/pkg/noun"
)

// exampleValue returns a value for a field in help.
func exampleValue(n *noun.Noun, field noun.Field) string {
	switch {
	case field.Example != "":
		return field.Example
	case field.Reference == "account":
		return "acme"
	case field.Reference != "":
		return field.Reference + "1"
	case field.Name == n.Key:
		return n.Name + "1"
	}
	if chooser, is := field.Type.(noun.Chooser); is && len(chooser.Choices()) > 0 {
		return chooser.Choices()[0]
	}
	return placeholder(field)
}

// verbExample returns the example of a derived verb, a full command line.
func verbExample(n *noun.Noun, verb string) string {
	key, _ := n.Field(n.Key)
	name := exampleValue(n, key)
	words := []string{"orchestra", n.Name, verb}
	switch verb {
	case "list":
		return strings.Join(append(words, "-o", "json"), " ")
	case "show", "enable", "delete":
		return quoteWords(append(words, name))
	case "disable":
		return quoteWords(append(words, name, "--reason", "unpaid"))
	case "move":
		placement, _ := n.Placement()
		return quoteWords(append(words, name, "--on", exampleValue(n, placement)))
	}
	words = append(words, name)
	set := verb == "set"
	if !set {
		for _, positional := range n.Positional {
			field, _ := n.Field(positional)
			words = append(words, exampleValue(n, field))
		}
	}
	optional := 0
	for _, field := range n.Fields {
		if !field.Settable() || field.Name == n.Key || field.Secret != nil || !set && isPositional(n, field.Name) {
			continue
		}
		required := field.Required && field.Default == nil
		switch {
		case set && (field.Immutable || field.Required || field.Reference != "" || optional >= 1):
			continue
		case !set && !required && (field.Example == "" || optional >= 1 || field.Reference != ""):
			continue
		}
		if !required {
			optional++
		}
		if words = append(words, "--"+field.Flag()); field.Holds() != noun.HoldsBoolean {
			words = append(words, exampleValue(n, field))
		}
	}
	return quoteWords(words)
}

func isPositional(n *noun.Noun, field string) bool {
	for _, name := range n.Positional {
		if name == field {
			return true
		}
	}
	return false
}

// quoteWords joins words so that a shell splits them again into the same.
func quoteWords(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if word == "" || strings.ContainsAny(word, " \t\n'\"\\$`&|;<>()*?[]{}~#!") {
			quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

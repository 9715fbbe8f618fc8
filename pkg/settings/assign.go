package settings

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"orchestra/pkg/fault"
)

// assign gives a setting the value that a file holds (text, number, yes or no,
// list) or that a variable or flag says (always text).
func (s *Settings) assign(k key, value any) error {
	converted, err := convert(k.bind(s), value)
	if err != nil {
		return err
	}
	if k.check != nil {
		if err := k.check(converted); err != nil {
			return err
		}
	}
	switch pointer := k.bind(s).(type) {
	case *string:
		*pointer = converted.(string)
	case *[]string:
		*pointer = converted.([]string)
	case *int:
		*pointer = converted.(int)
	case *int64:
		*pointer = converted.(int64)
	case *bool:
		*pointer = converted.(bool)
	case *time.Duration:
		*pointer = converted.(time.Duration)
	}
	return nil
}

// convert returns value in the type that pointer points to.
func convert(pointer, value any) (any, error) {
	switch pointer.(type) {
	case *string:
		if text, ok := value.(string); ok {
			return text, plain(text)
		}
		return nil, fault.New(fault.Invalid, "this is to be a text in quotes")
	case *[]string:
		return list(value)
	case *int:
		number, err := integer(value)
		if number > math.MaxInt32 || number < math.MinInt32 {
			return nil, fault.New(fault.Invalid, "this is to be a whole number")
		}
		return int(number), err
	case *int64:
		return integer(value)
	case *bool:
		switch value {
		case true, "true", "yes", "on", "1":
			return true, nil
		case false, "false", "no", "off", "0":
			return false, nil
		}
		return nil, fault.New(fault.Invalid, "this is to be true or false")
	default: // *time.Duration
		if text, ok := value.(string); ok {
			if span, err := time.ParseDuration(text); err == nil {
				return span, nil
			}
		}
		return nil, fault.New(fault.Invalid, "this is to be a time such as \"30s\" or \"5m\"")
	}
}

func integer(value any) (int64, error) {
	switch value := value.(type) {
	case int64:
		return value, nil
	case string:
		if number, err := strconv.ParseInt(value, 10, 64); err == nil {
			return number, nil
		}
	}
	return 0, fault.New(fault.Invalid, "this is to be a whole number")
}

// list takes an array, or text separated by commas; an empty text is no list.
func list(value any) ([]string, error) {
	var elements []string
	switch value := value.(type) {
	case string:
		for element := range strings.SplitSeq(value, ",") {
			elements = append(elements, element)
		}
	case []any:
		for _, element := range value {
			text, ok := element.(string)
			if !ok {
				return nil, fault.New(fault.Invalid, "this is to be a list of texts in quotes")
			}
			elements = append(elements, text)
		}
	default:
		return nil, fault.New(fault.Invalid, "this is to be a list of texts in quotes")
	}
	kept := []string{}
	for _, element := range elements {
		if element = strings.TrimSpace(element); element == "" {
			continue
		}
		if err := plain(element); err != nil {
			return nil, err
		}
		kept = append(kept, element)
	}
	return kept, nil
}

// plain refuses what would break a line where settings are shown or passed on.
func plain(text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return fault.New(fault.Invalid, "this holds a control character")
	}
	return nil
}

// format returns a setting as it is written in the file.
func format(pointer any) string {
	switch pointer := pointer.(type) {
	case *string:
		return strconv.Quote(*pointer)
	case *[]string:
		quoted := make([]string, len(*pointer))
		for i, element := range *pointer {
			quoted[i] = strconv.Quote(element)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case *int:
		return strconv.Itoa(*pointer)
	case *int64:
		return strconv.FormatInt(*pointer, 10)
	case *bool:
		return strconv.FormatBool(*pointer)
	case *time.Duration:
		return strconv.Quote(pointer.String())
	}
	return ""
}

package runtime

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable makes text of unknown origin safe for terminals and JSON: what is
// not UTF-8, controls the terminal or turns the direction of writing is shown as \xNN or \u{N}.
func printable(text string) string {
	if isPrintable(text) {
		return text
	}
	var out strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				fmt.Fprintf(&out, `\x%02x`, text[i])
			} else {
				out.WriteRune(r)
			}
		case isPlain(r):
			out.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&out, `\x%02x`, r)
		default:
			fmt.Fprintf(&out, `\u{%x}`, r)
		}
	}
	return out.String()
}

func isPrintable(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if !isPlain(r) {
			return false
		}
	}
	return true
}

func isPlain(r rune) bool {
	if r == '\n' || r == '\t' {
		return true
	}
	return !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r)
}

// Output of a child is kept up to this many bytes: its beginning and its end.
const (
	outputHead = 32 << 10
	outputTail = 32 << 10
)

// capped keeps the head and the tail of what is written to it.
type capped struct {
	head, tail []byte
	dropped    int
}

// Write implements io.Writer.
func (c *capped) Write(data []byte) (int, error) {
	size := len(data)
	if free := outputHead - len(c.head); free > 0 {
		n := min(free, len(data))
		c.head, data = append(c.head, data[:n]...), data[n:]
	}
	if len(data) >= outputTail {
		c.dropped += len(c.tail) + len(data) - outputTail
		c.tail = append(c.tail[:0], data[len(data)-outputTail:]...)
		return size, nil
	}
	if over := len(c.tail) + len(data) - outputTail; over > 0 {
		c.dropped += over
		c.tail = c.tail[:copy(c.tail, c.tail[over:])]
	}
	c.tail = append(c.tail, data...)
	return size, nil
}

// String returns what was kept.
func (c *capped) String() string {
	if c.dropped == 0 {
		return string(c.head) + string(c.tail)
	}
	return fmt.Sprintf("%s\n[… %d bytes left out …]\n%s", c.head, c.dropped, c.tail)
}

// redact removes secrets from text.
func redact(text string, secrets []string) string {
	for _, secret := range secrets {
		// A very short one would only mark where it is.
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "[secret]")
		}
	}
	return text
}

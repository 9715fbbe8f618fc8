package runtime

import (
	"fmt"
	"io"
	"strings"

	"orchestra/pkg/escape"
)

// printable makes text of unknown origin safe for terminals and JSON.
func printable(text string) string { return escape.Lines(text) }

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

// leastSecret is how long a secret must be to be looked for: a shorter one would
// only mark where it is.
const leastSecret = 4

const redacted = "[secret]"

// redact removes secrets from text.
func redact(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= leastSecret {
			text = strings.ReplaceAll(text, secret, redacted)
		}
	}
	return text
}

// redactor removes secrets from what is written to it, before it is capped: else
// half of one could be left where the middle is cut out.
type redactor struct {
	out      io.Writer
	replacer *strings.Replacer
	longest  int
	held     []byte // may end in the beginning of a secret
}

func newRedactor(out io.Writer, secrets []string) *redactor {
	r := &redactor{out: out}
	var pairs []string
	for _, secret := range secrets {
		if len(secret) >= leastSecret {
			pairs, r.longest = append(pairs, secret, redacted), max(r.longest, len(secret))
		}
	}
	if len(pairs) > 0 {
		r.replacer = strings.NewReplacer(pairs...)
	}
	return r
}

// Write implements io.Writer.
func (r *redactor) Write(data []byte) (int, error) {
	if r.replacer == nil {
		return r.out.Write(data)
	}
	r.held = []byte(r.replacer.Replace(string(r.held) + string(data)))
	if keep := r.longest - 1; len(r.held) > keep {
		if _, err := r.out.Write(r.held[:len(r.held)-keep]); err != nil {
			return 0, err
		}
		r.held = append([]byte(nil), r.held[len(r.held)-keep:]...)
	}
	return len(data), nil
}

// flush writes what was held back.
func (r *redactor) flush() {
	_, _ = r.out.Write(r.held)
	r.held = nil
}

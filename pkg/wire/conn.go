package wire

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The form of a frame: magic, length of the word (1 byte), length of the
// content (4 bytes, big-endian), word, content (JSON), SHA-256 of all before it.
//
// The magic holds a byte that no text has and a CR LF, so that noise is not
// taken for a frame and a terminal in between, which rewrites line ends, is found out.
const (
	magic      = "\x8bORCH1\r\n"
	headerSize = len(magic) + 1 + 4

	// MaxPayload is the largest content of a frame, in bytes.
	MaxPayload = 64 << 20
	// MaxNoise is how much of something else, such as the output of a .bashrc,
	// may come before the first frame, in bytes.
	MaxNoise = 64 << 10

	maxWord = 32
)

// Errors of a connection. Each is final: after it nothing can be received.
var (
	ErrBroken = errors.New("what it sent was cut off or damaged")
	ErrNoise  = errors.New("no frame in what the other side said")
	// ErrUnsent is no end of the connection: a word could not be encoded, and
	// nothing of it was sent.
	ErrUnsent = errors.New("it can't be sent")
)

// Frame is one word with its content.
type Frame struct {
	Word    Word
	Payload json.RawMessage
	parts   []Part // that came before it
}

// Decode reads the content into v. An unknown field, a missing content or
// something after it is an error: both sides are of the same version.
func (f Frame) Decode(v any) error {
	decoder := json.NewDecoder(bytes.NewReader(f.Payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return fmt.Errorf("content of %s: %w", f.Word, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("content of %s: something after its end", f.Word)
	}
	return f.join(v)
}

// Conn speaks frames over two streams. Send and Receive may be called at the
// same time; Send by several callers, Receive by one.
type Conn struct {
	reader *bufio.Reader
	noise  int  // how much may be skipped before the first frame
	begun  bool // a frame has been received
	failed error
	// What came of a word that has parts, and how much may come, in bytes; only
	// a server takes any.
	parts     []Part
	partsSize int
	most      int

	dividing turn // taken for a word with its parts
	sending  turn // taken for a frame
	writer   io.Writer
	broken   error
}

// turn is a lock that a writer may hold for as long as the other side does not
// read. Who waits for it stands at a channel, which a simulated clock (package
// synctest) takes for waiting; it stands still while somebody waits for a mutex.
type turn chan struct{}

func (t turn) take() { t <- struct{}{} }
func (t turn) give() { <-t }

// NewConn returns the server's side of a connection: its input must be frames
// from the first byte on.
func NewConn(r io.Reader, w io.Writer) *Conn {
	return &Conn{reader: bufio.NewReaderSize(r, 64<<10), writer: w, most: MaxSteps, dividing: make(turn, 1), sending: make(turn, 1)}
}

// NewPanelConn returns the panel's side: up to MaxNoise bytes before the first
// frame are skipped, since a login shell may print something of its own.
func NewPanelConn(r io.Reader, w io.Writer) *Conn {
	conn := NewConn(r, w)
	conn.noise, conn.most = MaxNoise, 0
	return conn
}

// Send says word. payload is encoded as JSON; nil is sent as {}. What is too
// large for one frame goes before it in parts: heartbeats may come in between.
func (c *Conn) Send(word Word, payload any) error {
	rest, parts, err := divide(payload)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnsent, word, err)
	}
	if len(parts) > 0 {
		c.dividing.take()
		defer c.dividing.give()
	}
	for _, part := range parts {
		if err := c.send(WordPart, part); err != nil {
			return err
		}
	}
	return c.send(word, rest)
}

// send says one frame.
func (c *Conn) send(word Word, payload any) error {
	if payload == nil {
		payload = struct{}{}
	}
	content, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("%w: encode %s: %w", ErrUnsent, word, err)
	}
	frame, err := appendFrame(nil, word, content)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsent, err)
	}
	c.sending.take()
	defer c.sending.give()
	if c.broken != nil {
		return c.broken
	}
	if _, err := c.writer.Write(frame); err != nil {
		// Part of the frame may be out: whatever followed would be read as its rest.
		c.broken = fmt.Errorf("send %s: %w", word, err)
		return c.broken
	}
	return nil
}

// Receive returns the next whole word; io.EOF where the input ended between
// two frames. Any other error is final. Parts are kept for their word, whose
// Decode puts them back and refuses one that has not all of them.
func (c *Conn) Receive() (Frame, error) {
	if c.failed != nil {
		return Frame{}, c.failed
	}
	for {
		frame, err := c.receive()
		if err == io.EOF && len(c.parts) > 0 {
			err = broken("parts", err)
		}
		if err == nil && frame.Word == WordPart {
			err = c.takePart(frame)
		}
		if err != nil {
			c.failed = err
			return Frame{}, err
		}
		c.begun = true
		switch frame.Word {
		case WordPart:
			continue
		case WordHeartbeat: // may come in between
		default:
			frame.parts, c.parts, c.partsSize = c.parts, nil, 0
		}
		return frame, nil
	}
}

func (c *Conn) receive() (Frame, error) {
	if !c.begun && c.noise > 0 {
		if err := c.skipNoise(); err != nil {
			return Frame{}, err
		}
	}
	hash := sha256.New()
	header := make([]byte, headerSize)
	if n, err := io.ReadFull(c.reader, header); err != nil {
		if n == 0 && err == io.EOF {
			return Frame{}, io.EOF
		}
		return Frame{}, broken("header", err)
	}
	if string(header[:len(magic)]) != magic {
		return Frame{}, fmt.Errorf("%w: it does not begin as a frame does", ErrBroken)
	}
	hash.Write(header)
	wordSize := int(header[len(magic)])
	size := binary.BigEndian.Uint32(header[len(magic)+1:])
	if wordSize == 0 || wordSize > maxWord || size > MaxPayload {
		return Frame{}, fmt.Errorf("%w: impossible lengths %d and %d", ErrBroken, wordSize, size)
	}
	body, err := readSize(c.reader, wordSize+int(size))
	if err != nil {
		return Frame{}, broken("content", err)
	}
	if Word(body[:wordSize]) == WordPart && (c.most == 0 || size > maxPart) {
		return Frame{}, fmt.Errorf("%w: a part of %d bytes", ErrBroken, size)
	}
	hash.Write(body)
	sum := make([]byte, sha256.Size)
	if _, err := io.ReadFull(c.reader, sum); err != nil {
		return Frame{}, broken("hash", err)
	}
	if !bytes.Equal(sum, hash.Sum(nil)) {
		return Frame{}, fmt.Errorf("%w: its hash differs", ErrBroken)
	}
	return Frame{Word: Word(body[:wordSize]), Payload: body[wordSize:]}, nil
}

// skipNoise reads up to the first magic, which it leaves unread.
func (c *Conn) skipNoise() error {
	for skipped := 0; ; skipped++ {
		head, err := c.reader.Peek(len(magic))
		if string(head) == magic {
			return nil
		}
		if err != nil {
			if err == io.EOF && skipped+len(head) > 0 {
				return fmt.Errorf("%w: %w", ErrNoise, io.ErrUnexpectedEOF)
			}
			return err
		}
		if skipped >= c.noise {
			return ErrNoise
		}
		if _, err := c.reader.Discard(1); err != nil {
			return err
		}
	}
}

func broken(part string, err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %s: %w", ErrBroken, part, err)
}

// readSize reads size bytes, taking memory only as they come: a length alone
// costs nothing.
func readSize(r io.Reader, size int) ([]byte, error) {
	var buffer bytes.Buffer
	buffer.Grow(min(size, 1<<20))
	if _, err := io.CopyN(&buffer, r, int64(size)); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

func appendFrame(out []byte, word Word, content []byte) ([]byte, error) {
	if len(word) == 0 || len(word) > maxWord {
		return nil, fmt.Errorf("a word of %d bytes", len(word))
	}
	if len(content) > MaxPayload {
		return nil, fmt.Errorf("%s: a content of %d bytes, at most %d can be sent", word, len(content), MaxPayload)
	}
	start := len(out)
	out = append(out, magic...)
	out = append(out, byte(len(word)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(content)))
	out = append(out, word...)
	out = append(out, content...)
	sum := sha256.Sum256(out[start:])
	return append(out, sum[:]...), nil
}

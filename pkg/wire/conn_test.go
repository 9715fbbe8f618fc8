package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWhatIsSentIsReceived(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream bytes.Buffer
		sender, receiver := NewConn(nil, &stream), NewConn(&stream, nil)
		messages := rapid.SliceOf(rapid.String()).Draw(t, "messages")
		for _, message := range messages {
			if err := sender.Send(WordHeartbeat, Heartbeat{Doing: message}); err != nil {
				t.Fatal(err)
			}
		}
		for _, message := range messages {
			frame, err := receiver.Receive()
			if err != nil {
				t.Fatal(err)
			}
			var beat Heartbeat
			if err := frame.Decode(&beat); err != nil {
				t.Fatal(err)
			}
			if frame.Word != WordHeartbeat || beat.Doing != message {
				t.Fatalf("sent %q, received %s %q", message, frame.Word, beat.Doing)
			}
		}
		if _, err := receiver.Receive(); err != io.EOF {
			t.Fatalf("after the last frame: %v", err)
		}
	})
}

func TestNoPartOfAFrameIsTakenForOne(t *testing.T) {
	frame, err := appendFrame(nil, WordStage, []byte(`{"operation":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < len(frame); cut++ {
		conn := NewConn(bytes.NewReader(frame[:cut]), nil)
		if _, err := conn.Receive(); err == nil || err == io.EOF {
			t.Fatalf("cut after %d bytes: %v", cut, err)
		}
	}
	for i := range frame {
		damaged := bytes.Clone(frame)
		damaged[i] ^= 1
		conn := NewConn(bytes.NewReader(append(damaged, frame...)), nil)
		if _, err := conn.Receive(); !errors.Is(err, ErrBroken) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if _, err := conn.Receive(); !errors.Is(err, ErrBroken) {
			t.Fatalf("a broken frame must be an error for ever, got %v", err)
		}
	}
}

func TestNoiseBeforeTheFirstFrame(t *testing.T) {
	frame, _ := appendFrame(nil, WordHello, []byte(`{}`))
	for _, test := range []struct {
		name  string
		noise string
		want  error
	}{
		{"none", "", nil},
		{"a greeting", "Welcome to h11\r\nYou have mail.\n", nil},
		{"part of a magic", magic[:5], nil},
		{"as much as is allowed", strings.Repeat("x", MaxNoise), nil},
		{"more than is allowed", strings.Repeat("x", MaxNoise+1), ErrNoise},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := NewPanelConn(io.MultiReader(strings.NewReader(test.noise), bytes.NewReader(frame)), nil)
			if _, err := conn.Receive(); !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
		})
	}
	t.Run("only noise", func(t *testing.T) {
		conn := NewPanelConn(strings.NewReader("bash: orchestra: command not found\n"), nil)
		if _, err := conn.Receive(); !errors.Is(err, ErrNoise) {
			t.Fatal(err)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		if _, err := NewPanelConn(strings.NewReader(""), nil).Receive(); err != io.EOF {
			t.Fatal(err)
		}
	})
	t.Run("never between frames", func(t *testing.T) {
		stream := append(append(bytes.Clone(frame), "noise"...), frame...)
		conn := NewPanelConn(bytes.NewReader(stream), nil)
		if _, err := conn.Receive(); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Receive(); !errors.Is(err, ErrBroken) {
			t.Fatal(err)
		}
	})
	t.Run("never on the server", func(t *testing.T) {
		conn := NewConn(bytes.NewReader(append([]byte("\n"), frame...)), nil)
		if _, err := conn.Receive(); !errors.Is(err, ErrBroken) {
			t.Fatal(err)
		}
	})
}

func TestDecodeIsStrict(t *testing.T) {
	for _, content := range []string{`{"operation":"x","more":1}`, `{} {}`, ``, `[]`, `{"operation":1}`} {
		var keep Keep
		if err := (Frame{Word: WordKeep, Payload: json.RawMessage(content)}).Decode(&keep); err == nil {
			t.Errorf("%q was accepted", content)
		}
	}
}

type brokenWriter struct{ after int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.after--; w.after < 0 {
		return len(p) / 2, errors.New("cable cut")
	}
	return len(p), nil
}

func TestNothingIsSentAfterHalfAFrame(t *testing.T) {
	conn := NewConn(nil, &brokenWriter{after: 1})
	if err := conn.Send(WordKeep, Keep{}); err != nil {
		t.Fatal(err)
	}
	first := conn.Send(WordKeep, Keep{})
	if second := conn.Send(WordKeep, Keep{}); first == nil || second != first {
		t.Fatalf("got %v then %v", first, second)
	}
}

func FuzzReceive(f *testing.F) {
	frame, _ := appendFrame(nil, WordHello, []byte(`{"version":1}`))
	f.Add(frame)
	f.Add(frame[:len(frame)-1])
	f.Add(append([]byte("noise\r\n"), frame...))
	f.Add([]byte(magic + "\x05\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, conn := range []*Conn{NewConn(bytes.NewReader(stream), nil), NewPanelConn(bytes.NewReader(stream), nil)} {
			for {
				frame, err := conn.Receive()
				if err != nil {
					break
				}
				// What was accepted is exactly what somebody sent whole.
				again, err := appendFrame(nil, frame.Word, frame.Payload)
				if err != nil || !bytes.Contains(stream, again) {
					t.Fatalf("accepted %q, which was not sent", frame.Word)
				}
			}
		}
	})
}

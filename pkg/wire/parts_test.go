package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// large is a word that goes in several parts.
func large(t testing.TB) (Stage, [][]byte) {
	t.Helper()
	word := Stage{Operation: "x", Steps: []Step{
		{Name: "a", Objects: strings.Repeat("é\x1f\n", PartSize/2)},
		{Name: "b"},
		{Name: "c", Objects: "one\n", Contents: []ContentItem{
			{Reference: "1", Data: bytes.Repeat([]byte{0xff, 0}, PartSize), Secret: true}, {Reference: "2"}, {Reference: "3", Data: []byte("three")},
		}},
	}}
	return word, framesOf(t, word)
}

// framesOf returns the frames that a word is sent in.
func framesOf(t testing.TB, word any) [][]byte {
	t.Helper()
	var frames frameWriter
	if err := NewConn(nil, &frames).Send(WordStage, word); err != nil {
		t.Fatal(err)
	}
	return frames
}

type frameWriter [][]byte

func (w *frameWriter) Write(p []byte) (int, error) {
	*w = append(*w, bytes.Clone(p))
	return len(p), nil
}

// heard returns the word that frames say, or why they say none.
func heard(frames ...[]byte) (Stage, error) {
	conn := NewConn(bytes.NewReader(bytes.Join(frames, nil)), nil)
	for {
		var word Stage
		frame, err := conn.Receive()
		if err != nil || frame.Word == WordHeartbeat {
			if err == nil {
				continue
			}
			return word, err
		}
		return word, frame.Decode(&word)
	}
}

func TestALargeWordGoesInParts(t *testing.T) {
	word, frames := large(t)
	if len(frames) < 6 {
		t.Fatalf("%d frames", len(frames))
	}
	for i, frame := range frames {
		if len(frame) > maxPart {
			t.Errorf("frame %d has %d bytes", i, len(frame))
		}
	}
	beat, _ := appendFrame(nil, WordHeartbeat, []byte("{}"))
	for name, stream := range map[string][][]byte{
		"as it was sent":      frames,
		"a heartbeat between": append([][]byte{frames[0], beat}, frames[1:]...),
	} {
		got, err := heard(stream...)
		if diff := cmp.Diff(word.Steps[0].Objects == got.Steps[0].Objects, true); err != nil || diff != "" {
			t.Fatal(name, err, diff)
		}
		if diff := cmp.Diff(word.Steps[1:], got.Steps[1:], cmp.Comparer(bytes.Equal)); diff != "" || got.Parts != 0 {
			t.Errorf("%s: %.500s", name, diff)
		}
	}
}

func TestASmallWordIsOneFrame(t *testing.T) {
	word := Stage{Operation: "x", Steps: []Step{{Name: "a", Objects: strings.Repeat("x", PartSize)}}}
	if frames := framesOf(t, word); len(frames) != 1 {
		t.Errorf("%d frames", len(frames))
	}
}

// Whatever is missing, twice, in another order or of another word: nothing is heard.
func TestAWordIsWholeOnlyWithAllItsParts(t *testing.T) {
	_, frames := large(t)
	last := len(frames) - 1
	keep, _ := appendFrame(nil, WordKeep, []byte(`{"operation":"x"}`))
	broken := bytes.Clone(frames[1])
	broken[len(broken)/2] ^= 1
	join := func(lists ...[][]byte) [][]byte {
		var all [][]byte
		for _, list := range lists {
			all = append(all, list...)
		}
		return all
	}
	for name, stream := range map[string][][]byte{
		"no part":            frames[last:],
		"the first missing":  frames[1:],
		"the last missing":   join(frames[:last-1], frames[last:]),
		"one in the middle":  join(frames[:1], frames[2:]),
		"one twice":          join(frames[:1], frames),
		"two exchanged":      join([][]byte{frames[1], frames[0]}, frames[2:]),
		"one damaged":        join(frames[:1], [][]byte{broken}, frames[2:]),
		"another word":       join(frames[:last], [][]byte{keep}),
		"cut between frames": frames[:last],
		"cut in a frame":     join(frames[:2], [][]byte{frames[2][:len(frames[2])/2]}),
		"parts of two words": join(frames[:last], frames),
	} {
		if got, err := heard(stream...); err == nil || err == io.EOF {
			t.Errorf("%s: %v, %d steps", name, err, len(got.Steps))
		}
	}
	// What was said of one word is not the next one's.
	conn := NewConn(bytes.NewReader(bytes.Join(append(join(frames), keep), nil)), nil)
	for range 2 {
		frame, err := conn.Receive()
		if err != nil {
			t.Fatal(err)
		}
		var word Keep
		if frame.Word == WordKeep && frame.Decode(&word) != nil {
			t.Error("the next word has parts")
		}
	}
}

func TestAPartOfNothingIsRefused(t *testing.T) {
	stage := func(parts ...Part) [][]byte {
		var frames frameWriter
		conn := NewConn(nil, &frames)
		for i, part := range parts {
			part.Number = i + 1
			if err := conn.send(WordPart, part); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.send(WordStage, Stage{Steps: []Step{{Name: "a"}}, Parts: len(parts)}); err != nil {
			t.Fatal(err)
		}
		return frames
	}
	item := []ContentItem{{Reference: "1", Data: []byte("x")}}
	for name, frames := range map[string][][]byte{
		"a step that is not there": stage(Part{Step: 1, Objects: "x"}),
		"a step before the first":  stage(Part{Step: -1, Objects: "x"}),
		"a rest without beginning": stage(Part{Rest: true, Contents: item}),
		"a rest of nothing":        stage(Part{Contents: item}, Part{Rest: true}),
	} {
		if _, err := heard(frames...); err == nil {
			t.Error(name)
		}
	}
}

// endless is a panel that says parts for ever.
type endless struct {
	number int
	rest   bytes.Buffer
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rest.Len() == 0 {
		e.number++
		conn := NewConn(nil, &e.rest)
		if err := conn.send(WordPart, Part{Number: e.number, Contents: []ContentItem{{Data: make([]byte, PartSize)}}}); err != nil {
			return 0, err
		}
	}
	return e.rest.Read(p)
}

func TestPartsAreBounded(t *testing.T) {
	told := &endless{}
	conn := NewConn(told, nil)
	if conn.most != MaxSteps {
		t.Errorf("up to %d bytes are taken", conn.most)
	}
	conn.most = 5 * PartSize
	if _, err := conn.Receive(); !errors.Is(err, ErrBroken) || told.number > 7 {
		t.Fatal(told.number, err)
	}
	if _, err := NewPanelConn(&endless{}, nil).Receive(); !errors.Is(err, ErrBroken) {
		t.Error("a panel takes parts of a server:", err)
	}
	large := Stage{Steps: []Step{{Contents: []ContentItem{{Data: make([]byte, MaxSteps)}}}}}
	var frames frameWriter
	if err := NewConn(nil, &frames).Send(WordStage, large); !errors.Is(err, ErrUnsent) || len(frames) != 0 {
		t.Errorf("%d frames, %v", len(frames), err)
	}
}

func TestDividedStepsAreTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := Observe{Drift: rapid.Bool().Draw(t, "drift")}
		for range rapid.IntRange(1, 3).Draw(t, "steps") {
			step := Step{Name: "s", Objects: strings.Repeat(rapid.StringN(1, 9, -1).Draw(t, "text"), rapid.SampledFrom([]int{0, 1, PartSize / 8}).Draw(t, "times"))}
			for range rapid.IntRange(0, 3).Draw(t, "contents") {
				step.Contents = append(step.Contents, ContentItem{
					Reference: rapid.String().Draw(t, "reference"), Data: make([]byte, rapid.SampledFrom([]int{0, 1, 1000, PartSize - 100, PartSize + 1}).Draw(t, "size")),
				})
			}
			word.Steps = append(word.Steps, step)
		}
		var stream bytes.Buffer
		if err := NewConn(nil, &stream).Send(WordObserve, word); err != nil {
			t.Fatal(err)
		}
		frame, err := NewConn(&stream, nil).Receive()
		var got Observe
		if err == nil {
			err = frame.Decode(&got)
		}
		if err != nil || Size(got.Steps) != Size(word.Steps) {
			t.Fatal(err, Size(got.Steps), Size(word.Steps))
		}
		if diff := cmp.Diff(word, got, cmp.Comparer(bytes.Equal)); diff != "" {
			t.Fatalf("%.300s", diff)
		}
	})
}

// FuzzParts has a stream be taken for a word only where its parts say so.
func FuzzParts(f *testing.F) {
	word := Stage{Steps: []Step{{Name: "a", Objects: "x", Contents: []ContentItem{{Reference: "1", Data: []byte("y")}}}}}
	part, _ := appendFrame(nil, WordPart, []byte(`{"number":1,"step":0,"objects":"x"}`))
	stage, _ := appendFrame(nil, WordStage, []byte(`{"operation":"x","steps":[{"name":"a"}],"parts":1}`))
	f.Add(framesOf(f, word)[0])
	f.Add(append(part, stage...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		conn := NewConn(bytes.NewReader(stream), nil)
		for {
			frame, err := conn.Receive()
			if err != nil {
				return
			}
			said := len(frame.parts)
			var word Stage
			if frame.Decode(&word) != nil {
				continue
			}
			if sent := bytes.Count(stream, []byte(magic+"\x04")); said > sent {
				t.Fatalf("%d parts, of which %d were sent", said, sent)
			}
			if Size(word.Steps) > len(stream)*itemSize {
				t.Fatalf("%d bytes of %d", Size(word.Steps), len(stream))
			}
		}
	})
}

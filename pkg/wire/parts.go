package wire

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// What STAGE and OBSERVE are about may be larger than a frame. Then the objects
// and contents of their steps go before them, in PARTs: frames of their own, with
// their own length and hash, numbered from 1. The word itself says how many
// there are, so that it is whole only where all of them are, in their order.
// Anything else ends the connection, and nothing was done.
const (
	// PartSize is how much a part holds at most, and how much a word may hold
	// that has none, in bytes. It is small: each server's connection has one at a time.
	PartSize = 1 << 20
	// MaxSteps is how much all objects and contents of a word may come to, in
	// bytes: the runtime has them in its memory.
	MaxSteps = 256 << 20

	maxParts = 1024 // of a word; more than MaxSteps needs
	// maxPart is the longest content of a PART: no byte takes more than six in JSON.
	maxPart = 8 * PartSize
	// itemSize is what a content counts beside its data and its reference.
	itemSize = 64
)

// Part is a piece of a step of the word that follows.
type Part struct {
	Number   int           `json:"number"`
	Step     int           `json:"step"` // which one of the word's steps, from 0
	Objects  string        `json:"objects,omitempty"`
	Contents []ContentItem `json:"contents,omitempty"`
	// Rest says that the first of the contents is the rest of the one before it.
	Rest bool `json:"rest,omitempty"`
}

// Size returns how much steps count against MaxSteps.
func Size(steps []Step) int {
	size := 0
	for _, step := range steps {
		size += len(step.Objects)
		for _, item := range step.Contents {
			size += len(item.Data) + len(item.Reference) + itemSize
		}
	}
	return size
}

func (p Part) size() int { return Size([]Step{{Objects: p.Objects, Contents: p.Contents}}) }

// divide takes the parts out of a word that is too large for one frame.
func divide(payload any) (rest any, parts []Part, err error) {
	switch word := payload.(type) {
	case Stage:
		word.Steps, parts, err = divideSteps(word.Steps)
		word.Parts = len(parts)
		return word, parts, err
	case Observe:
		word.Steps, parts, err = divideSteps(word.Steps)
		word.Parts = len(parts)
		return word, parts, err
	}
	return payload, nil, nil
}

func divideSteps(steps []Step) (heads []Step, parts []Part, err error) {
	size := Size(steps)
	if size <= PartSize {
		return steps, nil, nil
	}
	if size > MaxSteps {
		return nil, nil, fmt.Errorf("steps of %d bytes, at most %d can be sent", size, MaxSteps)
	}
	var d divider
	for i, step := range steps {
		d.begin(i)
		d.objects(step.Objects)
		for _, item := range step.Contents {
			d.content(item)
		}
		step.Objects, step.Contents = "", nil
		heads = append(heads, step)
	}
	if len(d.parts) > maxParts {
		return nil, nil, fmt.Errorf("%d parts, at most %d can be sent", len(d.parts), maxParts)
	}
	return heads, d.parts, nil
}

// divider fills parts. It copies nothing: they share the memory of the steps.
type divider struct {
	parts []Part
	room  int // in the last part
}

func (d *divider) begin(step int) {
	d.parts = append(d.parts, Part{Number: len(d.parts) + 1, Step: step})
	d.room = PartSize
}

// last returns the part to fill: one with room for more than an item's own size.
func (d *divider) last(needed int) *Part {
	if d.room < needed {
		d.begin(d.parts[len(d.parts)-1].Step)
	}
	return &d.parts[len(d.parts)-1]
}

func (d *divider) objects(text string) {
	for text != "" {
		part := d.last(utf8.UTFMax)
		cut := min(len(text), d.room)
		for cut < len(text) && !utf8.RuneStart(text[cut]) {
			cut-- // JSON holds whole characters only
		}
		part.Objects, text = text[:cut], text[cut:]
		d.room -= cut
	}
}

func (d *divider) content(item ContentItem) {
	own := len(item.Reference) + itemSize
	for first := true; first || len(item.Data) > 0; first = false {
		part := d.last(own + 1)
		cut := min(len(item.Data), max(d.room-own, 1))
		piece := item
		piece.Data, item.Data = item.Data[:cut:cut], item.Data[cut:]
		part.Contents = append(part.Contents, piece)
		part.Rest = part.Rest || !first
		d.room -= own + cut
	}
}

// takePart keeps a part for the word that follows.
func (c *Conn) takePart(frame Frame) error {
	var part Part
	if err := frame.Decode(&part); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if part.Number != len(c.parts)+1 {
		return fmt.Errorf("%w: part %d where %d was due", ErrBroken, part.Number, len(c.parts)+1)
	}
	c.partsSize += part.size()
	if len(c.parts) == maxParts || c.partsSize > c.most+len(c.parts)*itemSize*2 {
		return fmt.Errorf("%w: parts of more than %d bytes", ErrBroken, c.most)
	}
	c.parts = append(c.parts, part)
	return nil
}

// join puts the parts that came before a word back into its steps.
func (f Frame) join(v any) error {
	var steps []Step
	wanted := 0
	switch word := v.(type) {
	case *Stage:
		steps, wanted, word.Parts = word.Steps, word.Parts, 0
	case *Observe:
		steps, wanted, word.Parts = word.Steps, word.Parts, 0
	}
	if wanted != len(f.parts) {
		return fmt.Errorf("content of %s: %d parts instead of %d", f.Word, len(f.parts), wanted)
	}
	texts := make([]strings.Builder, len(steps))
	for i, part := range f.parts {
		if part.Step < 0 || part.Step >= len(steps) {
			return fmt.Errorf("content of %s: a part of step %d of %d", f.Word, part.Step, len(steps))
		}
		step := &steps[part.Step]
		texts[part.Step].WriteString(part.Objects)
		if part.Rest {
			if len(part.Contents) == 0 || len(step.Contents) == 0 {
				return fmt.Errorf("content of %s: the rest of nothing in part %d", f.Word, part.Number)
			}
			last := &step.Contents[len(step.Contents)-1]
			last.Data = append(last.Data, part.Contents[0].Data...)
			part.Contents = part.Contents[1:]
		}
		step.Contents = append(step.Contents, part.Contents...)
		f.parts[i] = Part{} // its memory is not needed twice
	}
	for i := range steps {
		if texts[i].Len() > 0 {
			steps[i].Objects += texts[i].String()
		}
	}
	return nil
}

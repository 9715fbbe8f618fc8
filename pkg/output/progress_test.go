package output

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestQuickWorkShowsNoProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := NewProgress(&out, true, false, 80, 24, Painter{})
		p.Start()
		p.Servers([]string{"h11"})
		time.Sleep(progressDelay - time.Millisecond)
		p.Stop()
		if out.Len() != 0 {
			t.Errorf("%q", out.String())
		}
	})
}

func TestLongWorkShowsEachServerAndCleansUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := NewProgress(&out, true, false, 40, 24, Painter{})
		p.Start()
		p.Servers([]string{"h11", "h12"})
		p.Step("h11", "staging "+strings.Repeat("x", 100)+"\x1b[2J", false)
		time.Sleep(time.Second)
		p.Stop()
		got := out.String()
		if !strings.Contains(got, "h11  staging") || !strings.Contains(got, "h12") {
			t.Errorf("%q", got)
		}
		if strings.Contains(got, "\x1b[2J") || !strings.HasSuffix(got, "\r\x1b[2A\x1b[J") {
			t.Errorf("%q", got)
		}
	})
}

func TestVerboseIsPlainSentences(t *testing.T) {
	defer goleak.VerifyNone(t)
	var out bytes.Buffer
	p := NewProgress(&out, false, true, 80, 24, Painter{})
	p.Start()
	p.Servers([]string{"h11"})
	p.Step("h11", "staging", false)
	p.Step("h11", "3/7", true)
	p.Note("waits for account acme")
	p.Stop()
	if got := out.String(); got != "h11: staging\nwaits for account acme\n" {
		t.Errorf("%q", got)
	}
}

package output

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestLogLinesAreWholeAndEscaped(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(NewLogHandler(&out, slog.LevelInfo, nil))
	log.Debug("not this")
	log.Info("done\nlevel=ERROR msg=forged", "actor", "ana\nmsg=forged", "error", errors.New("x\x1b[2J\u202e"))
	if got := strings.Count(out.String(), "\n"); got != 1 {
		t.Errorf("%d lines: %q", got, out.String())
	}
	harmless(t, "log", strings.TrimSuffix(out.String(), "\n"), false)
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestALogThatCannotBeWrittenIsToldOnce(t *testing.T) {
	told := 0
	log := slog.New(NewLogHandler(full{}, slog.LevelInfo, func(error) { told++ })).With("pid", 1)
	for range 3 {
		log.Info("x")
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

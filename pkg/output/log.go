package output

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// LogLevel returns the level called name; info where there is none of that name.
func LogLevel(name string) slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(name)) != nil {
		return slog.LevelInfo
	}
	return level
}

// OpenLog opens the log file for appending, making it (0640) where there is
// none, and returns the logger over it: a line of logfmt for each record, with
// control characters escaped, written at once, so that several processes can
// share the file. It is opened by each process, so that logrotate(8) needs to
// tell nobody. failed is told, once, when the file cannot be written; the
// command goes on.
func OpenLog(file string, level slog.Level, failed func(error)) (*slog.Logger, io.Closer, error) {
	opened, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			return nil, nil, fmt.Errorf("making the directory of the log: %w", err)
		}
		opened, err = os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log: %w", err)
	}
	return slog.New(NewLogHandler(opened, level, failed)), opened, nil
}

// NewLogHandler returns the handler of OpenLog over any writer.
func NewLogHandler(out io.Writer, level slog.Level, failed func(error)) slog.Handler {
	handler := &logHandler{once: &sync.Once{}, failed: failed}
	handler.Handler = slog.NewTextHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: escapeAttribute})
	return handler
}

// escapeAttribute escapes what TextHandler would let through: it quotes what is
// not printable, but not direction controls inside quotes of others.
func escapeAttribute(_ []string, attribute slog.Attr) slog.Attr {
	if attribute.Value.Kind() == slog.KindString {
		attribute.Value = slog.StringValue(Escape(attribute.Value.String()))
	}
	if err, is := attribute.Value.Any().(error); is {
		attribute.Value = slog.StringValue(Escape(err.Error()))
	}
	return attribute
}

// logHandler reports the first record that could not be written.
type logHandler struct {
	slog.Handler
	once   *sync.Once
	failed func(error)
}

// Handle implements slog.Handler. It never fails.
func (h *logHandler) Handle(ctx context.Context, record slog.Record) error {
	record.Message = Escape(record.Message)
	if err := h.Handler.Handle(ctx, record); err != nil && h.failed != nil {
		h.once.Do(func() { h.failed(err) })
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return &logHandler{Handler: h.Handler.WithAttrs(attributes), once: h.once, failed: h.failed}
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{Handler: h.Handler.WithGroup(name), once: h.once, failed: h.failed}
}

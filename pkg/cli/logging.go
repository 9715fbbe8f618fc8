package cli

import (
	"log/slog"
	"os"

	"orchestra/pkg/message"
	"orchestra/pkg/output"
)

// openLog begins the log file of the settings. A log that cannot be written is
// told once and stops nothing.
func (a *app) openLog() {
	file := a.settings.Log.File
	if file == "" {
		return
	}
	failed := func(err error) { a.warn(message.New("the log file cannot be written: %s", err.Error())) }
	log, closer, err := output.OpenLog(a.process.path(file), output.LogLevel(a.settings.Log.Level), failed)
	if err != nil {
		failed(err)
		return
	}
	a.closers = append(a.closers, closer.Close)
	a.log = log.With(slog.Int("pid", os.Getpid()))
}

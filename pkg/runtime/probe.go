package runtime

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"orchestra/pkg/wire"
)

// probe tells about the machine.
func (s *session) probe(ctx context.Context, word wire.Probe) error {
	m := s.machine
	probed := wire.Probed{
		Time: m.clock.Now().UTC(), FreeBytes: map[string]uint64{}, SSHD: map[string]string{},
		EffectiveID: m.runner.Machine().EffectiveID,
	}
	for _, program := range word.Programs {
		if program == "" || strings.ContainsAny(program, "/\x00") || !m.runner.Find(program) {
			probed.Missing = append(probed.Missing, printable(program))
		}
	}
	for _, name := range []string{"/", "/etc", "/home", "/var"} {
		if _, err := m.disk.Stat(name); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		free, err := m.disk.Free(name)
		if err != nil {
			continue
		}
		probed.FreeBytes[name] = free
	}
	if !m.standIns && m.runner.Find("sshd") {
		result, err := m.runner.Run(ctx, Child{Kind: ChildProgram, Arguments: []string{"sshd", "-T"}, Timeout: 10 * time.Second})
		if err == nil && result.ExitCode == 0 {
			probed.SSHD = sshdSettings(result.Output)
		}
	}
	return s.conn.Send(wire.WordProbed, probed)
}

// sshdSettings reads what sshd -T prints: a key in lower case and its value a line.
func sshdSettings(output string) map[string]string {
	settings := map[string]string{}
	for line := range strings.Lines(output) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || len(settings) > 1000 {
			continue
		}
		if before, twice := settings[key]; twice {
			value = before + " " + value
		}
		settings[key] = printable(value)
	}
	return settings
}

package backend

import (
	"fmt"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/runtime"
	"orchestra/pkg/settings"
)

// EncodeSettings writes the records that tell a backend the settings of the panel
// that its manifest names. They come before those of objects, and are told where
// there is no object as well.
func EncodeSettings(names []string, from *settings.Settings) (string, error) {
	var records strings.Builder
	for _, name := range names {
		plain, ok := from.Plain(name)
		if !ok {
			return "", unknownSetting(name)
		}
		value, err := escape(plain)
		if err != nil {
			return "", fmt.Errorf("the setting %s: %w", name, err)
		}
		for _, column := range []string{runtime.SettingMark, name, value} {
			records.WriteString(column + runtime.FieldEnd)
		}
		records.WriteString(runtime.RecordEnd + "\n")
	}
	return records.String(), nil
}

// unknownSetting refuses what no backend can be told.
func unknownSetting(name string) error {
	wrong := fault.New(fault.Invalid, "%q is no setting that a backend can be told: it is unknown, a list or a secret", name).About("settings")
	var known []string
	for _, entry := range settings.Default().Explain() {
		if _, ok := settings.Default().Plain(entry.Key); ok {
			known = append(known, entry.Key)
		}
	}
	if near := fault.Nearest(name, known); near != "" {
		return wrong.WithHint("did you mean %q?", near)
	}
	return wrong
}

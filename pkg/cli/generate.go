package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"orchestra/pkg/output"
)

// Generate writes the files that are derived from the commands: the completion
// scripts of the shells, and the man pages. What is there and derived no longer
// is removed.
func Generate(completions, man string) error {
	// In English, whatever the language of who builds.
	a := newApp(Process{Streams: output.Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}, Now: time.Now})
	a.language = "en"
	if err := a.register(); err != nil {
		return err
	}
	root := a.newRoot()
	a.growAll(root)
	scripts := map[string][]byte{}
	for shell, name := range map[string]string{"bash": "orchestra.bash", "zsh": "_orchestra", "fish": "orchestra.fish"} {
		var out bytes.Buffer
		if err := writeCompletion(root, shell, &out); err != nil {
			return fmt.Errorf("the completion of %s: %w", shell, err)
		}
		scripts[name] = out.Bytes()
	}
	return errors.Join(replaceFiles(completions, scripts), replaceFiles(man, manPages(a, root)))
}

// replaceFiles makes a directory hold these files and no others.
func replaceFiles(directory string, files map[string][]byte) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if files[entry.Name()] == nil {
			if err := os.Remove(filepath.Join(directory, entry.Name())); err != nil {
				return err
			}
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(directory, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

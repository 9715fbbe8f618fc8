package cli

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"orchestra/pkg/message"
)

// generateCommand makes the hidden `orchestra generate`, which writes the files
// that are derived from the commands: completions/ and man/.
func (a *app) generateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "generate DIRECTORY", Hidden: true, Short: a.say(message.New("Write completions and man pages")),
		Example: "orchestra generate .", Args: exactly(1, "DIRECTORY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			// In English, whatever the language of who builds.
			english := &app{process: a.process, registry: a.registry, language: "en", log: a.log}
			english.process.Streams.Out, english.process.Streams.OutTerminal, english.process.Streams.Width = nil, false, 0
			root := english.newRoot()
			english.growAll(root)
			return writeGenerated(english, root, a.process.path(args[0]))
		},
	}
}

// generated returns all derived files by name.
func generated(a *app, root *cobra.Command) (map[string][]byte, error) {
	files := map[string][]byte{}
	for shell, name := range map[string]string{"bash": "orchestra.bash", "zsh": "_orchestra", "fish": "orchestra.fish"} {
		var out bytes.Buffer
		if err := writeCompletion(root, shell, &out); err != nil {
			return nil, err
		}
		files[filepath.Join("completions", name)] = out.Bytes()
	}
	for name, page := range manPages(a, root) {
		files[filepath.Join("man", name)] = page
	}
	return files, nil
}

func writeGenerated(a *app, root *cobra.Command, directory string) error {
	files, err := generated(a, root)
	if err != nil {
		return err
	}
	for name, text := range files {
		file := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"orchestra/pkg/message"
	"orchestra/pkg/output"
)

// versionCommand makes `orchestra version`.
func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: a.say(message.New("Show the version")), Example: "orchestra version -o json",
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return a.showVersion(true) },
	}
}

// showVersion writes the version: a line, or with full also how it was built.
func (a *app) showVersion(full bool) error {
	document := output.Record{{Name: "version", Value: a.process.Version}, {Name: "go", Value: runtime.Version()}, {Name: "platform", Value: runtime.GOOS + "/" + runtime.GOARCH}}
	if build, ok := debug.ReadBuildInfo(); ok && full {
		for _, setting := range build.Settings {
			if setting.Key == "vcs.revision" || setting.Key == "vcs.time" {
				document = append(document, output.Member{Name: setting.Key[len("vcs."):], Value: setting.Value})
			}
		}
	}
	return a.printer().Document(document, nil, func(out io.Writer) error {
		_, err := fmt.Fprintln(out, "orchestra "+a.process.Version)
		if full && err == nil {
			for _, member := range document[1:] {
				if _, err = fmt.Fprintf(out, "%s %v\n", member.Name, member.Value); err != nil {
					return err
				}
			}
		}
		return err
	})
}

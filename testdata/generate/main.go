// Generate writes what is derived from the commands: the completion scripts and
// the man pages. `make generate` runs it; `make check-generated` compares.
package main

import (
	"fmt"
	"os"

	"orchestra/pkg/cli"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: generate COMPLETIONS_DIRECTORY MAN_DIRECTORY")
		os.Exit(2)
	}
	if err := cli.Generate(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// Command orchestra administers a hosting provider over its own servers.
package main

import (
	"os"

	"orchestra/pkg/cli"
	"orchestra/pkg/runtime"
)

// version is set by the linker: -X main.version=1.2.3
var version = "development"

func main() {
	// The part that runs on servers comes first: it needs nothing of the rest.
	if len(os.Args) > 1 && os.Args[1] == "runtime" {
		os.Exit(runtime.Main(os.Args[2:]))
	}
	os.Exit(cli.Run(os.Args[1:], version))
}

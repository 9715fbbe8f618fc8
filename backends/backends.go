// Package backends carries the backends that come with the program: one folder
// each, with backend.toml and constant bash.
package backends

import "embed"

// Files are the folders of all embedded backends.
//
//go:embed */backend.toml */*.sh
var Files embed.FS

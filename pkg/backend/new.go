package backend

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"orchestra/pkg/fault"
)

//go:embed skeleton
var skeleton embed.FS

// New makes folder, with a small backend in it that passes Check: a file for
// each user. A fault of kind Conflict says that the folder is there already.
func New(folder, name string) error {
	if !validName(name) {
		return fault.New(fault.Invalid, "%q is no name for a backend: lower case letters, digits and single dashes", name).About("name")
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return fault.New(fault.Denied, "the folder of the backend cannot be made").Because(err)
	}
	if err := os.Mkdir(folder, 0o755); errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "there is something in %s already", folder).WithHint("orchestra backend check %s", name)
	} else if err != nil {
		return fault.New(fault.Denied, "the folder of the backend cannot be made").Because(err)
	}
	entries, err := skeleton.ReadDir("skeleton")
	if err != nil {
		return fmt.Errorf("reading the skeleton of a backend: %w", err)
	}
	for _, entry := range entries {
		text, err := skeleton.ReadFile("skeleton/" + entry.Name())
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, entry.Name()), text, 0o644)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("writing the backend: %w", err), os.RemoveAll(folder))
		}
	}
	return nil
}

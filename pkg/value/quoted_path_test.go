package value

import (
	"strings"
	"testing"
)

// An absolute path is quoted back as it was typed.
func TestAbsolutePathIsQuotedWhole(t *testing.T) {
	for _, path := range []string{"/home/../etc", "/home//x", "/home/-x", "/home/x y"} {
		if _, err := AbsolutePath(path); err == nil || !strings.Contains(err.Error(), `"`+path+`"`) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

package value

import (
	"slices"
	"strings"

	"orchestra/pkg/fault"
)

// PathLimit is the longest path, in bytes. Linux takes 4096; what stays below
// 1024 also fits into configuration lines, sockets aside.
const PathLimit = 1024

// AbsolutePath returns path if it is absolute, canonical (no "." or "..", no
// empty component, no "/" at the end) and made of letters, digits, ".", "_",
// "-", "+" and "@", so that no format gives a character of it another meaning.
func AbsolutePath(path string) (string, error) {
	rest, found := strings.CutPrefix(path, "/")
	if !found {
		return "", fault.New(fault.Invalid, "%q is not an absolute path", cut(path))
	}
	if err := checkPath(rest, path); err != nil {
		return "", err
	}
	return path, nil
}

// RelativePath is AbsolutePath for a path below some directory.
func RelativePath(path string) (string, error) {
	if err := checkPath(path, path); err != nil {
		return "", err
	}
	return path, nil
}

// checkPath checks a relative path; messages quote it as it was typed.
func checkPath(path, typed string) error {
	if path == "" {
		return fault.New(fault.Invalid, "a path is needed")
	}
	if len(path) > PathLimit {
		return fault.New(fault.Invalid, "%q is longer than %d characters", cut(typed), PathLimit)
	}
	for component := range strings.SplitSeq(path, "/") {
		switch {
		case component == "":
			return fault.New(fault.Invalid, "%q has an empty component: a slash at its beginning or end, or two in a row", cut(typed))
		case component == "." || component == "..":
			return fault.New(fault.Invalid, `%q has a component "." or ".."`, cut(typed))
		case component[0] == '-':
			return fault.New(fault.Invalid, "%q has a component that begins with a dash", cut(typed))
		case len(component) > 255:
			return fault.New(fault.Invalid, "%q has a component of more than 255 characters", cut(typed))
		}
		for i := range len(component) {
			if c := component[i]; !isLower(c) && !isUpper(c) && !isDigit(c) && !strings.ContainsRune("._-+@", rune(c)) {
				return fault.New(fault.Invalid, `%q has other characters than letters, digits, ".", "_", "-", "+" and "@"`, cut(typed))
			}
		}
	}
	return nil
}

// Within tells whether path, canonical, is below root (not root itself).
func Within(path, root string) bool {
	return strings.HasPrefix(path, strings.TrimSuffix(root, "/")+"/")
}

// Home checks where a user's home is: own name directly below one of roots, or
// anywhere below the home of the account's main user.
func Home(path, name, mainHome string, roots []string) error {
	if _, err := AbsolutePath(path); err != nil {
		return err
	}
	for _, root := range roots {
		if path == strings.TrimSuffix(root, "/")+"/"+name {
			return nil
		}
	}
	if mainHome != "" && Within(path, mainHome) {
		return nil
	}
	if mainHome == "" || len(roots) == 0 {
		return fault.New(fault.Invalid, "%q is not the user's own place, %s", path, strings.Join(homes(name, roots), ", "))
	}
	return fault.New(fault.Invalid, "%q is neither the user's own place, %s, nor inside the home of the main user, %s",
		path, strings.Join(homes(name, roots), ", "), mainHome)
}

func homes(name string, roots []string) []string {
	all := make([]string, 0, len(roots))
	for _, root := range roots {
		all = append(all, strings.TrimSuffix(root, "/")+"/"+name)
	}
	return all
}

// DefaultShells are those of Debian's own packages that /etc/shells lists, and
// the one that lets nobody in.
func DefaultShells() []string {
	return []string{
		"/bin/bash", "/bin/sh", "/bin/dash", "/bin/rbash",
		"/usr/bin/bash", "/usr/bin/sh", "/usr/bin/dash", "/usr/bin/rbash",
		"/bin/zsh", "/usr/bin/zsh", "/bin/ksh", "/usr/bin/ksh", "/usr/bin/fish", "/bin/tcsh", "/usr/bin/tcsh",
		NoLogin,
	}
}

// NoLogin is the shell of who has none.
const NoLogin = "/usr/sbin/nologin"

// Shell returns path if it is one of the shells that are allowed, or NoLogin;
// none given means DefaultShells.
func Shell(path string, allowed []string) (string, error) {
	if _, err := AbsolutePath(path); err != nil {
		return "", err
	}
	if len(allowed) == 0 {
		allowed = DefaultShells()
	}
	if path != NoLogin && !slices.Contains(allowed, path) {
		return "", fault.New(fault.Invalid, "%q is not one of the shells: %s", path, strings.Join(allowed, ", ")).
			WithHint("more shells are allowed with the setting unix.shells")
	}
	return path, nil
}

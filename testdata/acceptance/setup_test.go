package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// setUp takes a panel through the README's first steps: servers, backend, routes.
func (p *panel) setUp() error {
	steps := [][]string{{"init"}}
	for i := range 3 {
		host := shared.fleet.Host(i)
		steps = append(steps,
			[]string{"server", "add", host.Name, "--address", host.Address, "--host-key", host.HostKey},
			[]string{"backend", "setup", "unix-user", "--server", host.Name, "--yes"},
			[]string{"route", "add", "unix-user", "--server", host.Name, "--match", "true"})
	}
	for _, step := range steps {
		command := p.command(background, step...)
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("orchestra %s: %w\n%s", strings.Join(step, " "), err, output)
		}
	}
	return nil
}

func newSharedPanel() (*panel, error) {
	directory, err := os.MkdirTemp("", "orchestra-acceptance-")
	if err != nil {
		return nil, err
	}
	p, err := newPanel(directory, fmt.Sprintf("[backends]\ndirectory = %q\n[dns]\nnameservers = [\"ns1.example.net\", \"ns2.example.net\"]\n",
		filepath.Join(directory, "backends")))
	if err != nil {
		return nil, err
	}
	return p, p.setUp()
}

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestTheDemoTellsTheTruth runs the demo and reads the servers' scratch files after each scene.
func TestTheDemoTellsTheTruth(t *testing.T) {
	var out bytes.Buffer
	var directory string
	names := func(s *stage, server string) string {
		content, err := os.ReadFile(filepath.Join(s.directory, server, "etc", "passwd"))
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for line := range strings.Lines(string(content)) {
			found = append(found, strings.SplitN(line, ":", 2)[0])
		}
		return strings.Join(found, " ")
	}
	want := map[string][2]string{
		"A panel and two servers":                      {"root www-data", "root www-data"},
		"A customer, on both servers or on none":       {"root www-data acme acme-web", "root www-data acme acme-web"},
		"A failure on one leaves nothing on the other": {"root www-data acme acme-web", "root www-data acme acme-web globex"},
		"All gone again":                               {"root www-data", "root www-data globex"},
	}
	err := show(t.Context(), filepath.Join("..", "..", "build", "orchestra"), &out, false, func(scene string, s *stage) {
		directory = s.directory
		expected, ok := want[scene]
		if !ok {
			return
		}
		for i, server := range []string{"one", "two"} {
			if got := names(s, server); got != expected[i] {
				t.Errorf("after %q server %s has %q, want %q", scene, server, got, expected[i])
			}
		}
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if _, err := os.Stat(directory); !os.IsNotExist(err) {
		t.Errorf("the demo left %s behind", directory)
	}
	if strings.Contains(out.String(), "\033") {
		t.Error("the demo paints where there is no terminal")
	}
	for _, shown := range []string{"$ orchestra user add acme-web", "acme-web", "globex", "exit code 8"} {
		if !strings.Contains(out.String(), shown) {
			t.Errorf("the demo does not show %q", shown)
		}
	}
}

// TestTheDemoNeedsNoRoot runs it as nobody, where we are root: elsewhere the test above does.
func TestTheDemoNeedsNoRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	directory, err := os.MkdirTemp("", "orchestra-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(directory)
	program, binary := filepath.Join(directory, "demo"), filepath.Join(directory, "orchestra")
	if output, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the demo: %v\n%s", err, output)
	}
	content, err := os.ReadFile(filepath.Join("..", "..", "build", "orchestra"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, content, 0o755); err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	if err := os.Chown(directory, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "-orchestra", binary)
	command.Dir = directory
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + directory, "TMPDIR=" + directory}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	left, err := filepath.Glob(filepath.Join(directory, "orchestra-demo-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

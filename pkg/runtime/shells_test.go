package runtime

import (
	"testing"
)

func TestShellsAreReadAsChshReadsThem(t *testing.T) {
	memory := NewMemory(MemoryOptions{})
	disk := memory.Process("reader")
	if shells, err := readShells(disk); err != nil || len(shells) != 0 {
		t.Errorf("without the file: %v, %v", shells, err)
	}
	if err := disk.MakeDirectory("/etc", Attributes{Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	if err := disk.Create(pathShells, []byte("# valid login shells\n/bin/sh\n /bin/bash # the usual\n\n"), rootFile); err != nil {
		t.Fatal(err)
	}
	shells, err := readShells(disk)
	if err != nil || len(shells) != 2 || !shells["/bin/sh"] || !shells["/bin/bash"] {
		t.Errorf("got %v, %v", shells, err)
	}
}

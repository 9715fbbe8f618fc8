package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// kindOfError is what callers may tell apart.
func kindOfError(err error) string {
	switch { // in this order: fs.ErrExist is also what ENOTEMPTY is
	case errors.Is(err, syscall.ENOTEMPTY):
		return "not empty"
	case errors.Is(err, fs.ErrExist):
		return "exists"
	case errors.Is(err, fs.ErrNotExist):
		return "missing"
	case errors.Is(err, fs.ErrPermission):
		return "not allowed"
	}
	switch {
	case isTaken(err):
		return "something is in the way"
	case err != nil:
		return "other"
	}
	return ""
}

// TestBothDisksAreAlike does the same things on the real disk and on the one in
// memory, which simulations rest on.
func TestBothDisksAreAlike(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("LEFT OUT: it needs root")
	}
	rapid.Check(t, func(t *rapid.T) {
		root, err := os.MkdirTemp("", "disk")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(root)
		if err := os.Chmod(root, 0o755); err != nil {
			t.Fatal(err)
		}
		real, closer, err := NewRealDisk(root)
		if err != nil {
			t.Fatal(err)
		}
		defer closer.Close()
		memory := NewMemory(MemoryOptions{}).Process("test")
		name := rapid.SampledFrom([]string{"/a", "/b", "/a/x", "/a/y", "/b/x", "/a/x/z", "/link", "/link/x", "/u", "/u/x", "/u/y", "/"})
		for range rapid.IntRange(1, 30).Draw(t, "operations") {
			one, two := rapid.Deferred(func() *rapid.Generator[string] { return name }).Draw(t, "one"), name.Draw(t, "two")
			do := operations(rapid.IntRange(0, 12).Draw(t, "operation"), one, two, rapid.StringMatching(`[a-z]{0,9}`).Draw(t, "text"), rapid.Bool().Draw(t, "as user"))
			gotReal, realErr := do(real)
			gotMemory, memoryErr := do(memory)
			if kindOfError(realErr) != kindOfError(memoryErr) || realErr == nil && gotReal != gotMemory {
				t.Fatalf("real: %q, %v; in memory: %q, %v", gotReal, realErr, gotMemory, memoryErr)
			}
		}
		if difference := cmp.Diff(dumpOf(t, real), dumpOf(t, memory)); difference != "" {
			t.Fatal(difference)
		}
	})
}

// operations are what a disk can do.
func operations(which int, one, two, text string, asUser bool) func(Disk) (string, error) {
	user := Owner{UID: 4242, GID: 4242}
	return func(disk Disk) (string, error) {
		attributes := Attributes{Mode: 0o640}
		if strings.HasPrefix(one, "/u/") && asUser {
			if info, err := disk.Stat("/u"); err == nil && info.UID == user.UID && info.Type == TypeDirectory {
				disk, attributes.Owner = disk.As("/u", user), user
			}
			if !strings.HasPrefix(two, "/u/") {
				two = "/u/other"
			}
		}
		switch which {
		case 0:
			return "", disk.Create(one, []byte(text), attributes)
		case 1:
			attributes.Mode = 0o755
			if one == "/u" {
				attributes.Owner = user
			}
			return "", disk.MakeDirectory(one, attributes)
		case 2:
			return "", disk.MakeLink(one, "/a", attributes.Owner)
		case 3:
			return "", disk.Rename(one, two)
		case 4:
			if one == two {
				return "", nil
			}
			return "", disk.Exchange(one, two)
		case 5:
			return "", disk.Remove(one)
		case 6:
			return "", disk.Append(one, []byte(text))
		case 7:
			return "", disk.Overwrite(one, []byte(text))
		case 8:
			data, _, err := disk.Read(one, 100)
			return string(data), err
		case 9:
			names, err := disk.List(one)
			return strings.Join(names, " "), err
		case 10:
			attributes.Mode = 0o711
			if info, err := disk.Stat(one); err == nil {
				attributes.Owner = info.Owner
			}
			return "", disk.Change(one, attributes)
		case 11:
			info, err := disk.Stat(one)
			if info.Type != TypeFile {
				info.Size = 0
			}
			return fmt.Sprint(info.Type, info.Attributes, info.Size, info.Target), err
		default:
			return "", disk.Allocate(one, 10000)
		}
	}
}

func dumpOf(t *rapid.T, disk Disk) map[string]string {
	all := map[string]string{}
	var walk func(name string)
	walk = func(name string) {
		info, err := disk.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = fmt.Sprint(info.Type, info.Attributes, info.Target)
		switch info.Type {
		case TypeFile:
			data, _, err := disk.Read(name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			all[name] += string(data)
		case TypeDirectory:
			names, err := disk.List(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range names {
				walk(strings.TrimSuffix(name, "/") + "/" + entry)
			}
		}
	}
	walk("/")
	return all
}

func TestWhatWasSyncedSurvivesAPowerCut(t *testing.T) {
	for seed := range uint64(200) {
		disk := NewMemory(MemoryOptions{Seed: seed})
		p := disk.Process("one")
		must(t, p.MakeDirectory("/d", Attributes{Mode: 0o755}), p.Create("/d/f", []byte("old"), Attributes{Mode: 0o644}), p.Sync("/d/f", "/d", "/"))
		must(t, p.Create("/d/new", []byte("new"), Attributes{Mode: 0o644}), p.Append("/d/f", []byte(" and more")), p.Rename("/d/new", "/moved"))
		disk.PowerCut()
		if _, err := p.Stat("/"); !errors.Is(err, ErrDead) {
			t.Fatal("a process survived")
		}
		after := disk.Process("two")
		data, _, err := after.Read("/d/f", 100)
		if err != nil || !strings.HasPrefix(string(data), "old") || !strings.HasPrefix("old and more", string(data)) {
			t.Fatalf("seed %d: %q %v", seed, data, err)
		}
		_, one := after.Stat("/d/new")
		_, two := after.Stat("/moved")
		if one == nil && two == nil {
			t.Fatalf("seed %d: it is there under both names", seed)
		}
	}
}

func TestAPowerCutLosesWhatWasNotSynced(t *testing.T) {
	lost := 0
	for seed := range uint64(50) {
		disk := NewMemory(MemoryOptions{Seed: seed})
		p := disk.Process("one")
		must(t, p.Create("/f", []byte("x"), Attributes{Mode: 0o644}), p.Sync("/f")) // but not the directory
		disk.PowerCut()
		if _, err := disk.Process("two").Stat("/f"); err != nil {
			lost++
		}
	}
	if lost < 10 || lost > 49 {
		t.Errorf("lost %d times of 50", lost)
	}
}

func TestALockEndsWithItsProcess(t *testing.T) {
	disk := NewMemory(MemoryOptions{})
	one, two := disk.Process("one"), disk.Process("two")
	if _, err := one.Lock("/lock", false); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Lock("/lock", false); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	one.Kill()
	lock, err := two.Lock("/lock", false)
	must(t, err)
	must(t, lock.Unlock())
}

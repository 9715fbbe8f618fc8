package runtime

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTheRegistryRemembersWhatWasKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := NewMemory(MemoryOptions{Seed: rapid.Uint64().Draw(t, "seed")})
		disk.PutDirectory("/o/registry", Attributes{Mode: 0o700})
		process := disk.Process("one")
		own := &records{disk: process, clock: SystemClock{}, dir: "/o"}
		model := map[string]registryEntry{}
		for range rapid.IntRange(1, 25).Draw(t, "rounds") {
			var entries []registryEntry
			for range rapid.IntRange(0, 40).Draw(t, "entries") {
				key := fmt.Sprintf("file\x00/x/%d", rapid.IntRange(0, 50).Draw(t, "key"))
				if slices.ContainsFunc(entries, func(e registryEntry) bool { return e.Key == key }) {
					continue
				}
				entry := registryEntry{Key: key}
				if rapid.IntRange(0, 3).Draw(t, "goes") > 0 {
					entry.Digest = rapid.StringMatching(`[0-9a-f]{8}`).Draw(t, "digest")
					entry.Object = rapid.StringMatching(`user [a-z]{1,5}`).Draw(t, "object")
				}
				entries = append(entries, entry)
			}
			r := newRegistry(own)
			if err := r.put(entries); err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				delete(model, entry.Key)
				if entry.Digest != "" {
					model[entry.Key] = entry
				}
			}
			switch rapid.IntRange(0, 5).Draw(t, "then") {
			case 0:
				if err := r.fold(); err != nil {
					t.Fatal(err)
				}
			case 1:
				disk.PowerCut()
				own.disk = disk.Process("next")
			}
			fresh := newRegistry(own)
			for n := range 51 {
				key := fmt.Sprintf("file\x00/x/%d", n)
				entry, ok, err := fresh.find(key)
				if err != nil {
					t.Fatal(err)
				}
				want, there := model[key]
				if ok != there || ok && entry != want {
					t.Fatalf("%s: %v %v, want %v %v", key, entry, ok, want, there)
				}
			}
			all, err := fresh.all()
			if err != nil {
				t.Fatal(err)
			}
			found := map[string]registryEntry{}
			for _, entry := range all {
				found[entry.Key] = entry
			}
			if difference := cmp.Diff(model, found); difference != "" {
				t.Fatal(difference)
			}
		}
	})
}

func TestAFoldThatIsInterruptedLosesNothing(t *testing.T) {
	model := map[string]registryEntry{}
	for n := range 300 {
		key := fmt.Sprintf("file\x00/%d", n)
		model[key] = registryEntry{Key: key, Digest: fmt.Sprint(n)}
	}
	prepare := func(seed uint64) (*Memory, *records) {
		disk := NewMemory(MemoryOptions{Seed: seed})
		disk.PutDirectory("/o/registry", Attributes{Mode: 0o700})
		own := &records{disk: disk.Process("one"), clock: SystemClock{}, dir: "/o"}
		must(t, newRegistry(own).put(slices.Collect(maps.Values(model))))
		return disk, own
	}
	disk, own := prepare(0)
	before := disk.Changes()
	must(t, newRegistry(own).fold())
	for n := 1; n <= disk.Changes()-before; n += 7 {
		crashed, own := prepare(uint64(n))
		at := crashed.Changes() + n
		crashed.SetHook(func(operation MemoryOperation) error {
			if operation.Number == at {
				crashed.PowerCut()
			}
			return nil
		})
		_ = newRegistry(own).fold()
		crashed.SetHook(nil)
		own.disk = crashed.Process("next")
		all, err := newRegistry(own).all()
		must(t, err)
		found := map[string]registryEntry{}
		for _, entry := range all {
			found[entry.Key] = entry
		}
		if difference := cmp.Diff(model, found); difference != "" {
			t.Fatalf("power cut at %d: %s", n, difference)
		}
	}
}

func TestSearchingTheRegistryFindsWhatIsIndexed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var data []byte
		for range rapid.IntRange(0, 30).Draw(t, "lines") {
			line, err := registryEntry{Key: fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "key")), Digest: rapid.StringMatching(`[0-9a-f]{4}`).Draw(t, "digest")}.encode()
			if err != nil {
				t.Fatal(err)
			}
			switch rapid.IntRange(0, 9).Draw(t, "damage") {
			case 0: // cut off
				line = line[:rapid.IntRange(0, len(line)).Draw(t, "length")]
			case 1: // a bit is another
				line[rapid.IntRange(0, len(line)-1).Draw(t, "at")] ^= 1
			}
			data = append(data, line...)
		}
		indexed := readLog(data).index()
		for key := range 6 {
			id := idOf(fmt.Sprint(key))
			at, ok := readLog(data).find(id)
			if want, there := indexed[id]; ok != there || ok && at != want {
				t.Fatalf("key %d: searched %d %v, indexed %d %v in %q", key, at, ok, want, there, data)
			}
		}
	})
}

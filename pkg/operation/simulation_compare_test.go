package operation

import (
	"context"
	"fmt"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

// compared is the second oracle: whatever has happened, what the servers remember
// of it is right. A comparison finds nothing, nothing left over either; what
// somebody then does by hand, it tells from what was kept.
func (w *simWorld) compared(p *simPanel) error {
	if err := w.differs(p, "with nothing done by hand", map[string]string{}); err != nil {
		return err
	}
	names := sortedKeys(w.model.items)
	if len(names) == 0 {
		return nil
	}
	machine, name := w.machines[w.random.IntN(len(w.machines))], names[w.random.IntN(len(names))]
	admin, path := machine.memory.Process("admin"), dataDirectory+"/"+name
	content, info, err := admin.Read(path, 1<<20)
	must(err)
	must(admin.Overwrite(path, []byte("by hand")))
	must(admin.Create(dataDirectory+"/stray", nil, info.Attributes))
	err = w.differs(p, "with a file changed and one added by hand", map[string]string{
		machine.name + " " + path: wire.ReasonHandEdited, machine.name + " " + dataDirectory + "/stray": wire.ReasonLeftOver,
	})
	if err != nil {
		return err
	}
	must(admin.Remove(path))
	if err := w.differs(p, "with a file removed by hand", map[string]string{
		machine.name + " " + path: wire.ReasonRemoved, machine.name + " " + dataDirectory + "/stray": wire.ReasonLeftOver,
	}); err != nil {
		return err
	}
	must(admin.Create(path, content, info.Attributes))
	must(admin.Remove(dataDirectory + "/stray"))
	must(admin.Sync(path, dataDirectory))
	return nil
}

func (w *simWorld) differs(p *simPanel, when string, want map[string]string) error {
	comparison, err := p.Compare(context.Background(), Selection{})
	if err != nil {
		return fmt.Errorf("comparing, %s: %w", when, err)
	}
	if diff := cmp.Diff(want, comparison.differing()); diff != "" {
		return fmt.Errorf("a comparison, %s (-wanted +found):\n%s", when, diff)
	}
	return nil
}

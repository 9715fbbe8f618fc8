package operation

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/wire"
)

// compared is the second oracle: whatever has happened, what the servers remember
// of it is right. A comparison finds nothing; what somebody then does by hand, it
// tells from what was kept.
func (w *simWorld) compared(p *simPanel) error {
	if err := w.drifts(p, "with nothing done by hand", map[string]string{}); err != nil {
		return err
	}
	machine := w.machines[w.random.IntN(len(w.machines))]
	names := sortedKeys(w.model.content(machine.name).Files)
	if len(names) == 0 || !w.model.servers[machine.name] {
		return nil
	}
	admin, path := machine.memory.Process("admin"), dataDirectory+"/"+names[w.random.IntN(len(names))]
	content, info, err := admin.Read(path, 1<<20)
	must(err)
	stray := dataDirectory + "/stray"
	must(admin.Overwrite(path, []byte("by hand")))
	must(admin.Create(stray, nil, info.Attributes))
	err = w.drifts(p, "with a file changed and one added by hand", map[string]string{
		machine.name + " " + path: wire.ReasonHandEdited, machine.name + " " + stray: wire.ReasonLeftOver,
	})
	if err != nil {
		return err
	}
	must(admin.Remove(path))
	must(admin.Remove(stray))
	if err := w.drifts(p, "with a file removed by hand", map[string]string{machine.name + " " + path: wire.ReasonRemoved}); err != nil {
		return err
	}
	must(admin.Create(path, content, info.Attributes))
	must(admin.Sync(path, dataDirectory))
	return nil
}

func (w *simWorld) drifts(p *simPanel, when string, want map[string]string) error {
	comparison, err := p.Compare(context.Background(), Selection{})
	if err != nil {
		return fmt.Errorf("comparing, %s: %w", when, err)
	}
	found := comparison.differing()
	for _, m := range w.machines {
		maps.DeleteFunc(found, func(resource, reason string) bool {
			name := resource[strings.LastIndexAny(resource, "/ ")+1:]
			return reason == wire.ReasonLeftOver && strings.HasPrefix(resource, m.name+" ") && m.excused[name]
		})
	}
	if diff := cmp.Diff(want, found); diff != "" {
		return fmt.Errorf("a comparison, %s (-wanted +found):\n%s", when, diff)
	}
	return nil
}

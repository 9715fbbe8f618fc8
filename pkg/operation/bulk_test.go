package operation

import (
	"context"
	"fmt"
	"testing"
	"time"

	"orchestra/pkg/noun"
	"orchestra/pkg/store"
)

func addItems(first, n int) func(context.Context, noun.Planner) error {
	return func(ctx context.Context, plan noun.Planner) error {
		for i := first; i < first+n; i++ {
			if _, err := plan.Add(ctx, "item", noun.Values{"name": fmt.Sprintf("bulk%d", i), "account": "acme", "value": "v"}); err != nil {
				return err
			}
		}
		return nil
	}
}

// The number of statements of one small operation does not grow with what is stored.
func TestTheCostOfAnOperationDoesNotGrowWithTheObjects(t *testing.T) {
	servers := fakes(3)
	p := newTestPanel(t, threeServers(3), connectTo(servers))
	p.must("account", addAccount("acme"))
	count := func(name string) int {
		statements := 0
		traced, err := store.Open(context.Background(), store.Options{
			Path: p.path, Registry: p.options.Registry, Trace: func(string) { statements++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer traced.Close()
		options := p.options
		options.Store = traced
		_, err = New(options).Run(context.Background(), Request{Command: name, Mutate: addItem(name, "acme", "v")})
		if err != nil {
			t.Fatal(err)
		}
		return statements
	}
	few := count("few")
	p.must("bulk", addItems(0, 500))
	if many := count("many"); many != few {
		t.Errorf("%d statements beside 1 item, %d beside 500", few, many)
	}
}

func BenchmarkBulk(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			servers := fakes(3)
			p := newTestPanel(b, threeServers(3), connectTo(servers))
			p.must("account", addAccount("acme"))
			b.ResetTimer()
			first := 0
			for b.Loop() {
				began := time.Now()
				p.must("bulk", addItems(first, n))
				first += n
				b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms")
			}
		})
	}
}

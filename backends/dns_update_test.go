package backends_test

import (
	"strings"
	"testing"

	"orchestra/pkg/backend"
	"orchestra/pkg/noun"
)

func TestWhatAProviderIsTold(t *testing.T) {
	catalogue, err := backend.Load("")
	if err != nil {
		t.Fatal(err)
	}
	const (
		zone  = "act zone example.org probe_zone refuse_zone nothing reversible\n"
		told  = "act update example.org probe_update update nothing later \x100\x11\n"
		empty = "act update example.org probe_update update nothing later\n"
		need  = "need dig\nneed named-compilezone\nneed nsupdate\n"
	)
	within := zoneFacts(noun.Facts{"zone": false, "text": ""})
	for _, one := range []struct {
		name   string
		object backend.Object
		want   string
	}{
		{"a new one", zoneObject("save", zoneFacts(nil), nil), zone + told},
		{"disabled", zoneObject("save", zoneFacts(noun.Facts{"active": false}), zoneFacts(nil)), empty},
		{"deleted", zoneObject("delete", zoneFacts(nil), nil), empty},
		{"no zone any more", zoneObject("save", within, zoneFacts(nil)), ""},
		{"deleted within another zone", zoneObject("delete", within, nil), ""},
	} {
		t.Run(one.name, func(t *testing.T) {
			b := catalogue.Backend("dns-update")
			if got := declared(t, b.Declare, b.Acts, one.object); strings.TrimSpace(got) != need+one.want+"end" {
				t.Errorf("it declares\n%s\nand not\n%s", got, need+one.want)
			}
		})
	}
}

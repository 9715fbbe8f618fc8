package backend

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"orchestra/pkg/noun"
	"orchestra/pkg/runtime"
)

var text = rapid.StringOfN(rapid.RuneFrom([]rune("a\\ '\"$`\n\t\x1b\x1e\x1f\x7f;|&*?é密\U0001F511")), 0, 20, -1)

func TestEncodedObjectsDecodeToThemselves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		object := Object{Action: "save", Noun: "user", ID: 7, Name: text.Draw(t, "name"),
			Facts:  map[string]any{"home": text.Draw(t, "home"), "groups": rapid.SliceOfN(text, 0, 4).Draw(t, "groups")},
			Before: map[string]any{"home": text.Draw(t, "old home")}}
		records, contents, err := EncodeObjects([]Object{object, {Action: "delete", Noun: "user", ID: 8, Name: "b"}})
		if err != nil || len(contents) != 0 {
			t.Fatalf("%v, %d contents", err, len(contents))
		}
		decoded, err := runtime.DecodeObjects(records)
		if err != nil || len(decoded) != 2 {
			t.Fatalf("%d objects, %v", len(decoded), err)
		}
		got := decoded[0]
		if got.Name != object.Name || got.Facts["home"] != object.Facts["home"] || got.Before["home"] != object.Before["home"] ||
			!reflect.DeepEqual(got.Lists["groups"], append([]string{}, object.Facts["groups"].([]string)...)) {
			t.Fatalf("%#v came back as %#v", object, got)
		}
	})
}

func TestContentsTravelApartAndCannotBeForged(t *testing.T) {
	const secret = "$y$secret"
	records, contents, err := EncodeObjects([]Object{{Action: "save", Noun: "user", ID: 1, Name: "a", Facts: map[string]any{
		"hash": noun.Confidential(secret), "keys": noun.Content("ssh-ed25519 AAAA\n"), "none": noun.Content("")}}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(records, secret) || len(contents) != 2 || !contents[0].Secret || contents[1].Secret {
		t.Errorf("records %q, contents %+v", records, contents)
	}
	decoded, err := runtime.DecodeObjects(records)
	if err != nil || decoded[0].Facts["hash"] != contents[0].Reference || decoded[0].Facts["none"] != "" {
		t.Errorf("decoded %+v, %v", decoded, err)
	}
	for _, forged := range []string{contents[0].Reference, "\x10", "a\x00b"} {
		if _, _, err := EncodeObjects([]Object{{Action: "save", Noun: "user", Name: "a", Facts: map[string]any{"home": forged}}}); err == nil {
			t.Errorf("the fact %q was accepted", forged)
		}
	}
}

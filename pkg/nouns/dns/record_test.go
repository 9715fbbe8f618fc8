package dns

import (
	"testing"

	"orchestra/pkg/noun"
)

func TestAReplacedRecordKeepsAllThatWasGivenOfIt(t *testing.T) {
	n := recordNoun()
	n.Fields = append(n.Fields, noun.Field{Name: "note", Type: noun.Text{}, Help: "What people say of it"})
	is := noun.Values{"name": "www.example.org A 192.0.2.1", "owner": "www.example.org", "type": "A", "value": "192.0.2.1", "domain": int64(1),
		"ttl": int64(60), "note": "mine"}
	got := settable(n, noun.Row{Noun: recordName, Values: is})
	want := noun.Values{"name": is["name"], "ttl": is["ttl"], "note": is["note"]}
	if !got.Equal(want) {
		t.Errorf("%v is kept, want %v", got, want)
	}
}

package cli

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orchestra/pkg/nouns/servers"
	"orchestra/pkg/operation"
)

// The layers keep the nouns from naming the coordinator's types: what is
// declared twice must stay the same.
func TestTheNounsTopologyIsTheCoordinators(t *testing.T) {
	for name, pair := range map[string][2]reflect.Type{
		"Server": {reflect.TypeFor[operation.Server](), reflect.TypeFor[servers.Server]()},
		"Route":  {reflect.TypeFor[operation.Route](), reflect.TypeFor[servers.Route]()},
	} {
		if diff := cmp.Diff(fieldsOf(pair[0]), fieldsOf(pair[1])); diff != "" {
			t.Errorf("%s (-coordinator +nouns):\n%s", name, diff)
		}
	}
	wanted, has := reflect.TypeFor[operation.Topology](), reflect.TypeFor[servers.Topology]()
	for method := range wanted.Methods() {
		theirs, there := has.MethodByName(method.Name)
		if !there || theirs.Type.NumIn()-1 != method.Type.NumIn() || theirs.Type.NumOut() != method.Type.NumOut() {
			t.Errorf("Topology: %s is not the same", method.Name)
		}
	}
}

func fieldsOf(of reflect.Type) []string {
	var fields []string
	for field := range of.Fields() {
		fields = append(fields, field.Name+" "+field.Type.String())
	}
	return fields
}

package operation

import (
	"encoding/json"

	"orchestra/pkg/backend"
	"orchestra/pkg/wire"
)

func encodeObjects(objects []backend.Object) (string, []wire.ContentItem, error) {
	text, err := json.Marshal(objects)
	return string(text), nil, err
}

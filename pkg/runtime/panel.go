package runtime

import (
	"encoding/json"
	"errors"
	"io/fs"

	"orchestra/pkg/wire"
)

// panelLine is one line of the log that says whom this server follows.
type panelLine struct {
	PanelID  string `json:"panel"`
	Sequence int64  `json:"sequence"`
}

// panel returns the panel that the server follows; zero where there is none yet.
func (r *records) panel() (panelLine, bool, error) {
	data, _, err := r.disk.Read(r.path(filePanel), ownLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return panelLine{}, false, nil
	}
	if err != nil {
		return panelLine{}, false, err
	}
	var last panelLine
	torn, err := decodeLines(data, func(content []byte) error { return json.Unmarshal(content, &last) })
	return last, torn || len(data) > logLimit, err
}

// checkPanel refuses a panel that is not ours, and returns what is known of ours.
// That a panel's database is older than this server, only the panel can tell:
// by the number that HELLO says.
func (r *records) checkPanel(id string) (panelLine, error) {
	if id == "" || len(id) > 100 || printable(id) != id {
		return panelLine{}, fail(wire.CodePanel, "", "a panel without a name")
	}
	last, _, err := r.panel()
	if err == nil && last.PanelID != "" && last.PanelID != id {
		err = fail(wire.CodePanel, "", "this server follows the panel %s, not %s", last.PanelID, id)
	}
	return last, err
}

// setPanel records whom the server follows. It is durable only once the names
// it returns are synced.
func (r *records) setPanel(line panelLine) (unsynced []string, err error) {
	content, err := encodeLine(line)
	if err != nil {
		return nil, err
	}
	name := r.path(filePanel)
	_, anew, err := r.panel()
	if err != nil {
		return nil, err
	}
	if !anew {
		err = r.disk.Append(name, content)
		if errors.Is(err, fs.ErrNotExist) {
			if err := r.disk.Create(name, content, rootFile); err != nil {
				return nil, err
			}
			return []string{name, r.dir}, nil
		}
		return []string{name}, err
	}
	// The log is long, or its last line is torn: write it anew.
	return r.replaceLog(name, content)
}

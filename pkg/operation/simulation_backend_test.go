package operation

import (
	"fmt"
	"strings"

	"orchestra/pkg/runtime"
)

// pivotServer is where items may want an act without a way back.
const pivotServer = "h11"

// The functions of the test backend's acts.
const (
	probeThere = "probe_there"
	probeGone  = "probe_gone"
	makeData   = "make_data"
	dropData   = "drop_data" // the undo of making it
	destroy    = "destroy"   // later: there is no way back
	probeList  = "probe_list"
	setList    = "set_list" // the pivot
)

// declare is the declaring part of the test backend: for each item a file, an
// entry of a shared map, a home, data made by an act, and, where the item says
// so, a secret and an act without a way back; and a reload.
func (m *simMachine) declare(child runtime.Child) (runtime.Result, error) {
	objects, err := runtime.DecodeObjects(string(child.Input))
	if err != nil {
		return runtime.Result{ExitCode: 1, Output: err.Error()}, nil
	}
	var out []byte
	for i, object := range objects {
		say := func(verb string, arguments ...string) {
			out = runtime.AppendDeclaration(out, i+1, verb, arguments...)
		}
		name, facts := object.Name, object.Facts
		home := homesDirectory + "/" + name + homeEnding
		if object.Action == "delete" {
			say("absent", dataDirectory+"/"+name)
			say("absent", secretsDirectory+"/"+name)
			say("drop-entry", "/etc/map", name, "colon")
			say("park", home)
			say("act", "data", name, probeGone, destroy, "", "later")
			continue
		}
		say("file", dataDirectory+"/"+name, "0", "0", "0644", facts["content"])
		say("entry", "/etc/map", name, facts["value"], "colon")
		say("dir", home, "0", "0", "0755")
		say("act", "data", name, probeThere, makeData, dropData, "reversible")
		if facts["password"] != "" {
			say("file", secretsDirectory+"/"+name, "0", "0", "0600", facts["password"])
		}
		if pivots(facts["value"]) && m.name == pivotServer {
			say("act", "list", name, probeList, setList, "", "pivot", facts["list"])
		}
	}
	out = runtime.AppendDeclaration(out, 0, "own", "file", dataDirectory, "all")
	out = runtime.AppendDeclaration(out, 0, "own", "entry", "/etc/map")
	out = runtime.AppendDeclaration(out, 0, "reload", "mapd.service")
	return runtime.Result{Answer: runtime.EndDeclarations(out)}, nil
}

// homeEnding tells homes in the trash from files.
const homeEnding = ".home"

// act is one function of the acts. What it does lasts, even where its process
// is killed right behind it.
func (p *simProcess) act(child runtime.Child) (runtime.Result, error) {
	m := p.machine
	fields := strings.Split(string(child.Input), "\x00")
	var answer []byte
	for i, key := range child.Arguments {
		content := fields[4*i+2] // of key, state before, content and name in the trash
		if !p.isDead() && (child.Function == setList || child.Function == destroy) {
			m.world.watch.sees(m, child.Function, key, content)
		}
		m.mutex.Lock()
		if p.isDead() {
			m.mutex.Unlock()
			return runtime.Result{}, errCrashed
		}
		now := fmt.Sprint(m.data[key])
		switch child.Function {
		case probeThere:
			answer = fmt.Appendf(answer, "%s\x00%s\x00true\x00", key, now)
		case probeGone:
			answer = fmt.Appendf(answer, "%s\x00%s\x00false\x00", key, now)
		case probeList:
			answer = fmt.Appendf(answer, "%s\x00%s\x00%s\x00", key, m.list[key], content)
		case makeData:
			m.data[key] = true
			m.done++
		case dropData, destroy:
			delete(m.data, key)
			m.done++
		case setList:
			m.list[key] = content
			m.done++
		}
		m.mutex.Unlock()
	}
	return runtime.Result{Answer: answer}, nil
}

// content returns what the machine serves.
func (m *simMachine) content() simContent {
	content := newContent()
	for path, text := range m.memory.Dump("/var/lib/orchestra") {
		_, body, _ := strings.Cut(text, "0644 ")
		if name, is := strings.CutPrefix(path, dataDirectory+"/"); is {
			content.Files[name] = strings.TrimSuffix(body, "\n")
		}
		if name, is := strings.CutPrefix(path, secretsDirectory+"/"); is {
			_, content.Secrets[name], _ = strings.Cut(text, "0600 ")
		}
		if name, is := strings.CutPrefix(path, homesDirectory+"/"); is {
			content.Homes[strings.TrimSuffix(name, homeEnding)] = "there"
		}
		if path == "/etc/map" {
			for line := range strings.Lines(body) {
				key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
				content.Entries[key] = strings.TrimSpace(value)
			}
		}
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for key := range m.data {
		content.Data[key] = "there"
	}
	for key, value := range m.list {
		content.List[key] = value
	}
	return content
}

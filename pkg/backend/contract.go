// Package backend is the contract between Orchestra and its backends: folders
// of constant bash that are told facts and declare what should be.
package backend

import "time"

// The kinds of backends: what brings a service about, and what counts its use.
const (
	Serve   = "serve"
	Measure = "measure"
)

// The methods of backends: on the servers that routes name, or on the panel
// itself, for what is reached from there: a provider's API, a registrar, Ansible.
const (
	OnServer = "server"
	Panel    = "panel"
)

// Backend is a folder: backend.toml and its scripts.
type Backend struct {
	Name     string
	Noun     string        // the noun that it brings onto servers
	Related  []string      // nouns whose change tells this backend about its objects again
	Kind     string        // Serve or Measure
	Method   string        // OnServer or Panel
	Actions  []string      // "save", "delete" and named ones
	Programs []string      // what it needs on a server
	Peers    []string      // backends of whose servers it is told the addresses
	Shares   string        // the backend whose acts.sh and setup.sh it has where it has none of its own
	Settings []string      // of the panel, that it is told
	Timeout  time.Duration // of each child process; default 60 s
	Help     string        // one line
	// VerifyLogin asks for a fresh login after the reload, before the commit.
	VerifyLogin bool
	// Folder is where it was found; "" for one that is embedded.
	Folder  string
	Declare string // declare.sh
	Acts    string // acts.sh, may be empty
	Setup   string // setup.sh, the declaring part of `backend setup`, may be empty
}

// Object is what a backend is told about one object.
type Object struct {
	Action string // "save", "delete" or a named one
	Noun   string
	ID     int64
	Name   string
	// Facts now, and as they were before this operation (nil for a new object).
	// Values as of noun.Facts; a delete has its last facts in Facts.
	Facts  map[string]any
	Before map[string]any
}

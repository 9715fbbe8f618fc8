package operation

import (
	"maps"

	"orchestra/pkg/backend"
	"orchestra/pkg/store"
)

// withPeers adds to the facts of an object the addresses of the servers where
// it is by the backends that told names as its peers: a master of a zone has to
// know its slaves. The facts themselves stay as they are.
func withPeers(facts map[string]any, told *backend.Backend, on map[string]map[int64]bool, servers map[int64]Server) map[string]any {
	if len(told.Peers) == 0 || facts == nil {
		return facts
	}
	with := maps.Clone(facts)
	for _, peer := range told.Peers {
		addresses := []string{}
		for _, id := range sortedKeys(on[peer]) {
			if address := servers[id].Address; address != "" {
				addresses = append(addresses, address)
			}
		}
		with["addresses_"+peer] = addresses
	}
	return with
}

// placedByObject returns where objects are, by object, backend and server.
func placedByObject(placed []store.Placement) map[int64]map[string]map[int64]bool {
	all := map[int64]map[string]map[int64]bool{}
	for _, placement := range placed {
		if all[placement.Object] == nil {
			all[placement.Object] = map[string]map[int64]bool{}
		}
		put(all[placement.Object], placement.Backend, placement.Server)
	}
	return all
}

// peered is withPeers, once for all servers of a backend: steps that tell the
// same share it.
func (s *subject) peered(when string, facts map[string]any, told *backend.Backend, on map[string]map[int64]bool, servers map[int64]Server) map[string]any {
	if len(told.Peers) == 0 {
		return facts
	}
	key := when + " " + told.Name
	if s.withPeers[key] == nil {
		if s.withPeers == nil {
			s.withPeers = map[string]map[string]any{}
		}
		s.withPeers[key] = withPeers(facts, told, on, servers)
	}
	return s.withPeers[key]
}

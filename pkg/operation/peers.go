package operation

import (
	"maps"
	"net/netip"

	"orchestra/pkg/backend"
	"orchestra/pkg/fault"
	"orchestra/pkg/store"
)

// withPeers adds to the facts of an object the addresses of the servers where
// it is by the backends that told names as its peers: a master of a zone has to
// know its slaves. The facts themselves stay as they are. A server whose address
// is a name, or that has none, is a fault of kind Conflict, and left out.
func withPeers(facts map[string]any, told *backend.Backend, on map[string]map[int64]bool, servers map[int64]Server) (map[string]any, error) {
	if len(told.Peers) == 0 || facts == nil {
		return facts, nil
	}
	var missing error
	with := maps.Clone(facts)
	for _, peer := range told.Peers {
		addresses := []string{}
		for _, id := range sortedKeys(on[peer]) {
			server := servers[id]
			if _, err := netip.ParseAddr(server.Address); err != nil {
				missing = fault.New(fault.Conflict, "the backend %s needs the IP address of the server %s, and has %q", told.Name, server.Name, server.Address).
					WithHint("orchestra server set %s --address 192.0.2.11", server.Name)
				continue
			}
			addresses = append(addresses, server.Address)
		}
		with["addresses_"+peer] = addresses
	}
	return with, missing
}

// readdressed returns the servers that have another address than before.
func readdressed(old, routed topology) map[int64]bool {
	changed := map[int64]bool{}
	for id, server := range routed.servers {
		if was, is := old.servers[id]; is && was.Address != server.Address {
			changed[id] = true
		}
	}
	return changed
}

// tellOfAddresses has those objects told again that are by some backend where it
// knows one of the servers as a peer.
func (c *Coordinator) tellOfAddresses(of []*subject, readdressed map[int64]bool) {
	if len(readdressed) == 0 {
		return
	}
	for _, s := range of {
		for name := range s.targets {
			told := c.options.Backends.Backend(name)
			if told == nil {
				continue
			}
			for _, peer := range told.Peers {
				for id := range s.targets[peer] {
					s.told = s.told || readdressed[id]
				}
			}
		}
	}
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
func (s *subject) peered(when string, facts map[string]any, told *backend.Backend, on map[string]map[int64]bool, servers map[int64]Server) (map[string]any, error) {
	if len(told.Peers) == 0 {
		return facts, nil
	}
	key := when + " " + told.Name
	if s.withPeers[key] == nil {
		with, err := withPeers(facts, told, on, servers)
		if err != nil && when != "before" { // what was is only compared with, and may be mended now
			return nil, err
		}
		if s.withPeers == nil {
			s.withPeers = map[string]map[string]any{}
		}
		s.withPeers[key] = with
	}
	return s.withPeers[key], nil
}

package nountest_test

import (
	"testing"

	"orchestra/pkg/noun"
	"orchestra/pkg/nouns/accounts"
	"orchestra/pkg/nouns/servers"
	"orchestra/pkg/store/storetest"
)

// TestNounsConform holds every noun to what the engine promises of it.
func TestNounsConform(t *testing.T) {
	backends := func() ([]servers.Backend, error) { return []servers.Backend{{Name: "unix-user", Noun: "user"}}, nil }
	storetest.Conform(t, map[string]noun.Values{
		"server": {"address": "192.0.2.11", "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"},
		"route":  {"name": "unix-user@h11", "backend": "unix-user", "server": "h11", "match": "true"},
	}, append(accounts.Nouns(nil), servers.Nouns(backends)...)...)
}

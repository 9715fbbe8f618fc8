package settings

import "time"

// Default returns the settings where nobody has set anything.
func Default() *Settings {
	return &Settings{
		Database:         "/var/lib/orchestra/orchestra.db",
		Language:         "en",
		EmergencyContact: "warn",
		Log:              Log{Level: "info"},
		SSH:              SSH{ConnectTimeout: 10 * time.Second, RetryAfter: time.Minute, Slots: 4, Agent: true},
		Runtime:          Runtime{Directory: "/var/lib/orchestra", PackageDirectory: "/usr/lib/orchestra"},
		Lock:             Lock{Wait: 30 * time.Second},
		Operation:        Operation{Timeout: 15 * time.Minute},
		Unix: Unix{
			FirstID: 70000, LastID: 99999,
			HomeRoots: []string{"/home"},
			Shells:    []string{"/bin/bash", "/bin/sh"},
		},
		Password: Password{MinimumLength: 8, Scheme: "yescrypt"},
		DNS:      DNS{Refresh: 86400, Retry: 7200, Expire: 2419200, Minimum: 3600, TTL: 3600},
		Output:   Output{Format: "table", Color: "auto"},
		Backends: Backends{Directory: "/etc/orchestra/backends"},
	}
}

// Package acceptance tries the promises through the real binary on the fleet:
// real Debian servers, real SSH, real files.
package acceptance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"orchestra/testdata/fleet"
)

// background is the context of what no test bounds.
var background = context.Background()

// shared is what all tests use: one fleet of three, one panel that is set up.
var shared struct {
	fleet          *fleet.Fleet
	panel          *panel
	binary         string
	master         master // what serves zones on h11
	withZones      bool   // whether the servers have been made to serve them
	transferSecret string // of the key of zone transfers, once it was looked up
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if err := fleet.Available(); err != nil {
		if os.Getenv("ORCHESTRA_WITHOUT_FLEET") == "1" {
			fmt.Fprintf(os.Stderr, "\n*** LEFT OUT: all acceptance tests on real servers: %v ***\n\n", err)
			return 0
		}
		fmt.Fprintf(os.Stderr, "the fleet can't be had: %v\nset ORCHESTRA_WITHOUT_FLEET=1 to leave these tests out\n", err)
		return 1
	}
	ctx := context.Background()
	if err := prepare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = shared.fleet.Stop(ctx) }()
	return m.Run()
}

func prepare(ctx context.Context) error {
	binary, err := filepath.Abs(filepath.Join("..", "..", "build", "orchestra"))
	if err != nil {
		return err
	}
	if given := os.Getenv("ORCHESTRA_BINARY"); given != "" {
		binary = given
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("no binary to try: run make build first: %w", err)
	}
	shared.binary, shared.master = binary, bind
	shared.fleet, err = fleet.Start(ctx, fleet.Options{Prefix: fleetPrefix() + "acc", Hosts: 3, Role: "dns"})
	if err != nil {
		return fmt.Errorf("starting the fleet: %w", err)
	}
	if shared.panel, err = newSharedPanel(); err != nil {
		_ = shared.fleet.Stop(ctx)
	}
	return err
}

// fleetPrefix is what the names of all fleets of these tests begin with.
func fleetPrefix() string {
	if prefix := os.Getenv("ORCHESTRA_FLEET_PREFIX"); prefix != "" {
		return prefix
	}
	return "of"
}

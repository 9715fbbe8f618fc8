package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orchestra/testdata/fleet"
)

// TestAUserIsWhereItWasPlacedAndMoves places a user on one of three servers and
// moves it: it is on the new one alone, and its old home is in the trash.
func TestAUserIsWhereItWasPlacedAndMoves(t *testing.T) {
	p, from, to := shared.panel, shared.fleet.Host(1), shared.fleet.Host(2)
	before := digests(t)
	p.must(t, "account", "add", "placed", "--full-name", "Placed")
	p.must(t, "user", "add", "placed-one", "--account", "placed", "--access", "shell", "--on", from.Name)
	wantUserOn(t, "placed-one", from.Name)
	onHost(t, from, "install -o placed-one -m 600 /dev/null /home/placed-one/work")
	preview := p.must(t, "user", "move", "placed-one", "--on", to.Name, "--dry-run")
	if !strings.Contains(preview, "/home/placed-one") {
		t.Errorf("the preview does not show what becomes of the home:\n%s", preview)
	}
	p.must(t, "user", "move", "placed-one", "--on", to.Name, "--yes")
	wantUserOn(t, "placed-one", to.Name)
	if found := onHost(t, from, "find /var/lib/orchestra/trash /home/.orchestra-trash -name work 2>/dev/null || true"); found == "" {
		t.Error("what was in the old home is not in the trash")
	}
	p.must(t, "user", "move", "placed-one", "--on", "", "--yes")
	wantUserOn(t, "placed-one", shared.fleet.Host(0).Name, from.Name, to.Name)
	p.must(t, "account", "delete", "placed", "--yes")
	wantAsBefore(t, before)
}

// wantUserOn wants a user on those servers and on no other.
func wantUserOn(t *testing.T, user string, names ...string) {
	t.Helper()
	for _, host := range shared.fleet.Hosts() {
		is := strings.TrimSpace(onHost(t, host, "getent passwd "+user+" >/dev/null && echo yes || echo no"))
		want := "no"
		for _, name := range names {
			if name == host.Name {
				want = "yes"
			}
		}
		if is != want {
			t.Errorf("user %s on %s: %s, want %s", user, host.Name, is, want)
		}
	}
}

// TestABackendOfThePanelRunsThere makes a panel of a server itself: a backend of
// the method panel tells a provider of users, is refused elsewhere, and owes
// what the provider could not be told.
func TestABackendOfThePanelRunsThere(t *testing.T) {
	host := shared.fleet.Host(0)
	onHost(t, host, "mkdir -p /root/provider /root/own/backends/provider")
	defer onHost(t, host, "rm -rf /root/own /root/provider /var/lib/orchestra-own")
	for _, name := range []string{"backend.toml", "declare.sh", "acts.sh"} {
		text, err := os.ReadFile(filepath.Join("backends", "provider", name))
		if err != nil {
			t.Fatal(err)
		}
		onHost(t, host, "umask 077; cat >/root/own/backends/provider/"+name+" <<'TO_HERE'\n"+string(text)+"TO_HERE")
	}
	ownPanel(t, host, 0, "init")
	ownPanel(t, host, 0, `server add far --address 192.0.2.99 --host-key "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"`)
	if said := ownPanel(t, host, 5, "route add provider --server far --match true"); !strings.Contains(said, "--transport local") {
		t.Errorf("the refusal does not say what would do:\n%s", said)
	}
	ownPanel(t, host, 0, "server add panel --transport local")
	ownPanel(t, host, 0, "route add provider --server panel --match true")
	ownPanel(t, host, 4, "server set panel --transport ssh --address 192.0.2.99 --host-key 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g'")
	ownPanel(t, host, 0, "account add acme")
	if there := onHost(t, host, "ls /root/provider"); there != "acme\n" {
		t.Errorf("the provider knows %q", there)
	}
	// The provider is down: what is decided stays so, and is done later.
	onHost(t, host, "touch /root/provider/down")
	ownPanel(t, host, 9, "user add acme-web --account acme")
	onHost(t, host, "find /root/provider/down -delete")
	ownPanel(t, host, 0, "recover")
	if there := onHost(t, host, "ls /root/provider"); there != "acme\nacme-web\n" {
		t.Errorf("the provider knows %q", there)
	}
	ownPanel(t, host, 0, "account delete acme --yes")
	if there := onHost(t, host, "ls /root/provider"); there != "" {
		t.Errorf("the provider still knows %q", there)
	}
}

// ownPanel runs orchestra on a server itself, and wants that exit code.
func ownPanel(t *testing.T, host *fleet.Host, code int, command string) string {
	t.Helper()
	const environment = "export ORCHESTRA_DATABASE=/root/own/orchestra.db ORCHESTRA_RUNTIME_DIRECTORY=/var/lib/orchestra-own " +
		"ORCHESTRA_BACKENDS_DIRECTORY=/root/own/backends ORCHESTRA_LOG_FILE=/root/own/log ORCHESTRA_EMERGENCY_CONTACT=off; "
	said, err := host.Run(background, environment+"binary=(/var/lib/orchestra/bin/*/orchestra); \"${binary[0]}\" "+command+" 2>&1; echo \"exit $?\"")
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, said)
	}
	if want := fmt.Sprintf("exit %d\n", code); !strings.HasSuffix(said, want) {
		t.Fatalf("orchestra %s: want %s, got:\n%s", command, want, said)
	}
	return said
}

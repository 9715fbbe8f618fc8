package acceptance

import (
	"strings"
	"testing"
)

// TestAPasswordThatItsUserChangedStaysHis: the panel sets a password when it is
// given one, and no other change of the user overwrites what passwd(1) made of it.
func TestAPasswordThatItsUserChangedStaysHis(t *testing.T) {
	p, host := shared.panel, shared.fleet.Host(0)
	p.must(t, "account", "add", "owned", "--full-name", "Owned")
	defer p.must(t, "account", "delete", "owned", "--yes")
	who := newCustomer(t, "owned-one").withPassword("first password 1")
	p.mustWith(t, "first password 1\n", "user", "add", "owned-one", "--account", "owned", "--access", "shell", "--password-stdin")
	onHost(t, host, "echo 'owned-one:his own password 2' | chpasswd")
	p.must(t, "user", "set", "owned-one", "--add-key", who.public)
	p.must(t, "user", "disable", "owned-one", "--reason", "unpaid")
	p.must(t, "user", "enable", "owned-one")
	if _, err := who.withPassword("his own password 2").ssh(t, host, "true"); err != nil {
		t.Errorf("his own password was overwritten: %v", err)
	}
	if said := p.must(t, "drift", "user", "owned-one"); strings.Contains(said, "owned-one") {
		t.Errorf("a password of one's own is a difference:\n%s", said)
	}
	p.mustWith(t, "third password 3\n", "passwd", "user", "owned-one", "--password-stdin")
	if _, err := who.withPassword("his own password 2").ssh(t, host, "true"); err == nil {
		t.Error("the old password still works")
	}
	if _, err := who.withPassword("third password 3").ssh(t, host, "true"); err != nil {
		t.Errorf("the new password does not: %v", err)
	}
}

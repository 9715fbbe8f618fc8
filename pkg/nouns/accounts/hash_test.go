package accounts

import (
	"os/exec"
	"strings"
	"testing"

	"orchestra/pkg/settings"
	"orchestra/pkg/value"
)

// The hashes are compared with those of the system's own crypt(3), which is
// what PAM will ask on the servers.
func TestHashesAreThoseOfCrypt(t *testing.T) {
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("LEFT OUT: perl is not installed, so crypt(3) can't be asked")
	}
	for _, policy := range []settings.Password{
		{Scheme: "yescrypt"}, {Scheme: "yescrypt", Cost: 1}, {Scheme: "yescrypt", Cost: 3},
		{Scheme: "sha512"}, {Scheme: "sha512", Cost: 1000},
	} {
		for _, plain := range []string{"correct horse battery staple", "$6$saltsalt$hash", "éèà\\n%s'\"", strings.Repeat("w", 511)} {
			hash, err := hashPassword(plain, policy)
			if err != nil {
				t.Fatal(err)
			}
			if err := value.CryptHash(hash); err != nil {
				t.Errorf("%+v: our own hash %s is refused: %v", policy, hash, err)
			}
			command := exec.Command("perl", "-e", `local $/; my ($plain, $hash) = split /\0/, <STDIN>; print crypt($plain, $hash)`)
			command.Stdin = strings.NewReader(plain + "\x00" + hash)
			output, err := command.Output()
			if err != nil {
				t.Fatal(err)
			}
			if string(output) != hash {
				t.Errorf("%+v: crypt(3) says %q of our %q", policy, output, hash)
			}
			if !matches(hash, plain) || matches(hash, plain[:len(plain)-1]) || matches("", plain) || matches("!", plain) {
				t.Errorf("%+v: matches does not tell %.20q apart", policy, plain)
			}
		}
	}
	for _, policy := range []settings.Password{{Scheme: "yescrypt", Cost: 12}, {Scheme: "sha512", Cost: 5}} {
		if _, err := hashPassword("x", policy); err == nil {
			t.Errorf("%+v was accepted", policy)
		}
	}
}

func TestSaltsAndGeneratedPasswordsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		password, err := generatePassword()
		if err != nil {
			t.Fatal(err)
		}
		if seen[password] || len(password) != 23 {
			t.Fatalf("generated %q", password)
		}
		if err := value.Password(password, 8); err != nil {
			t.Fatal(err)
		}
		seen[password] = true
	}
	one, _ := hashPassword("same", settings.Password{Scheme: "yescrypt", Cost: 1})
	two, _ := hashPassword("same", settings.Password{Scheme: "yescrypt", Cost: 1})
	if one == two || one == "" {
		t.Error("two hashes have the same salt")
	}
}

package value_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"orchestra/pkg/value"
)

// refused stands for a value that must not be accepted.
const refused = "\x00refused"

type row struct{ typed, wanted string }

func tryRows(t *testing.T, parse func(string) (string, error), rows []row) {
	t.Helper()
	for _, r := range rows {
		got, err := parse(r.typed)
		switch {
		case r.wanted == refused && err == nil:
			t.Errorf("%.100q was accepted as %.100q", r.typed, got)
		case r.wanted != refused && err != nil:
			t.Errorf("%.100q was refused: %v", r.typed, err)
		case r.wanted != refused && got != r.wanted:
			t.Errorf("%.100q became %.100q, wanted %.100q", r.typed, got, r.wanted)
		}
	}
}

func TestUnixNamesAreWhatDebianTakes(t *testing.T) {
	tryRows(t, value.UnixName, []row{
		{"acme", "acme"}, {"_acme", "_acme"}, {"a", "a"}, {"acme-web.2_x", "acme-web.2_x"},
		{strings.Repeat("a", 32), strings.Repeat("a", 32)},
		{strings.Repeat("a", 33), refused}, {"", refused}, {"_", refused}, {"__a", refused}, {"_1", refused},
		{"1a", refused}, {"a..b", refused}, {"a.", refused}, {"a-", refused}, {".a", refused}, {"-a", refused},
		{"Acme", refused}, {"a b", refused}, {"a\x00", refused}, {"ſ", refused},
	})
}

func TestReservedNames(t *testing.T) {
	for _, name := range []string{"root", "ROOT", "_apt", "systemd-resolve", "orchestra", "orchestra-sftp", "www-data", "docker", "sudo", "extra"} {
		if !value.Reserved(name, []string{"Extra"}) {
			t.Errorf("%s is not reserved", name)
		}
	}
	for _, name := range []string{"acme", "rooty", "mysql-clients", "_acme", "no", "true", "systemd"} {
		if value.Reserved(name, nil) {
			t.Errorf("%s is reserved", name)
		}
	}
}

func TestHandles(t *testing.T) {
	tryRows(t, value.Handle, []row{
		{"h11", "h11"}, {"web1.example.org", "web1.example.org"}, {"1st", "1st"}, {"a_b-c", "a_b-c"},
		{"", refused}, {"-a", refused}, {"a.", refused}, {"a/b", refused}, {"A", refused}, {"a..b", refused},
		{strings.Repeat("a", 65), refused},
	})
}

func TestHostAddresses(t *testing.T) {
	tryRows(t, value.HostAddress, []row{
		{"192.0.2.11", "192.0.2.11"}, {"127.0.0.1", "127.0.0.1"}, {"web1", "web1"}, {"Web1.Example.ORG.", "web1.example.org"},
		{"::ffff:192.0.2.1", "192.0.2.1"}, {"2001:DB8:0::1", "2001:db8::1"},
		{"", refused}, {".", refused}, {"0.1.2.3", refused}, {"255.255.255.255", refused}, {"ff02::1", refused},
		{"fe80::1%eth0", refused}, {"0x7f.1", refused}, {"1.2.3", refused}, {"web.0x1f", refused}, {"web1:22", refused},
		{"müller.example", refused}, {"a_b.example", refused}, {"xn--a.example", refused},
	})
}

func TestOwnerNames(t *testing.T) {
	tryRows(t, value.OwnerName, []row{
		{"Example.ORG.", "example.org"}, {"*.example.org", "*.example.org"}, {"_sip._tcp.example.org", "_sip._tcp.example.org"},
		{"münchen.example", "xn--mnchen-3ya.example"}, {"_dmarc.münchen.example", "_dmarc.xn--mnchen-3ya.example"},
		{"*.münchen.example", "*.xn--mnchen-3ya.example"}, {"münchen._tcp.example", "xn--mnchen-3ya._tcp.example"},
		{"", refused}, {"*.", refused}, {"a.*.example", refused}, {"a..example", refused}, {"-a.example", refused}, {"a b.example", refused}, {`a\.b.example`, refused},
		{"_münchen.example", refused}, {"pаypal.example", refused}, {strings.Repeat("a", 64) + ".example", refused},
		{strings.Repeat("a.", 127) + "a", refused}, {"*." + strings.Repeat("a.", 125) + "ab", refused}, {strings.Repeat("a.", 126) + "a", strings.Repeat("a.", 126) + "a"},
		{"1a.אב.example", refused}, // what is read from the right has no label in it that begins with a digit
	})
}

func TestDomainNames(t *testing.T) {
	tryRows(t, value.DomainName, []row{
		{"Example.ORG", "example.org"}, {"example.org.", "example.org"}, {"münchen.example", "xn--mnchen-3ya.example"},
		{"MÜNCHEN.example", "xn--mnchen-3ya.example"}, {"яндекс.example", "xn--d1acpjx3f.example"},
		{"аpple.example", refused}, {"org", refused}, {"example.org..", refused}, {"ex ample.org", refused}, {"", refused},
	})
}

func TestEmails(t *testing.T) {
	tryRows(t, value.Email, []row{
		{"Bob@EXAMPLE.net", "Bob@example.net"}, {"a+b@münchen.example", "a+b@xn--mnchen-3ya.example"},
		{"a", refused}, {"@example.net", refused}, {"a@", refused}, {"a@b@example.net", refused}, {"a@localhost", refused},
		{"-a@example.net", refused}, {"a..b@example.net", refused}, {"é@example.net", refused},
		{strings.Repeat("a", 65) + "@example.net", refused},
		{"a@" + strings.Repeat("a.", 125) + "example.org", refused},
		{strings.Repeat("a", 64) + "@" + strings.Repeat("a.", 95) + "org", refused},
	})
}

func TestPhones(t *testing.T) {
	tryRows(t, value.Phone, []row{
		{"+34 933 00 00 00", "+34933000000"}, {"0034 933-000.000", "+34933000000"}, {"112", "112"}, {"(93) 300/0000", "933000000"},
		{"", refused}, {"12", refused}, {"+0123", refused}, {"+34x", refused}, {"12+3", refused}, {"１１２", refused},
		{"1234567890123456", refused}, {"tel:112", refused},
	})
}

func TestPublicKeys(t *testing.T) {
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	line := func(public any) string {
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	}
	edLine := line(ed)
	security := "sk-ssh-ed25519@openssh.com " + base64.StdEncoding.EncodeToString(ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{"sk-ssh-ed25519@openssh.com", ed, "ssh:"}))
	longer := edLine[:len(edLine)-1] + "AAAA" // trailing bytes in the blob
	tryRows(t, value.PublicKey, []row{
		{edLine, edLine}, {"  " + edLine + "   a  b ", edLine + " a  b"}, {edLine + "\r\n", edLine},
		{line(ec.Public()), line(ec.Public())}, {line(big.Public()), line(big.Public())}, {security, security},
		{line(small.Public()), refused}, {longer, refused}, {edLine + "\n" + edLine, refused},
		{"no-pty " + edLine, refused}, {"restrict," + edLine, refused}, {strings.ToUpper(edLine), refused},
		{edLine + " a\x1bb", refused}, {edLine + " a\u202eb", refused}, {edLine + " \xff", refused},
		{"ssh-ed25519-cert-v01@openssh.com AAAA", refused},
		{edLine + " " + strings.Repeat("x", 5000), refused},
	})
	tryRows(t, value.HostKey, []row{
		{edLine + " root@web1", edLine}, {security, refused}, {"web1 " + edLine, refused},
	})
	if value.KeyBlob(edLine+" comment") != value.KeyBlob(edLine) || value.KeyBlob(edLine) == "" {
		t.Error("KeyBlob does not tell that two lines are the same key")
	}
}

func TestPaths(t *testing.T) {
	tryRows(t, value.AbsolutePath, []row{
		{"/home/acme", "/home/acme"}, {"/home/acme/Web_1.x+y@z-2", "/home/acme/Web_1.x+y@z-2"},
		{"/", refused}, {"", refused}, {"home", refused}, {"/home/", refused}, {"//home", refused}, {"/home/./a", refused},
		{"/home/../etc", refused}, {"/home/-rf", refused}, {"/home/a b", refused}, {"/home/a:b", refused}, {"/home/a\nb", refused},
		{"/home/é", refused}, {"/" + strings.Repeat("a", 256), refused}, {strings.Repeat("/a", 600), refused},
	})
	tryRows(t, value.RelativePath, []row{{"web/logs", "web/logs"}, {"/web", refused}, {"../x", refused}, {"", refused}})
}

func TestHomesStayAtTheirAccounts(t *testing.T) {
	roots := []string{"/home", "/srv/users/"}
	for _, one := range []struct {
		path, name, main string
		accepted         bool
	}{
		{"/home/acme", "acme", "", true}, {"/srv/users/acme", "acme", "", true},
		{"/home/acme/sub", "acme", "", false},
		{"/home/acme-web", "acme-web", "/home/acme", true}, {"/home/acme/web", "acme-web", "/home/acme", true},
		{"/home/acme", "acme-web", "/home/acme", false}, // sharing is asked for by the noun
		{"/home/acmevictim", "acme-web", "/home/acme", false}, {"/home/victim", "acme-web", "/home/acme", false},
		{"/home", "acme-web", "/home/acme", false}, {"/home/acme/../victim", "acme-web", "/home/acme", false},
		{"/root", "root", "", false}, {"/etc", "etc", "", false},
	} {
		if err := value.Home(one.path, one.name, one.main, roots); (err == nil) != one.accepted {
			t.Errorf("home %s of %s, main user's %q: %v", one.path, one.name, one.main, err)
		}
	}
}

func TestShells(t *testing.T) {
	parse := func(path string) (string, error) { return value.Shell(path, []string{"/bin/bash"}) }
	tryRows(t, parse, []row{
		{"/bin/bash", "/bin/bash"}, {value.NoLogin, value.NoLogin}, {"/bin/sh", refused}, {"bash", refused}, {"/bin/bash -i", refused},
	})
}

func TestPlaces(t *testing.T) {
	tryRows(t, value.Country, []row{{"es", "ES"}, {"XK", "XK"}, {"ESP", refused}, {"", refused}, {"ZZ", refused}, {" E", refused}, {"é", refused}})
	tryRows(t, value.Language, []row{{"CA", "ca"}, {"es", "es"}, {"xx", refused}, {"", refused}, {"e ", refused}})
	tryRows(t, value.PostalCode, []row{{"08001", "08001"}, {"SW1A 1AA", "SW1A 1AA"}, {"", ""}, {"   ", refused}, {"0800<", refused}, {strings.Repeat("1", 17), refused}})
}

func TestPasswords(t *testing.T) {
	for _, plain := range []string{"correct horse battery staple", "éèàùçéèà", strings.Repeat("w", value.PasswordLimit)} {
		if err := value.Password(plain, 8, "acme", ""); err != nil {
			t.Errorf("%.30q was refused: %v", plain, err)
		}
	}
	for _, plain := range []string{
		"", "short", "        ", "password", "PassWord1", "12345678", "acme-web", "Acme-Web2025", "tab\tinside", "new\nline!",
		strings.Repeat("x", value.PasswordLimit+1), "bad\xffutf8", "c1\u0085control",
	} {
		if err := value.Password(plain, 8, "acme-web"); err == nil {
			t.Errorf("%q was accepted", plain)
		} else if strings.ContainsAny(plain, "0123456789é\t") && strings.Contains(err.Error(), plain) {
			t.Errorf("the refusal of %q says the password", plain)
		}
	}
}

func TestCryptHashes(t *testing.T) {
	yescrypt := "$y$j9T$3Ss2Wk2pNJKmxJsQeKwrd0$" + strings.Repeat("a", 43)
	sha512 := "$6$salt$" + strings.Repeat("b", 86)
	for _, hash := range []string{yescrypt, sha512, "$6$rounds=5000$salt$" + strings.Repeat("b", 86)} {
		if err := value.CryptHash(hash); err != nil {
			t.Errorf("%s: %v", hash, err)
		}
	}
	for _, hash := range []string{"", "!", "*", "!" + yescrypt, yescrypt + ":0", yescrypt + "\n", "$1$a$b", "$2b$12$x", "x",
		"$6$$" + strings.Repeat("b", 86), "$6$rounds=9$salt$" + strings.Repeat("b", 86), "$y$j9T$s", "$y$", "$6$rounds=0500$salt$" + strings.Repeat("b", 86)} {
		if err := value.CryptHash(hash); err == nil {
			t.Errorf("%q was accepted", hash)
		}
	}
}

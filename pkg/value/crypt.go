package value

import (
	"strings"

	"orchestra/pkg/fault"
)

// CryptHash checks a password hash of crypt(5) that was made elsewhere: yescrypt
// or sha512crypt, complete. Anything else that passwd's readers give a meaning
// ("!", "*", nothing, older schemes) is refused.
func CryptHash(hash string) error {
	var parts []string
	if rest, found := strings.CutPrefix(hash, "$y$"); found {
		parts = strings.Split(rest, "$") // parameters, salt, hash
		if len(parts) == 3 && len(parts[0]) >= 3 && len(parts[1]) <= 86 && len(parts[2]) == 43 && cryptDigits(parts...) {
			return nil
		}
	} else if rest, found := strings.CutPrefix(hash, "$6$"); found {
		parts = strings.Split(rest, "$") // salt, hash; or rounds, salt, hash
		if len(parts) == 3 {
			rounds, found := strings.CutPrefix(parts[0], "rounds=")
			if !found || len(rounds) < 4 || len(rounds) > 9 || strings.Trim(rounds, "0123456789") != "" || rounds[0] == '0' {
				return badHash()
			}
			parts = parts[1:]
		}
		if len(parts) == 2 && parts[0] != "" && len(parts[0]) <= 16 && len(parts[1]) == 86 && cryptDigits(parts...) {
			return nil
		}
	}
	return badHash()
}

func badHash() error {
	return fault.New(fault.Invalid, "this is not a password hash of crypt(5) with yescrypt ($y$) or sha512 ($6$)").
		WithHint("mkpasswd --method=yescrypt")
}

// cryptDigits tells whether texts are of crypt's base64 letters.
func cryptDigits(texts ...string) bool {
	for _, text := range texts {
		for i := range len(text) {
			if c := text[i]; !isLower(c) && !isUpper(c) && !isDigit(c) && c != '.' && c != '/' {
				return false
			}
		}
	}
	return true
}

package accounts

import (
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-crypt/x/crypt"
	"github.com/go-crypt/x/yescrypt"

	"orchestra/pkg/fault"
	"orchestra/pkg/settings"
)

// hashPassword returns the crypt(5) hash of plain with a new salt.
func hashPassword(plain string, policy settings.Password) (string, error) {
	salt := make([]byte, 16)
	rand.Read(salt) // never fails, says crypto/rand
	if policy.Scheme == "sha512" {
		return sha512Hash(plain, saltText(salt), policy.Cost)
	}
	setting, err := yescryptSetting(salt, policy.Cost)
	if err != nil {
		return "", err
	}
	return yescryptHash(plain, setting)
}

// matches tells whether a stored hash is that of plain.
func matches(stored, plain string) bool {
	var again string
	var err error
	switch {
	case strings.HasPrefix(stored, "$y$"):
		again, err = yescryptHash(plain, stored)
	case strings.HasPrefix(stored, "$6$"):
		parts := strings.Split(strings.TrimPrefix(stored, "$6$"), "$")
		rounds := 0
		if number, found := strings.CutPrefix(parts[0], "rounds="); found && len(parts) == 3 {
			if rounds, err = strconv.Atoi(number); err != nil {
				return false
			}
			parts = parts[1:]
		}
		again, err = sha512Hash(plain, parts[0], rounds)
	}
	return err == nil && again != "" && subtle.ConstantTimeCompare([]byte(again), []byte(stored)) == 1
}

func yescryptHash(plain, setting string) (string, error) {
	hash, err := yescrypt.Hash([]byte(plain), []byte(setting))
	if err != nil {
		return "", fmt.Errorf("hashing a password with yescrypt: %w", err)
	}
	return string(hash), nil
}

// yescryptSetting returns what crypt_gensalt(3) of libxcrypt gives for a cost
// from 1 to 11; 0 is its default, 5: 16 MiB and some 10 ms.
func yescryptSetting(salt []byte, cost int) (string, error) {
	const digits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if cost == 0 {
		cost = 5
	}
	if cost < 1 || cost > 11 {
		return "", fault.New(fault.Invalid, "the setting password.cost is %d; yescrypt takes 1 to 11", cost)
	}
	blocks, logarithm := 8, cost+9 // of 1 KiB
	if cost >= 3 {
		blocks, logarithm = 32, cost+7 // of 4 KiB
	}
	return "$y$j" + string(digits[logarithm-1]) + string(digits[blocks-1]) + "$" + string(yescrypt.Encode64(salt)), nil
}

// sha512Hash returns a hash of sha512crypt; rounds 0 is its default, 5000.
func sha512Hash(plain, salt string, rounds int) (string, error) {
	prefix := "$6$"
	switch {
	case rounds == 0:
		rounds = 5000
	case rounds < 1000 || rounds > 999_999_999:
		return "", fault.New(fault.Invalid, "the setting password.cost is %d; sha512 takes 1000 to 999999999 rounds", rounds)
	default:
		prefix += "rounds=" + strconv.Itoa(rounds) + "$"
	}
	hash := crypt.KeySHACrypt(sha512.New, []byte(plain), []byte(salt), rounds)
	return prefix + salt + "$" + string(hash), nil
}

// saltText returns 16 letters of a salt: 96 of its bits.
func saltText(salt []byte) string { return string(yescrypt.Encode64(salt[:12])) }

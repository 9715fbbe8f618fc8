package accounts

import (
	"context"
	"crypto/rand"
	"math/big"

	"orchestra/pkg/fault"
	"orchestra/pkg/noun"
	"orchestra/pkg/settings"
	"orchestra/pkg/value"
)

// passwordSecret checks and hashes the passwords of system users: what is
// stored is a crypt(5) hash, which every server of the user gets.
func passwordSecret(current func() *settings.Settings) *noun.Secret {
	return &noun.Secret{
		Check: func(ctx context.Context, view noun.View, row noun.Row, plain string) error {
			own := []string{row.Text("name")}
			if account, err := view.Get(ctx, accountName, row.Int("account")); err == nil {
				own = append(own, account.Text("name"), account.Text("email"), account.Text("short_name"), account.Text("full_name"))
			}
			return fault.AboutField(value.Password(plain, view.Settings().Password.MinimumLength, own...), "user.password")
		},
		Hash: func(plain string) (string, error) {
			policy := settings.Default().Password
			if current != nil {
				policy = current().Password
			}
			return hashPassword(plain, policy)
		},
		Generate:  generatePassword,
		CheckHash: func(hash string) error { return fault.AboutField(value.CryptHash(hash), "user.password") },
		Matches:   matches,
	}
}

// generateLength gives 20 letters of 32: 100 bits, with no two that look alike.
const (
	generateLength  = 20
	generateLetters = "abcdefghijkmnpqrstuvwxyz23456789"
)

// generatePassword returns a new random password, in groups that can be read out.
func generatePassword() (string, error) {
	letters := make([]byte, 0, generateLength+generateLength/5)
	for i := range generateLength {
		if i > 0 && i%5 == 0 {
			letters = append(letters, '-')
		}
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(generateLetters))))
		if err != nil {
			return "", fault.New(fault.Internal, "the system gives no random numbers").Because(err)
		}
		letters = append(letters, generateLetters[n.Int64()])
	}
	return string(letters), nil
}

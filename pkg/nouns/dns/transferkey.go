package dns

import (
	"context"
	"crypto/rand"
	"encoding/base64"

	"orchestra/pkg/noun"
)

// theKey is the name of the key that all zones are transferred with.
const theKey = "orchestra"

// transferKeyNoun is the key with which our servers sign what they say to each
// other (TSIG, RFC 8945). The first domain makes it.
func transferKeyNoun() *noun.Noun {
	return &noun.Noun{
		Name:   transferKeyName,
		Plural: "transfer-keys",
		Area:   "DNS",
		Kind:   noun.Management,
		Help:   "The key with which name servers transfer zones",
		Long: "Masters give zones to who has the key, and slaves ask with it. It is made with the first domain, is on every server of " +
			"bind9-master, powerdns and bind9-slave, and is never shown. The addresses of the setting dns.transfer may transfer zones without it.",
		Key:     "name",
		Without: []string{"add", "set", "delete", "ensure"},
		Fields: []noun.Field{
			{Name: "name", Type: noun.Text{Max: 64}, Required: true, Immutable: true, Listed: true,
				Help: "Its name, which is a part of it", Example: theKey},
			{Name: "algorithm", Type: noun.Choice{"hmac-sha256"}, Required: true, Immutable: true, Listed: true,
				Help: "How it signs", Example: "hmac-sha256"},
			{Name: "secret", Type: noun.Text{Max: 128}, Hidden: true,
				Secret: &noun.Secret{Generate: newSecret, Hash: func(plain string) (string, error) { return plain, nil }},
				Help:   "What nobody else knows, in base64", Example: "c2VjcmV0IG9mIDMyIGJ5dGVzLCBieSB0aGUgZmFjdG8="},
		},
	}
}

// newSecret returns 256 random bits in base64.
func newSecret() (string, error) {
	secret := make([]byte, 32)
	_, err := rand.Read(secret)
	return base64.StdEncoding.EncodeToString(secret), err
}

// ensureKey makes the key where there is none.
func ensureKey(ctx context.Context, plan noun.Planner) error {
	keys, err := plan.Select(ctx, transferKeyName, noun.Where("name", theKey))
	if err != nil || len(keys) > 0 {
		return err
	}
	secret, err := newSecret()
	if err != nil {
		return err
	}
	_, err = plan.Add(ctx, transferKeyName, noun.Values{"name": theKey, "algorithm": "hmac-sha256", "secret": noun.Confidential(secret)})
	return err
}

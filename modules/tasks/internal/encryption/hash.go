package encryption

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// hashPurpose makes the keys of hashes others than those that encrypt.
const hashPurpose = "console_tasks.info_hash"

// saltLength is the length of a hash's salt, in bytes.
const saltLength = 16

// Hash returns by what a payload can be recognised once its secrets were erased: an HMAC with a salt of its own and with the
// first configured key. Whoever has no key cannot guess at the secrets by it. Where none is configured the salt alone keeps
// equal payloads from having equal hashes, but short secrets can be guessed.
func (b *Keyring) Hash(payload []byte) string {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // it never fails
	return b.current + ":" + hex.EncodeToString(salt) + ":" + hex.EncodeToString(mac(b.hashKeys[b.current], salt, payload))
}

// IsHash tells whether hash is one of this payload, by whichever of the configured keys.
func (b *Keyring) MatchesHash(hash string, payload []byte) bool {
	id, rest, _ := strings.Cut(hash, ":")
	salt, sum, _ := strings.Cut(rest, ":")
	key, ok := b.hashKeys[id]
	salted, err := hex.DecodeString(salt)
	if !ok || err != nil {
		return false
	}
	return hmac.Equal([]byte(sum), []byte(hex.EncodeToString(mac(key, salted, payload))))
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		_, _ = h.Write(part) // it never fails
	}
	return h.Sum(nil)
}

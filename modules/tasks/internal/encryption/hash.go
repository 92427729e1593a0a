package encryption

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// hashPurpose derives the keys of hashes from those of the encryption.
const hashPurpose = "console_tasks.info_hash"

// saltLength is the length of a hash's salt in bytes.
const saltLength = 16

// Hash returns a value by which a payload can be compared after its secrets were erased: a salted HMAC with the first
// configured key. Without the key the secrets cannot be guessed from it. If no key is configured, equal payloads still
// have different hashes, but short secrets can be guessed.
func (k *Keyring) Hash(payload []byte) string {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails
	return k.current + ":" + hex.EncodeToString(salt) + ":" + hex.EncodeToString(mac(k.hashKeys[k.current], salt, payload))
}

// MatchesHash reports whether hash is one of this payload, with any of the configured keys.
func (k *Keyring) MatchesHash(hash string, payload []byte) bool {
	id, rest, _ := strings.Cut(hash, ":")
	salt, sum, _ := strings.Cut(rest, ":")
	key, ok := k.hashKeys[id]
	salted, err := hex.DecodeString(salt)
	if !ok || err != nil {
		return false
	}
	return hmac.Equal([]byte(sum), []byte(hex.EncodeToString(mac(key, salted, payload))))
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		_, _ = h.Write(part) // never fails
	}
	return h.Sum(nil)
}

// Package encryption encrypts the payloads that contain secrets, so that readers of the database or its backups cannot
// read them.
package encryption

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"app238.com/inner/app/config"
)

// prefix starts an encrypted payload. Other payloads start with a brace.
const prefix = "sealed:"

// purpose is authenticated with every payload: what was encrypted for something else does not decrypt here.
const purpose = "console_tasks.task_info"

// idLength is the length of the part of a key's hash that names it, in bytes.
const idLength = 4

// ErrUnknownKey is returned for a payload that was encrypted with a key that is not configured here.
var ErrUnknownKey = errors.New("encrypted with a key that is not in tasks.encryptionKeys")

// ErrCorrupt is returned for an encrypted payload that was changed or cut.
var ErrCorrupt = errors.New("the encrypted payload is corrupt")

// Keyring encrypts with the first configured key and decrypts with any of them. Without keys it does not encrypt.
type Keyring struct {
	current string
	keys    map[string]cipher.AEAD
	// hashKeys are derived from the same keys, for Hash.
	hashKeys map[string][]byte
}

// New returns a keyring of the configured keys.
func New(c *config.Config) (*Keyring, error) {
	keys, err := c.Tasks.Keys()
	if err != nil {
		return nil, err
	}
	k := &Keyring{keys: map[string]cipher.AEAD{}, hashKeys: map[string][]byte{"": nil}}
	for i, key := range keys {
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		hash := sha256.Sum256(key)
		id := hex.EncodeToString(hash[:idLength])
		k.keys[id], k.hashKeys[id] = aead, mac(key, []byte(hashPurpose))
		if i == 0 {
			k.current = id
		}
	}
	return k, nil
}

// Encrypts reports whether there is a key to encrypt with.
func (k *Keyring) Encrypts() bool { return k.current != "" }

// Encrypt returns a payload as it is to be stored.
func (k *Keyring) Encrypt(payload []byte) string {
	if !k.Encrypts() {
		return string(payload)
	}
	ciphertext := k.keys[k.current].Seal(nil, nil, payload, []byte(purpose)) //nolint:gosec // the AEAD adds a random nonce
	return prefix + k.current + ":" + base64.StdEncoding.EncodeToString(ciphertext)
}

// IsEncrypted reports whether a stored payload is encrypted.
func IsEncrypted(stored string) bool { return strings.HasPrefix(stored, prefix) }

// Decrypt returns the payload of a stored one: unchanged if it is not encrypted, otherwise decrypted, or ErrUnknownKey
// or ErrCorrupt.
func (k *Keyring) Decrypt(stored string) ([]byte, error) {
	rest, ok := strings.CutPrefix(stored, prefix)
	if !ok {
		return []byte(stored), nil
	}
	id, text, ok := strings.Cut(rest, ":")
	if !ok {
		return nil, ErrCorrupt
	}
	key, ok := k.keys[id]
	if !ok {
		return nil, ErrUnknownKey
	}
	ciphertext, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, ErrCorrupt
	}
	payload, err := key.Open(nil, nil, ciphertext, []byte(purpose))
	if err != nil {
		return nil, ErrCorrupt
	}
	return payload, nil
}

// Package encryption encrypts the payloads that hold secrets, so that whoever reads the database or a backup of it cannot.
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

// prefix begins what is sealed. A payload that is not begins with a brace.
const prefix = "sealed:"

// purpose is authenticated with every payload: what was sealed for something else does not open here.
const purpose = "console_tasks.task_info"

// idLength is how much of a key's hash names it, in bytes.
const idLength = 4

// ErrUnknownKey says that a payload was sealed with a key that is not configured here.
var ErrUnknownKey = errors.New("sealed with a key that is not among tasks.encryptionKeys")

// ErrBroken says that a sealed payload was changed or cut.
var ErrCorrupt = errors.New("the sealed payload is damaged")

// Box seals with the first configured key and opens with all of them. Without any it seals nothing.
type Keyring struct {
	current string
	keys    map[string]cipher.AEAD
	// hashKeys are what Hash uses of the same keys.
	hashKeys map[string][]byte
}

// New returns a box with the configured keys.
func New(c *config.Config) (*Keyring, error) {
	keys, err := c.Tasks.Keys()
	if err != nil {
		return nil, err
	}
	b := &Keyring{keys: map[string]cipher.AEAD{}, hashKeys: map[string][]byte{"": nil}}
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
		b.keys[id], b.hashKeys[id] = aead, mac(key, []byte(hashPurpose))
		if i == 0 {
			b.current = id
		}
	}
	return b, nil
}

// Seals tells whether there is a key to seal with.
func (b *Keyring) Encrypts() bool { return b.current != "" }

// Seal returns what is to be stored of a payload.
func (b *Keyring) Encrypt(payload []byte) string {
	if !b.Encrypts() {
		return string(payload)
	}
	ciphertext := b.keys[b.current].Seal(nil, nil, payload, []byte(purpose)) //nolint:gosec // it makes a random nonce itself
	return prefix + b.current + ":" + base64.StdEncoding.EncodeToString(ciphertext)
}

// IsSealed tells whether what is stored is encrypted.
func IsEncrypted(stored string) bool { return strings.HasPrefix(stored, prefix) }

// Open returns the payload of what is stored: as it is where it is not sealed, else decrypted, or ErrUnknownKey or
// ErrBroken.
func (b *Keyring) Decrypt(stored string) ([]byte, error) {
	rest, ok := strings.CutPrefix(stored, prefix)
	if !ok {
		return []byte(stored), nil
	}
	id, text, ok := strings.Cut(rest, ":")
	if !ok {
		return nil, ErrCorrupt
	}
	key, ok := b.keys[id]
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

package rdb

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"app238.com/inner/modules/combinator/internal/engine"
)

const (
	// scramIterations is PostgreSQL's default.
	scramIterations = 4096
	saltLength      = 16
)

// scramHead begins a verifier.
var scramHead = fmt.Sprintf("SCRAM-SHA-256$%d:", scramIterations)

// verifier returns the SCRAM verifier of a password (RFC 5803), so that the password itself is never in a statement or in a
// server's log. Both engines accept it in place of the password.
func verifier(password string) (string, error) {
	for _, r := range password {
		// Other characters would have to be normalized (RFC 4013).
		if r < ' ' || r > '~' {
			return "", fmt.Errorf("%w: the secret key contains characters other than visible ASCII", engine.ErrInvalid)
		}
	}
	if password == "" {
		return "", fmt.Errorf("%w: the secret key is empty", engine.ErrInvalid)
	}
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails
	return scramVerifier(password, salt)
}

func scramVerifier(password string, salt []byte) (string, error) {
	key, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", err
	}
	stored := sha256.Sum256(sign(key, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s%s$%s:%s", scramHead, encode(salt), encode(stored[:]), encode(sign(key, "Server Key"))), nil
}

// verifyPassword reports whether Inner set this stored verifier for this password. A verifier with another number of
// iterations was set by a user, who may have chosen a number that takes forever.
func verifyPassword(kept, password string) bool {
	text, ok := strings.CutPrefix(kept, scramHead)
	encoded, _, _ := strings.Cut(text, "$")
	salt, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil {
		return false
	}
	made, err := scramVerifier(password, salt)
	return err == nil && hmac.Equal([]byte(made), []byte(kept))
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

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
	// scramIterations is PostgreSQL's own number.
	scramIterations = 4096
	saltLength      = 16
)

// scramHead is what a verifier begins with.
var scramHead = fmt.Sprintf("SCRAM-SHA-256$%d:", scramIterations)

// verifier returns what a server keeps of a password (RFC 5803), so that the password itself never gets into a
// statement, and with it into a server's log. Both engines take it in the password's place.
func verifier(password string) (string, error) {
	for _, r := range password {
		// Beyond ASCII the password would have to be normalised (RFC 4013).
		if r < ' ' || r > '~' {
			return "", fmt.Errorf("%w: the secret key holds other characters than visible ASCII", engine.ErrInvalid)
		}
	}
	if password == "" {
		return "", fmt.Errorf("%w: the secret key is empty", engine.ErrInvalid)
	}
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // it never fails
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

// verifies tells whether that is what a server keeps of this password where Inner has set it. Another number of iterations is a
// user's, who may have chosen one that takes for ever.
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

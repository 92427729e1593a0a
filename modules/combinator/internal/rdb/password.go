package rdb

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"app238.com/inner/modules/combinator/internal/engine"
)

const (
	// scramIterations is PostgreSQL's own number.
	scramIterations = 4096
	saltLength      = 16
)

// verifier returns what a server keeps of a password (RFC 5803), so that the password itself never gets into a
// statement, and with it into a server's log. Both engines take it in the password's place.
func verifier(password string) (string, error) {
	for _, r := range password {
		// Beyond ASCII the password would have to be normalised (RFC 4013).
		if r < ' ' || r > '~' {
			return "", fmt.Errorf("%w: the secret key holds other characters than visible ASCII", engine.ErrUnusable)
		}
	}
	if password == "" {
		return "", fmt.Errorf("%w: the secret key is empty", engine.ErrUnusable)
	}
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // it never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", err
	}
	stored := sha256.Sum256(sign(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, encode(salt), encode(stored[:]), encode(sign(salted, "Server Key"))), nil
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

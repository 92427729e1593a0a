package config

import (
	"encoding/base64"
	"errors"
	"strings"
)

// keyLength is that of an AES-256 key, in bytes.
const keyLength = 32

// Keys returns the encryption keys of payloads, the one to encrypt with first. The error never holds a key.
func (t Tasks) Keys() ([][]byte, error) {
	var keys [][]byte
	for text := range strings.SplitSeq(t.EncryptionKeys.Reveal(), ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != keyLength {
			return nil, errors.New("must be keys of 32 bytes in standard base64, separated by commas")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

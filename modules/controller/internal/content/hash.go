package content

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
)

// ConfigHash returns the hash of the ConfigMap's data. It is keyed with the owner's secret key, so that it also changes when that
// key is edited in the Secret.
func ConfigHash(secretKey string, data map[string]string) string {
	h := hmac.New(sha256.New, []byte(secretKey))
	part(h, "config-map")
	writeStrings(h, data)
	return hex.EncodeToString(h.Sum(nil))
}

// PodHash returns the hash of the pods' whole environment. It is keyed with the owner's secret key: with an unkeyed hash, readers
// of Deployments could test guesses of weak secrets.
func PodHash(secretKey string, data map[string]string, secret map[string][]byte) string {
	h := hmac.New(sha256.New, []byte(secretKey))
	part(h, "pod")
	writeStrings(h, data)
	count(h, len(secret))
	for _, key := range slices.Sorted(maps.Keys(secret)) {
		part(h, key)
		part(h, string(secret[key]))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func writeStrings(h hash.Hash, data map[string]string) {
	count(h, len(data))
	for _, key := range slices.Sorted(maps.Keys(data)) {
		part(h, key)
		part(h, data[key])
	}
}

// part writes the length of s and s, so that the hash depends on where one part ends and the next begins.
func part(h hash.Hash, s string) {
	count(h, len(s))
	h.Write([]byte(s))
}

func count(h hash.Hash, n int) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(n))
	h.Write(length[:])
}

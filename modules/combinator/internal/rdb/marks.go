package rdb

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"app238.com/inner/app/identifier"
	"app238.com/inner/modules/combinator/internal/engine"
)

// A mark is the comment that identifies what Inner made and for whom: "inner-gateway <platform> <owner>". The owner is
// encrypted, because every user of the engine can read comments. Unencrypted marks, as the first ones were, are valid and are
// encrypted when the object is created again or repaired. Marks of an earlier release are "inner-gateway <user>/<resource>",
// on schemas only.
const markPrefix = "inner-gateway "

// ownership tells to whom an object belongs.
type ownership int

const (
	// unowned: no mark, or one without a platform.
	unowned ownership = iota
	ownedByUs
	// ownedUnencrypted: ours, with a mark that has to be encrypted.
	ownedUnencrypted
	// ownedByOther: another platform's, or another user's.
	ownedByOther
)

// ownerText returns the owner in the mark of a resource's schema.
func ownerText(r engine.Resource) string { return r.UserUID + "/" + r.ResourceID }

// marks encodes and decodes the marks of one platform.
type marks struct {
	platform string
	aead     cipher.AEAD
	nonceKey []byte
	// nameOf returns the name of a new resource.
	nameOf func(engine.Resource) string
}

// loadMarks returns the marks of this platform. It reads their key once.
func (e *Engine) loadMarks(ctx context.Context) (*marks, error) {
	e.mu.Lock()
	m := e.cachedMarks
	e.mu.Unlock()
	if m != nil {
		return m, nil
	}
	key, err := e.keys.MarkKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: read the mark key: %w", engine.ErrUnavailable, err)
	}
	if m, err = newMarks(e.platform, key, e.Name); err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.cachedMarks = m
	e.mu.Unlock()
	return m, nil
}

func newMarks(platform string, key []byte, nameOf func(engine.Resource) string) (*marks, error) {
	secret, err := hkdf.Key(sha256.New, key, nil, "marks: encryption", sha256.Size)
	if err != nil {
		return nil, err
	}
	nonceKey, err := hkdf.Key(sha256.New, key, nil, "marks: nonces", sha256.Size)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &marks{platform: platform, aead: aead, nonceKey: nonceKey, nameOf: nameOf}, err
}

// mark returns the mark of this platform for an owner. It is deterministic: the nonce is derived from the text.
func (m *marks) mark(owner string) string {
	hash := hmac.New(sha256.New, m.nonceKey)
	hash.Write([]byte(owner))
	nonce := hash.Sum(nil)[:m.aead.NonceSize()]
	return m.prefix() + base64.RawURLEncoding.EncodeToString(m.aead.Seal(nonce, nonce, []byte(owner), nil))
}

// unencryptedMark returns the mark of this platform for an owner as it was before owners were encrypted.
func (m *marks) unencryptedMark(owner string) string { return m.prefix() + owner }

// prefix begins all marks of this platform.
func (m *marks) prefix() string { return markPrefix + m.platform + " " }

// decodeOwner returns the owner in a mark of this platform; "" for other marks.
func (m *marks) decodeOwner(mark string) string {
	encoded, isOurs := strings.CutPrefix(mark, m.prefix())
	encrypted, err := base64.RawURLEncoding.DecodeString(encoded)
	if !isOurs || err != nil || len(encrypted) < m.aead.NonceSize() {
		return ""
	}
	owner, err := m.aead.Open(nil, encrypted[:m.aead.NonceSize()], encrypted[m.aead.NonceSize():], nil)
	if err != nil {
		return ""
	}
	return string(owner)
}

// isUnreadable reports whether a mark has this platform's prefix and was encrypted with another key.
func (m *marks) isUnreadable(mark string) bool {
	encoded, isOurs := strings.CutPrefix(mark, m.prefix())
	encrypted, err := base64.RawURLEncoding.DecodeString(encoded)
	return isOurs && err == nil && len(encrypted) > m.aead.NonceSize()+m.aead.Overhead() && m.decodeOwner(mark) == ""
}

// ownerOf returns the ownership of an object with this mark that is expected to belong to owner.
func (m *marks) ownerOf(mark, owner string) ownership {
	text, ok := strings.CutPrefix(mark, markPrefix)
	switch {
	case mark == m.mark(owner):
		return ownedByUs
	case mark == m.unencryptedMark(owner):
		return ownedUnencrypted
	case !ok, text == owner:
		return unowned
	}
	return ownedByOther
}

// parse returns the resource in the mark of a schema. It returns false for schemas that were made neither by this platform
// nor by an earlier release under this name.
func (m *marks) parse(name, mark string) (engine.Found, bool) {
	text, ok := strings.CutPrefix(mark, markPrefix)
	if !ok {
		return engine.Found{}, false
	}
	owned, isOurs, isUnencrypted := m.decodeOwner(mark), true, false
	if owned == "" {
		if owned, isUnencrypted = strings.CutPrefix(mark, m.prefix()); !isUnencrypted {
			owned, isOurs = text, false
		}
	}
	userUID, resourceID, whole := strings.Cut(owned, "/")
	if !whole || identifier.Check("user_uid", userUID) != nil || identifier.Check("resource_id", resourceID) != nil {
		return engine.Found{}, false
	}
	r := engine.Resource{UserUID: userUID, ResourceID: resourceID}
	return engine.Found{Resource: r, Unclaimed: !isOurs, Unencrypted: isUnencrypted}, isOurs || m.nameOf(r) == name
}

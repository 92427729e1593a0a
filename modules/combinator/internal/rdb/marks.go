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

// A mark is the comment by which Inner knows what it has made, and for whom: "inner-gateway <platform> <owner>", where the owner is
// encrypted, because every user of the engine can read comments. In the clear, as the first ones were, it counts as well, and is written
// anew where it is met. Those of an earlier release are "inner-gateway <user>/<resource>", and stood on schemas alone.
const marked = "inner-gateway "

// owner is whose a thing is.
type owner int

const (
	// nobodys has no mark, or one without a platform.
	nobodys owner = iota
	ours
	// oursInClear is ours, with a mark that is to be encrypted.
	oursInClear
	// foreign is another platform's, or another user's.
	foreign
)

// whom is what a schema's mark says of its resource.
func whom(r engine.Resource) string { return r.UserUID + "/" + r.ResourceID }

// marks makes and reads the marks of one platform.
type marks struct {
	platform string
	aead     cipher.AEAD
	nonceKey []byte
	// nameOf is the name of a new resource.
	nameOf func(engine.Resource) string
}

// marks returns the marks of this platform. It reads their key once.
func (e *Engine) marks(ctx context.Context) (*marks, error) {
	e.mu.Lock()
	m := e.marked
	e.mu.Unlock()
	if m != nil {
		return m, nil
	}
	key, err := e.keys.MarkKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: reading the key of the marks: %w", engine.ErrUnavailable, err)
	}
	if m, err = newMarks(e.platform, key, e.Name); err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.marked = m
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

// mark is what stands on what this platform makes for someone, each time the same: the nonce follows from the text.
func (m *marks) mark(whom string) string {
	hash := hmac.New(sha256.New, m.nonceKey)
	hash.Write([]byte(whom))
	nonce := hash.Sum(nil)[:m.aead.NonceSize()]
	return m.head() + base64.RawURLEncoding.EncodeToString(m.aead.Seal(nonce, nonce, []byte(whom), nil))
}

// inClear is mark as it was before marks were encrypted.
func (m *marks) inClear(whom string) string { return m.head() + whom }

// head is what all marks of this platform begin with.
func (m *marks) head() string { return marked + m.platform + " " }

// whose reads a mark of this platform; "" where it is none.
func (m *marks) whose(mark string) string {
	encoded, isOurs := strings.CutPrefix(mark, m.head())
	sealed, err := base64.RawURLEncoding.DecodeString(encoded)
	if !isOurs || err != nil || len(sealed) < m.aead.NonceSize() {
		return ""
	}
	whom, err := m.aead.Open(nil, sealed[:m.aead.NonceSize()], sealed[m.aead.NonceSize():], nil)
	if err != nil {
		return ""
	}
	return string(whom)
}

// isUnreadable tells whether a mark is this platform's by its head, and was made with another key.
func (m *marks) isUnreadable(mark string) bool {
	encoded, isOurs := strings.CutPrefix(mark, m.head())
	sealed, err := base64.RawURLEncoding.DecodeString(encoded)
	return isOurs && err == nil && len(sealed) > m.aead.NonceSize()+m.aead.Overhead() && m.whose(mark) == ""
}

// owner tells whose a thing with this mark is, which is to be someone's.
func (m *marks) owner(mark, whom string) owner {
	text, ok := strings.CutPrefix(mark, marked)
	switch {
	case mark == m.mark(whom):
		return ours
	case mark == m.inClear(whom):
		return oursInClear
	case !ok, text == whom:
		return nobodys
	}
	return foreign
}

// found reads the mark of a schema. It returns false for schemas that neither this platform has made nor an earlier release
// that gave them this name.
func (m *marks) found(name, mark string) (engine.Found, bool) {
	text, ok := strings.CutPrefix(mark, marked)
	if !ok {
		return engine.Found{}, false
	}
	owned, isOurs, inClear := m.whose(mark), true, false
	if owned == "" {
		if owned, inClear = strings.CutPrefix(mark, m.head()); !inClear {
			owned, isOurs = text, false
		}
	}
	userUID, resourceID, whole := strings.Cut(owned, "/")
	if !whole || identifier.Check("user_uid", userUID) != nil || identifier.Check("resource_id", resourceID) != nil {
		return engine.Found{}, false
	}
	r := engine.Resource{UserUID: userUID, ResourceID: resourceID}
	return engine.Found{Resource: r, Unclaimed: !isOurs, InClear: inClear}, isOurs || m.nameOf(r) == name
}
